# SPDX-License-Identifier: Apache-2.0
"""Which numbers of the audit log can still come up: they are given when a row is written, and seen when it commits.

A transaction that has a number holds a lock on the table since before it got it, and lets it go after its commit can
be seen. So once all who held it when a number was the last one are gone, no row up to that number can appear any more.
"""

from typing import NamedTuple

from mysafe.storage.engine import Transaction
from mysafe.storage.statements import Statement

_LAST = Statement("SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit', 'id')::regclass), 0)")
_WRITERS = Statement(
    "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'"
    " AND relation = 'audit'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Mark(NamedTuple):
    """The last number that was given at a moment, and who was writing then."""

    last_id: int
    writers: frozenset[str]


def mark(tx: Transaction) -> Mark:
    """Return the last number that was given, and then who writes. The order of the two questions matters."""
    (last,) = tx.rows(_LAST)[0]
    return Mark(int(str(last)), writers(tx))


def writers(tx: Transaction) -> frozenset[str]:
    """Return the transactions that write to the audit log now, or did in this transaction."""
    return frozenset(str(name) for (name,) in tx.rows(_WRITERS))
