# SPDX-License-Identifier: Apache-2.0
"""Backups of the vault of these settings: taken, restored, proved, and scheduled (docs/operate/backup.md)."""

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mysafe import opening
from mysafe.config import Settings
from mysafe.crypto import age
from mysafe.domain.actions import Action
from mysafe.services.audit_tree import starting
from mysafe.services.audit_tree.starting import RollbackDetected
from mysafe.services.backup import restoring, taking
from mysafe.services.backup.archive import DATABASE, BackupRefused, Manifest
from mysafe.services.backup.opening import Opened
from mysafe.services.backup.restoring import Opening
from mysafe.services.backup.schedule import Schedule, Scheduler
from mysafe.services.backup.streams import scratch, sync_directory
from mysafe.services.backup.taking import Sealing
from mysafe.services.vault import Vault
from mysafe.storage.blobs.directory import DirectoryStore
from mysafe.storage.copies.sqlite import copy_database
from mysafe.storage.copies.transfer import copy_rows
from mysafe.storage.sqlite_lane import SqliteEngine

REFUSALS: tuple[type[Exception], ...] = (BackupRefused, age.AgeRefused)
"""What is raised here with one sentence for the operator, besides `app.REFUSALS`."""

IDS_AHEAD = 10_000
"""How many ids of each kind a restored vault skips, unless told otherwise."""

STATE = "backups.json"
"""File of the data directory that says when a backup was taken and proved last. It holds no secret."""

Clock = Callable[[], float]


class Restored(NamedTuple):
    """What came out of a backup. `opened` is None where the records were not opened."""

    manifest: Manifest
    left_out: tuple[str, ...]
    opened: Opened | None
    seconds: float


def take(settings: Settings, target: Path, sealing: Sealing, *, vault: Vault | None = None) -> Manifest:
    """Take a backup. `vault` is that of a running server; without it, the vault is opened for its audit row.

    Raises:
        BackupRefused, AgeRefused, StorageRefused, Unavailable, OSError and what opening a vault raises.
    """
    if sealing.recipient is not None:
        age.check_recipient(sealing.recipient)
    if not target.parent.is_dir():
        raise BackupRefused(f"{target.parent} is no directory")
    with _opened(settings, vault) as opened:
        restoring.record(opened, Action.BACKUP_TAKE, target.name)
        now = int(opened.clock())
    manifest = taking.take(_copying(settings), opening.blob_store(settings), target, sealing, now)
    _remember(settings, "taken", now, target)
    return manifest


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
def _opened(settings: Settings, vault: Vault | None) -> Iterator[Vault]:
    if vault is not None:
        yield vault
        return
    opened = opening.open_vault(settings)
    try:
        yield opened
    finally:
        opened.close()


def restore(
    settings: Settings,
    file: Path,
    means: Opening,
    *,
    is_verified: bool,
    ids_ahead: int = IDS_AHEAD,
    is_rollback_accepted: bool = False,
) -> Restored:
    """Make the vault of a backup in the data directory of these settings, which is empty or not there.

    Every access token ends, and the ids that follow are `ids_ahead` further, since some may have been given after the
    backup was made. Nothing gets its name before all of it is checked. A vault whose audit log does not extend the last
    checkpoint outside of it is only made where the rollback is accepted, which is recorded.

    Raises:
        RollbackDetected: the checkpoint file is ahead of the backup.
        as `take`; the data directory is as it was then.
    """
    data = settings.data.absolute()
    if settings.is_on_postgresql:
        raise BackupRefused("a backup is restored into a SQLite database: do that, then run mysafe migrate-database")
    if data.exists() and any(data.iterdir()):
        raise BackupRefused(f"{data} is not empty: a backup is only restored into an empty or new directory")
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with scratch(data) as directory:
        new = directory / data.name
        restored = _unpack(settings, file, means, new, is_verified=is_verified, ids_ahead=ids_ahead)
        _weigh_rollback(_in(settings, new), is_accepted=is_rollback_accepted)
        if data.exists():
            data.rmdir()
        os.rename(new, data)
    sync_directory(data.parent)
    return restored


def _unpack(
    settings: Settings, file: Path, means: Opening, directory: Path, *, is_verified: bool, ids_ahead: int
) -> Restored:
    began = time.monotonic()
    there = _in(settings, directory)
    directory.mkdir(mode=0o700)
    manifest, left_out = restoring.unpack(file, means, directory, _store(there))
    restoring.skip_ids(directory / DATABASE, ids_ahead)
    vault = opening.open_vault(there)
    try:
        opened = restoring.check(vault) if is_verified else None
        restoring.take_over(vault, manifest)
    finally:
        vault.close()
    return Restored(manifest, left_out, opened, time.monotonic() - began)


def _in(settings: Settings, directory: Path) -> Settings:
    """Return the settings for a vault in another directory, with the same key."""
    return dataclasses.replace(settings, data=directory, database=None, key_file=opening.key_path(settings))


def _weigh_rollback(settings: Settings, *, is_accepted: bool) -> None:
    file = opening.checkpoint_file(settings)
    if file is None:
        return
    vault = opening.open_vault(settings)
    try:
        if not starting.is_rolled_back(vault, file):
            return
        if not is_accepted:
            raise RollbackDetected(
                f"the last checkpoint in {file.path} is of a later state than the backup, or of another one:"
                " restore the newest backup, or say with --accept-rollback that this one is wanted"
            )
        starting.accept_rollback(vault, file)
    finally:
        vault.close()


def accept_rollback(settings: Settings) -> int:
    """Go on with the state of a vault that is there, and record that; return how many entries were given up, at most.

    Raises:
        RollbackDetected: there is nothing to accept, or no file of checkpoints.
    """
    file = opening.checkpoint_file(settings)
    if file is None:
        raise RollbackDetected("audit_checkpoint_file is not set: nothing says that anything was rolled back")
    with _opened(settings, None) as vault:
        return starting.accept_rollback(vault, file)


def _store(settings: Settings) -> DirectoryStore:
    if settings.files_store is not None:
        raise BackupRefused("a backup is restored into the directory of the vault: unset files_store meanwhile")
    return DirectoryStore(settings.data / "blobs")


def prove(settings: Settings, file: Path, means: Opening) -> Restored:
    """Restore a backup into a scratch directory, open every record, and write down that it was proved.

    Raises:
        as `restore`.
    """
    with tempfile.TemporaryDirectory(prefix="mysafe-prove-") as directory:
        new = Path(directory, "data")
        key = opening.key_path(settings)
        there = dataclasses.replace(settings, files_store=None, files_s3_file=None, key_file=key)
        restored = _unpack(there, file, means, new, is_verified=True, ids_ahead=0)
    if settings.is_on_postgresql or opening.database_path(settings).exists():
        with _opened(settings, None) as vault:
            if vault.keys.vault_id.hex() != restored.manifest.vault_id:
                raise BackupRefused("the backup is whole, but it is one of another vault")
            restoring.record(vault, Action.BACKUP_PROVE, file.name)
            _remember(settings, "proved", int(vault.clock()), file)
    return restored


def schedule(settings: Settings) -> Schedule | None:
    """Return the schedule of these settings, or None."""
    if settings.backup_directory is None:
        return None
    return Schedule(settings.backup_directory, settings.backup_at, settings.backup_keep)


def schedulers(settings: Settings, vault: Vault) -> tuple[Scheduler, ...]:
    """Begin to take the backups of the schedule, if there is one, as long as a vault is open."""
    planned = schedule(settings)
    if planned is None:
        return ()
    sealing = Sealing(recipient=settings.backup_recipient)
    return (Scheduler(planned, lambda path: take(settings, path, sealing, vault=vault)),)


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


def _remember(settings: Settings, what: str, at: int, file: Path) -> None:
    known = {name: last(settings, name)._asdict() for name in ("taken", "proved")}
    known[what] = {"at": at, "file": str(file)}
    path = settings.data / STATE
    partial = path.with_name(f".{STATE}.{os.getpid()}")
    partial.write_text(json.dumps(known), encoding="utf-8")
    os.replace(partial, path)
