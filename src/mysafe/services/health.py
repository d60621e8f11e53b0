# SPDX-License-Identifier: Apache-2.0
"""Checks of a vault and of the machine it lives on: what is as it should be, what is not (R-CFG-05).

Every check looks and returns a finding; none changes or refuses anything. It must not see a key or a settings object.
"""

import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from mysafe.domain.access_keys import CLOCK_SKEW_SECONDS
from mysafe.storage.durability import Durability, read_durability
from mysafe.storage.engine import Engine
from mysafe.storage.postgres.server_state import Examined, examine

RELEASED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock can be right that shows an earlier time than this release."""


class State(StrEnum):
    """How good a finding is. Only UNSAFE makes the examination fail."""

    OK = "ok"
    WARN = "warn"
    UNSAFE = "unsafe"


class Finding(NamedTuple):
    """What one check saw. `text` ends with what to do about it, unless there is nothing to do."""

    state: State
    subject: str
    text: str


def data_directory(path: Path) -> Finding:
    """Check that the directory of the vault is a directory of this user and of nobody else."""
    return _private("data directory", path, stat.S_ISDIR, "a directory", "chmod 700")


def database_files(path: Path) -> Finding:
    """Check the database and the files SQLite keeps beside it."""
    found = [_database_file(path)]
    found += [_database_file(one) for end in ("-wal", "-shm") if (one := path.with_name(path.name + end)).exists()]
    return next((finding for finding in found if finding.state is not State.OK), found[0])


def _database_file(path: Path) -> Finding:
    return _private("database", path, stat.S_ISREG, "a regular file", "chmod 600")


def private_file(subject: str, path: Path) -> Finding:
    """Check a file that only this user may read, such as the key of a TLS certificate."""
    return _private(subject, path, stat.S_ISREG, "a regular file", "chmod 600")


def _private(subject: str, path: Path, is_kind: Callable[[int], bool], kind: str, remedy: str) -> Finding:
    try:
        seen = path.lstat()
    except OSError as error:
        return Finding(State.UNSAFE, subject, f"{path} cannot be examined: {error.strerror}")
    if not is_kind(seen.st_mode):
        return Finding(State.UNSAFE, subject, f"{path} is not {kind}")
    if seen.st_uid not in {os.geteuid(), 0}:
        return Finding(State.UNSAFE, subject, f"{path} belongs to another user: run chown on it")
    mode = stat.S_IMODE(seen.st_mode)
    if mode & 0o077:
        return Finding(State.UNSAFE, subject, f"{path} is open to other users ({mode:04o}): run {remedy} on it")
    return Finding(State.OK, subject, f"{path} ({mode:04o})")


def key_place(key: Path, data: Path, complaint: str | None) -> Finding:
    """Check the key file: `complaint` is what its provider says about it, None if nothing."""
    if complaint is not None:
        return Finding(State.UNSAFE, "root key", complaint)
    if key.resolve().is_relative_to(data.resolve()):
        return Finding(State.UNSAFE, "root key", f"{key} lies in the data directory: move it out")
    return Finding(State.OK, "root key", f"{key}, outside the data directory")


def database(engine: Engine) -> list[Finding]:
    """Check an open database: its version, whether commits are on disk, the schema. Raises Unavailable."""
    if engine.is_shared:
        return server(engine.look(examine).result())
    return durability(engine.look(read_durability).result())


def server(seen: Examined) -> list[Finding]:
    """Check what a PostgreSQL server says about itself."""
    state = seen.server
    kept = f"fsync {state.fsync}, full_page_writes {state.full_page_writes}, synchronous_commit"
    complaint = state.complaint()
    schema = seen.is_schema_current
    return [
        Finding(State.OK, "PostgreSQL", state.version)
        if complaint is None
        else Finding(State.UNSAFE, "PostgreSQL", complaint),
        Finding(State.OK, "durability", f"{kept} {state.synchronous_commit}"),
        _standbys(seen),
        _expected("schema", seen.revision, is_good=schema, remedy="it is not this program's: upgrade"),
    ]


def _standbys(seen: Examined) -> Finding:
    if seen.is_standby_overtaken:
        text = "commits do not wait for the standby, so a failover loses some: set synchronous_standby_names"
        return Finding(State.WARN, "standbys", text)
    return Finding(State.OK, "standbys", f"{seen.standbys} connected")


def durability(seen: Durability) -> list[Finding]:
    """Check what a database says about itself."""
    journal = f"journal mode {seen.journal_mode}, synchronous {seen.synchronous}"
    return [
        _expected(
            "SQLite", seen.sqlite_version, is_good=seen.is_sqlite_recent, remedy="it can lose data: upgrade apsw"
        ),
        _expected("durability", journal, is_good=seen.is_durable, remedy="commits may be lost: wal and 2 are needed"),
        _expected("schema", seen.revision, is_good=seen.is_schema_current, remedy="it is not this program's: upgrade"),
    ]


def _expected(subject: str, seen: str, *, is_good: bool, remedy: str) -> Finding:
    return Finding(State.OK, subject, seen) if is_good else Finding(State.UNSAFE, subject, f"{seen}: {remedy}")


def clock(now: float) -> Finding:
    """Check that the clock (Unix seconds) is not before the release of this program."""
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    if now < RELEASED_AT.timestamp():
        return Finding(State.UNSAFE, "clock", f"it shows {shown}, before this program was made: set it")
    return Finding(State.OK, "clock", shown)


def newest_entry(number: int, at: float, now: float) -> Finding:
    """Check that the newest audit entry (its number and Unix seconds) is not from the future."""
    if at > now + CLOCK_SKEW_SECONDS:
        shown = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        text = f"it opens; its newest audit entry, number {number}, is of {shown}: the clock is wrong, or was then"
        return Finding(State.WARN, "vault", f"{text}; where it went back, revoke access keys that expired meanwhile")
    return Finding(State.OK, "vault", f"it opens; its newest audit entry is number {number}")


def umask(mask: int) -> Finding:
    """Check the mask under which this program makes files."""
    if mask & 0o077 != 0o077:
        return Finding(State.UNSAFE, "umask", f"{mask:03o} lets other users read new files: set 077")
    return Finding(State.OK, "umask", f"{mask:03o}")


def core_files(limit_bytes: int) -> Finding:
    """Check the limit for core files in this shell; `mysafe serve` turns them off for itself."""
    if limit_bytes == 0:
        return Finding(State.OK, "core files", "off")
    return Finding(State.WARN, "core files", "a command that crashes here may write keys to disk: set ulimit -c 0")


def swap(table: str, is_encrypted: Callable[[str], bool]) -> Finding:
    """Check that memory is not swapped out in the clear.

    Args:
        table: text of /proc/swaps, "" where there is none.
        is_encrypted: tells of a device or file whether what is written to it is encrypted, or stays in memory.
    """
    places = [line.split()[0] for line in table.splitlines()[1:] if line.strip()]
    clear = [place for place in places if not is_encrypted(place)]
    if clear:
        return Finding(State.WARN, "swap", f"keys may be written to {', '.join(clear)}: encrypt it or run swapoff")
    return Finding(State.OK, "swap", "encrypted" if places else "none")


def is_swap_encrypted(place: str) -> bool:
    """Return whether a swap device is known to be encrypted (dm-crypt) or compressed memory (zram)."""
    name = Path(place).resolve().name
    if re.fullmatch(r"zram[0-9]+", name):
        return True
    try:
        return Path(f"/sys/block/{name}/dm/uuid").read_text(encoding="ascii").startswith("CRYPT-")
    except OSError:
        return False


OLDEST_BACKUP_DAYS = {"taken": 7, "proved": 90}
"""How old the last backup, and the last proof of one, may be before it is worth a word."""


def backup(what: str, at: int, file: str, now: int) -> Finding:
    """Check when a backup was last `taken` or `proved`, in Unix seconds, 0 for never."""
    subject = f"backup {what}"
    if not at:
        command = "mysafe backup FILE" if what == "taken" else "mysafe backup prove FILE"
        return Finding(State.WARN, subject, f"never, as far as is known here: run `{command}`")
    days = (now - at) // 86_400
    state = State.WARN if days > OLDEST_BACKUP_DAYS[what] else State.OK
    return Finding(state, subject, f"{days} days ago, {file}")
