# SPDX-License-Identifier: Apache-2.0
"""Sessions, second factors, links, and failed sign-ins as rows."""

from typing import NamedTuple

from sqlalchemy import Table, bindparam, delete, select, text, update

from mysafe.storage import schema
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import RecordRow, RecordTable
from mysafe.storage.statements import Statement, compile_statement, insert_all

MOST_SWEPT = 100
"""Most rows removed at once whose time is over."""


class Tries(NamedTuple):
    """How often signing in failed in a row, and when it was tried last (Unix seconds)."""

    failures: int
    last_at: int


def _of_owner(table: Table) -> Statement:
    return compile_statement(
        select(table).where(table.c.owner_id == bindparam("owner")).order_by(table.c.id), ("owner",)
    )


def _drop(table: Table) -> Statement:
    return compile_statement(delete(table).where(table.c.id == bindparam("id")), ("id",), changes_remembered=True)


def _sweep(table: Table) -> Statement:
    over = (
        select(table.c.id)
        .where(table.c.expires_at < bindparam("before"))
        .order_by(table.c.expires_at)
        .suffix_with(text(f"LIMIT {MOST_SWEPT}"))  # a bound limit spoils the plan on PostgreSQL
    )
    return compile_statement(delete(table).where(table.c.id.in_(over)), ("before",), changes_remembered=True)


class OwnedRecords(RecordTable):
    """The statements of a table of records that belong to a user and end."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._of_owner = _of_owner(table)
        self._drop = _drop(table)
        self._sweep = _sweep(table)

    def of_owner(self, tx: Transaction, owner_id: int) -> list[RecordRow]:
        """Return the records of a user, ascending by id."""
        return [RecordRow._make(row) for row in tx.rows(self._of_owner, owner_id)]

    def drop(self, tx: Transaction, record_id: int) -> bool:
        """Remove a record; return False if it is not there."""
        return tx.execute(self._drop, record_id) > 0

    def sweep(self, tx: Transaction, before: int) -> int:
        """Remove records whose time was over before a moment (Unix seconds), at most MOST_SWEPT; return how many."""
        return tx.execute(self._sweep, before)


SESSIONS = OwnedRecords(schema.sessions)
FACTORS = OwnedRecords(schema.factors)
LINKS = OwnedRecords(schema.links)

_tries = schema.sign_in_tries
_READ_TRIES = compile_statement(
    select(_tries.c.failures, _tries.c.last_at).where(_tries.c.bidx == bindparam("bidx")), ("bidx",)
)
_INSERT_TRIES = insert_all(_tries)
_UPDATE_TRIES = compile_statement(
    update(_tries)
    .where(_tries.c.bidx == bindparam("of_bidx"))
    .values(failures=bindparam("new_failures"), last_at=bindparam("new_last")),
    ("new_failures", "new_last", "of_bidx"),
)
_DROP_TRIES = compile_statement(delete(_tries).where(_tries.c.bidx == bindparam("bidx")), ("bidx",))
_SWEEP_TRIES = compile_statement(
    delete(_tries).where(
        _tries.c.bidx.in_(
            select(_tries.c.bidx)
            .where(_tries.c.last_at < bindparam("before"), _tries.c.failures < bindparam("most"))
            .order_by(_tries.c.last_at)
            .suffix_with(text(f"LIMIT {MOST_SWEPT}"))
        )
    ),
    ("before", "most"),
)


def read_tries(tx: Transaction, bidx: bytes) -> Tries:
    """Return the failed sign-ins under a name, by its blind index."""
    row = tx.row(_READ_TRIES, bidx)
    return Tries(0, 0) if row is None else Tries(int(str(row[0])), int(str(row[1])))


def write_tries(tx: Transaction, bidx: bytes, tries: Tries) -> None:
    """Store the failed sign-ins under a name."""
    if not tx.execute(_UPDATE_TRIES, *tries, bidx):
        tx.execute(_INSERT_TRIES, bidx, *tries)


def drop_tries(tx: Transaction, bidx: bytes) -> None:
    """Forget the failed sign-ins under a name."""
    tx.execute(_DROP_TRIES, bidx)


def sweep_tries(tx: Transaction, before: int, most: int) -> int:
    """Forget names under which nothing was tried since a moment (Unix seconds), and less than `most` failed before.

    Returns how many, at most MOST_SWEPT.
    """
    return tx.execute(_SWEEP_TRIES, before, most)
