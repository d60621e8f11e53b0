# SPDX-License-Identifier: Apache-2.0
"""Backups of the vault of these settings: taken, restored, proved, and scheduled (docs/operate/backup.md)."""

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mysafe import opening
from mysafe.config import Settings
from mysafe.crypto import age
from mysafe.crypto.root_key.private_file import read_private
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.domain.actions import Action
from mysafe.domain.secret_text import SecretText
from mysafe.services.audit_tree import scrubbing, starting, verifying
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.starting import RollbackDetected
from mysafe.services.backup import restoring, taking
from mysafe.services.backup.archive import DATABASE, BackupRefused, refuse
from mysafe.services.backup.opening import Opened, open_contents
from mysafe.services.backup.restoring import Opening, Unpacked
from mysafe.services.backup.schedule import DailyBackup, Schedule
from mysafe.services.backup.streams import scratch, sync_directory
from mysafe.services.backup.taking import Sealing, Source, Taken
from mysafe.services.files.shelf import Shelf
from mysafe.services.vault import Vault
from mysafe.storage.blobs.directory import DirectoryStore
from mysafe.storage.blobs.store import BlobStore
from mysafe.storage.copies.sqlite import copy_database
from mysafe.storage.copies.tables import kept_blobs
from mysafe.storage.copies.transfer import copy_rows
from mysafe.storage.sqlite_lane import SqliteEngine

REFUSALS: tuple[type[Exception], ...] = (BackupRefused, age.AgeRefused)
"""What is raised here with one sentence for the operator, besides `app.REFUSALS`."""

IDS_AHEAD = 10_000
"""How many ids of each kind a restored vault skips, unless told otherwise."""

LONGEST_SECRET_BYTES = 65_536
"""Longest file with a passphrase or an identity."""

INCOMPLETE = ".incomplete.age"
"""How the names of daily backups end that lack contents the vault has lost."""

STATE = "backups.json"
"""File of the data directory that says when a backup was taken and proved last. It holds no secret."""

Clock = Callable[[], float]


class Terms(NamedTuple):
    """How a backup is restored.

    `provider` opens the vault, that of the settings without it, where nobody is asked; `is_verified` says whether
    every record and content is opened; `ids_ahead` how many ids of each kind are skipped;
    `is_rollback_accepted` whether the vault may be older than the last checkpoint of its audit log outside of it.
    """

    provider: RootKeyProvider | None = None
    is_verified: bool = True
    ids_ahead: int = IDS_AHEAD
    is_rollback_accepted: bool = False


class Restored(NamedTuple):
    """What came out of a backup. `opened` is None where the records were not opened."""

    unpacked: Unpacked
    opened: Opened | None
    seconds: float


def take(
    settings: Settings,
    target: Path,
    sealing: Sealing,
    *,
    vault: Vault | None = None,
    provider: RootKeyProvider | None = None,
) -> Taken:
    """Take a backup. `vault` is that of a running server; without it, the vault is opened with a provider.

    Raises:
        BackupRefused, AgeRefused, StorageRefused, Unavailable, OSError and what opening a vault raises.
    """
    if sealing.recipient is not None:
        age.check_recipient(sealing.recipient)
    if sealing.passphrase is not None:
        age.check_passphrase(sealing.passphrase)
    if not target.parent.is_dir():
        raise BackupRefused(f"{target.parent} is no directory")
    with _opened(settings, vault, provider) as opened:
        restoring.record(opened, Action.BACKUP_TAKE, target.name)
        now = int(opened.clock())
        source = Source(_copying(settings), opening.blob_store(settings), partial(_kept_now, opened))
        taken = taking.take(source, target, sealing, now)
    if not taken.lost:
        _remember(settings, "taken", now, target)
    return taken


def _kept_now(vault: Vault) -> frozenset[str]:
    return frozenset(blob.id for blob in vault.engine.look(kept_blobs).result())


def _copying(settings: Settings) -> taking.CopyDatabase:
    if settings.is_on_postgresql:
        return partial(_copy_rows, settings)
    return partial(copy_database, opening.database_path(settings))


def _copy_rows(settings: Settings, into: Path) -> None:
    """Fill a new SQLite database with the rows of another engine, as of one moment."""
    source = opening.open_engine(settings)
    try:
        target = SqliteEngine.create(into)
        try:
            copy_rows(source, target, lambda table, rows: None)
        finally:
            target.close()
    finally:
        source.close()


@contextmanager
def _opened(settings: Settings, vault: Vault | None, provider: RootKeyProvider | None) -> Iterator[Vault]:
    if vault is not None:
        yield vault
        return
    opened = opening.open_vault(settings, provider=provider)
    try:
        yield opened
    finally:
        opened.close()


def restore(settings: Settings, file: Path, means: Opening, terms: Terms) -> Restored:
    """Make the vault of a backup in the data directory of these settings, which is empty or not there.

    Every access token ends, and the ids that follow are further on, since some may have been given after the backup
    was made. Nothing gets its name before all of it is checked. A vault whose audit log does not extend the last
    checkpoint outside of it is only made where the rollback is accepted, which is recorded.

    Raises:
        RollbackDetected: the checkpoint file is ahead of the backup.
        as `take`; the data directory is as it was then.
    """
    data = settings.data.absolute()
    if settings.is_on_postgresql:
        raise BackupRefused("a backup is restored into a SQLite database: do that, then run mysafe migrate-database")
    if opening.database_path(settings).absolute() != data / DATABASE:
        raise BackupRefused(f"a backup is restored into {data / DATABASE}: unset database meanwhile, or set data")
    if data.exists() and any(data.iterdir()):
        raise BackupRefused(f"{data} is not empty: a backup is only restored into an empty or new directory")
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with scratch(data) as directory:
        new = directory / data.name
        restored = _unpack(settings, file, means, new, terms)
        if data.exists():
            data.rmdir()
        os.rename(new, data)
    sync_directory(data.parent)
    return restored


def _unpack(settings: Settings, file: Path, means: Opening, directory: Path, terms: Terms) -> Restored:
    began = time.monotonic()
    there = dataclasses.replace(settings, data=directory, database=None, key_file=opening.key_path(settings))
    directory.mkdir(mode=0o700)
    store = _store(there)
    unpacked = restoring.unpack(file, means, directory, store)
    restoring.skip_ids(directory / DATABASE, terms.ids_ahead)
    vault = opening.open_vault(there, provider=terms.provider)
    try:
        opened = _check(vault, store, unpacked) if terms.is_verified else None
        restoring.take_over(vault, unpacked.manifest)
        _weigh_rollback(vault, opening.checkpoint_file(settings), is_accepted=terms.is_rollback_accepted)
    finally:
        vault.close()
    return Restored(unpacked, opened, time.monotonic() - began)


def _check(vault: Vault, store: BlobStore, unpacked: Unpacked) -> Opened:
    """Do all that `mysafe verify` does, and open every content that came with the vault.

    The audit log is replayed first: it is the witness for the records. What lies outside the vault is not asked, since
    a backup may be older than that.

    Raises:
        BackupRefused: an entry of the audit log was changed or removed, a record does not open or is not the one that
            the log says, a content does not open.
    """
    verified = verifying.verify(vault, None)
    if verified.faults:
        first = verified.faults[0]
        where = f"entry {first.entry} " if first.entry else ""
        refuse(f"its audit log is not as it was written: {verified.fault_count} faults, first: {where}{first.text}")
    scrubbed, opened = scrubbing.examine(vault.engine, vault.keys)
    if scrubbed.fault_count:
        refuse(
            f"{scrubbed.fault_count} of its {scrubbed.records} records do not open or are not those of its audit log,"
            f" first {', '.join(scrubbed.faults)}"
        )
    missing = {*unpacked.left_out, *unpacked.lost}
    broken = open_contents(Shelf(vault.keys.vault_id, store), opened.contents, missing)
    if broken:
        refuse(f"{len(broken)} contents of files do not open, first the {broken[0]}")
    return opened


def _weigh_rollback(vault: Vault, file: CheckpointFile | None, *, is_accepted: bool) -> None:
    if file is None or not starting.is_rolled_back(vault, file):
        return
    if not is_accepted:
        raise RollbackDetected(
            f"the last checkpoint in {file.path} is of a later state than the backup, or of another one:"
            " restore the newest backup, or say with --accept-rollback that this one is wanted"
        )
    starting.accept_rollback(vault, file)


def accept_rollback(settings: Settings, provider: RootKeyProvider | None = None) -> int:
    """Go on with the state of a vault that is there, and record that; return how many entries were given up, at most.

    Raises:
        RollbackDetected: there is nothing to accept, or no file of checkpoints.
    """
    file = opening.checkpoint_file(settings)
    if file is None:
        raise RollbackDetected("audit_checkpoint_file is not set: nothing says that anything was rolled back")
    with _opened(settings, None, provider) as vault:
        return starting.accept_rollback(vault, file)


def _store(settings: Settings) -> DirectoryStore:
    if settings.files_store is not None:
        raise BackupRefused("a backup is restored into the directory of the vault: unset files_store meanwhile")
    return DirectoryStore(settings.data / "blobs")


def prove(settings: Settings, file: Path, means: Opening, provider: RootKeyProvider | None = None) -> Restored:
    """Restore a backup into a scratch directory, open everything, and write down that it was proved.

    One that lacks contents the vault had lost opens, but proves nothing, and is not written down.

    Raises:
        as `restore`.
    """
    with tempfile.TemporaryDirectory(prefix="mysafe-prove-") as directory:
        new = Path(directory, "data")
        key = opening.key_path(settings)
        there = dataclasses.replace(
            settings, files_store=None, files_s3_file=None, key_file=key, audit_checkpoint_file=None
        )
        restored = _unpack(there, file, means, new, Terms(provider, ids_ahead=0))
    if restored.unpacked.lost:
        return restored
    if settings.is_on_postgresql or opening.database_path(settings).exists():
        with _opened(settings, None, provider) as vault:
            if vault.keys.vault_id.hex() != restored.unpacked.manifest.vault_id:
                raise BackupRefused("the backup is whole, but it is one of another vault")
            restoring.record(vault, Action.BACKUP_PROVE, file.name)
            _remember(settings, "proved", int(vault.clock()), file)
    return restored


def schedule(settings: Settings) -> Schedule | None:
    """Return the schedule of these settings, or None."""
    if settings.backup_directory is None:
        return None
    return Schedule(settings.backup_directory, settings.backup_at, settings.backup_keep)


def chores(settings: Settings, vault: Vault) -> tuple[DailyBackup, ...]:
    """Return the chore of taking the backups of the schedule, if there is one, while a vault is open."""
    planned = schedule(settings)
    if planned is None:
        return ()
    sealing = Sealing(recipient=settings.backup_recipient)

    def take_one(path: Path) -> None:
        taken = take(settings, path, sealing, vault=vault)
        if taken.lost:
            _set_apart(path)
            raise BackupRefused(lost_contents(taken.lost))

    return (DailyBackup(planned, take_one),)


def _set_apart(path: Path) -> None:
    """Give a backup that is not whole another name, so that no whole one is removed for it; only the newest stays."""
    for older in path.parent.glob(f"mysafe-*{INCOMPLETE}"):
        older.unlink()
    os.rename(path, path.with_name(path.name.removesuffix(".age") + INCOMPLETE))


def lost_contents(lost: Sequence[str]) -> str:
    """Return the sentence about contents that a backup lacks because the vault lost them."""
    return f"the vault has lost {len(lost)} contents of files, first {lost[0]}: the backup holds everything else"


def read_secret(file: Path) -> SecretText:
    """Return the text of a file with a passphrase or an identity, which nobody else may read.

    Raises:
        BackupRefused: it cannot be read, is open to others, or is empty.
    """
    try:
        text = read_private(file, LONGEST_SECRET_BYTES, "file").decode("utf-8").rstrip("\r\n")
    except RootKeyRefused as refused:
        raise BackupRefused(str(refused)) from None
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise BackupRefused(f"the file {file} holds no text")
    return SecretText(text)


class Last(NamedTuple):
    """When a backup was taken or proved last, in Unix seconds, and which file it was; 0 and "" for never."""

    at: int = 0
    file: str = ""


def last(settings: Settings, what: str) -> Last:
    """Return when a backup was `taken` or `proved` last, as far as is known."""
    try:
        found = json.loads((settings.data / STATE).read_text(encoding="utf-8"))[what]
        return Last(int(found["at"]), str(found["file"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Last()


def times(settings: Settings) -> dict[str, int]:
    """Return the Unix times at which a backup was last taken and proved, 0 for never."""
    return {what: last(settings, what).at for what in ("taken", "proved")}


def _remember(settings: Settings, what: str, at: int, file: Path) -> None:
    known = {name: last(settings, name)._asdict() for name in ("taken", "proved")}
    known[what] = {"at": at, "file": str(file)}
    path = settings.data / STATE
    partial = path.with_name(f".{STATE}.{os.getpid()}")
    partial.write_text(json.dumps(known), encoding="utf-8")
    os.replace(partial, path)
