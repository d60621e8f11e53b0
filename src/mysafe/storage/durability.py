# SPDX-License-Identifier: Apache-2.0
"""What an open SQLite database says about itself, for the examination of an installation."""

from typing import NamedTuple

from mysafe.storage.engine import Transaction
from mysafe.storage.migrations import HEAD
from mysafe.storage.sqlite_connection import OLDEST_SQLITE, SYNCHRONOUS_FULL
from mysafe.storage.statements import Statement

_VERSION = Statement("SELECT sqlite_version()")
_JOURNAL = Statement("PRAGMA journal_mode")
_SYNCHRONOUS = Statement("PRAGMA synchronous")
_REVISION = Statement("SELECT version_num FROM alembic_version")


class Durability(NamedTuple):
    """What matters for keeping an acknowledged write, and the revision of the schema."""

    sqlite_version: str
    journal_mode: str
    synchronous: int
    revision: str

    @property
    def is_sqlite_recent(self) -> bool:
        """Whether this SQLite has no known way to corrupt the database."""
        return tuple(int(part) for part in self.sqlite_version.split(".")) >= OLDEST_SQLITE

    @property
    def is_durable(self) -> bool:
        """Whether a commit is on disk when it returns."""
        return (self.journal_mode, self.synchronous) == ("wal", SYNCHRONOUS_FULL)

    @property
    def is_schema_current(self) -> bool:
        """Whether the schema is that of this program."""
        return self.revision == HEAD


def read_durability(tx: Transaction) -> Durability:
    """Return what the database of a transaction says. Raises Unavailable."""
    answers = [tx.row(statement) for statement in (_VERSION, _JOURNAL, _SYNCHRONOUS, _REVISION)]
    version, journal, synchronous, revision = (row[0] if row else None for row in answers)
    return Durability(str(version), str(journal), int(str(synchronous)), str(revision))
