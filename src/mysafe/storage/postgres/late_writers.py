# SPDX-License-Identifier: Apache-2.0
"""Which numbers of the audit log can still come up: they are given when a row is written, and seen when it commits.

A transaction that has a number holds a lock on the table since before it got it, and lets it go after its commit can
be seen. So once all who held it when a row with a number could be seen are gone, no row up to that number can
appear any more: smaller numbers were given before.

The last number that was given would reach further, but it goes back when the server crashes: numbers that nobody
committed are given again then. A row that can be seen is on disk with all that it needs.
"""

from typing import NamedTuple

from mysafe.storage import audit_log
from mysafe.storage.engine import Transaction
from mysafe.storage.statements import Statement

_WRITERS = Statement(
    "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'"
    " AND relation = 'audit'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Mark(NamedTuple):
    """The number of the newest row that could be seen at a moment, and who was writing then."""

    last_id: int
    writers: frozenset[str]


def mark(tx: Transaction) -> Mark:
    """Return the number of the newest row, and then who writes. The order of the two questions matters."""
    return Mark(audit_log.last_id(tx), writers(tx))


def writers(tx: Transaction) -> frozenset[str]:
    """Return the transactions that write to the audit log now, or did in this transaction."""
    return frozenset(str(name) for (name,) in tx.rows(_WRITERS))
