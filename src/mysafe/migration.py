# SPDX-License-Identifier: Apache-2.0
"""Move a vault from one database to another (docs/operate/postgresql.md)."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from mysafe import opening
from mysafe.config import Settings
from mysafe.services.audit_tree import scrubbing
from mysafe.services.backup.archive import BackupRefused
from mysafe.storage.copies.tables import AuditHead, audit_head, counts
from mysafe.storage.copies.transfer import copy_rows
from mysafe.storage.engine import Engine, StorageRefused
from mysafe.storage.sqlite_lane import SqliteEngine

Progress = Callable[[str, int, int], None]
"""Hear how many rows of how many are copied, and which table is at hand."""


class Moved(NamedTuple):
    """What was copied: rows of all tables, and records that were opened in the new database."""

    rows: int
    records: int


def migrate_database(settings: Settings, source: str, target: str, progress: Progress) -> Moved:
    """Copy the vault of one database into another one, empty or new, and open every record there.

    Nobody may use the vault meanwhile: what is written to the source is noticed at the end. The source stays as it is.

    Args:
        settings: what else is needed to open the vault, its root key above all.
        source, target: addresses, as for the setting `database`.
        progress: hears how far it is.

    Raises:
        BackupRefused, StorageRefused, Unavailable, and what opening a vault raises. The target holds no vault that
        would open as one then, or the sentence says what it lacks.
    """
    vault = opening.open_vault(dataclasses.replace(settings, database=source))
    try:
        total, before = _state(vault.engine)
        new = _made(settings, target)
        try:
            _copy(vault.engine, new, sum(total.values()), progress)
            if _state(vault.engine) != (total, before):
                raise StorageRefused("the vault was used meanwhile, and the copy is not whole: stop its servers first")
            if _state(new) != (total, before):
                raise StorageRefused("the copy does not have the rows of the source")
            scrubbed = scrubbing.examine(new, vault.keys).scrubbed
        finally:
            new.close()
    finally:
        vault.close()
    if scrubbed.fault_count:
        what = "records do not open in the copy, or are not those of its audit log"
        raise BackupRefused(f"{scrubbed.fault_count} {what}, first {', '.join(scrubbed.faults)}")
    return Moved(sum(total.values()), scrubbed.records)


def _state(engine: Engine) -> tuple[dict[str, int], AuditHead]:
    """Return how many rows each table has, and the newest of the audit log, as of one moment."""
    return engine.look(lambda tx: (counts(tx), audit_head(tx))).result()


def _made(settings: Settings, target: str) -> Engine:
    there = dataclasses.replace(settings, database=target)
    if there.is_on_postgresql:
        return opening.postgresql(there, is_new=True)
    path = opening.database_path(there)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteEngine.open(path) if path.exists() else SqliteEngine.create(path)


def _copy(source: Engine, target: Engine, total: int, progress: Progress) -> None:
    done = 0

    def hear(table: str, rows: int) -> None:
        nonlocal done
        done += rows
        progress(table, done, total)

    copy_rows(source, target, hear)
