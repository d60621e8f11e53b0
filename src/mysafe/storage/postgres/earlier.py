# SPDX-License-Identifier: Apache-2.0
"""Wait until every transaction that has begun is over, in all servers of a vault.

Each transaction holds a lock on its own virtual id for as long as it lives, and everybody may see those locks. Only
this database counts: what somebody does in another one of the same cluster is none of ours.
"""

import time

from mysafe.domain.errors import DatabaseUnreachable
from mysafe.storage.engine import StorageRefused
from mysafe.storage.postgres.connection import Broken, Call, Failed, connect, rows_in
from mysafe.storage.postgres.history import Past
from mysafe.storage.statements import Statement

_LOOK_SECONDS = 0.05

_UNDER_WAY = Statement(
    "SELECT locks.virtualxid FROM pg_locks AS locks JOIN pg_stat_activity AS sessions ON sessions.pid = locks.pid"
    " WHERE locks.locktype = 'virtualxid' AND locks.granted AND locks.pid <> pg_backend_pid()"
    " AND sessions.datname = current_database()"
    " AND coalesce(sessions.backend_type, 'client backend') = 'client backend'"
)
"""The type of the sessions of other users is hidden."""


def wait_for_earlier(text: str, seconds: float, past: Past | None = None) -> bool:
    """Return True when all that had begun is over, False if it is not after so many seconds.

    Args:
        text: what the driver needs to connect.
        seconds: how long to wait at most.
        past: how far the database had come before; None if nothing is known yet.

    Raises:
        DatabaseUnreachable: the server does not answer.
    """
    try:
        connection = connect(text, past)
    except StorageRefused:
        raise DatabaseUnreachable from None
    try:
        until = time.monotonic() + seconds
        earlier = now = {row[0] for row in rows_in(connection.exchange([Call(_UNDER_WAY)])[0])}
        while (earlier := earlier & now) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            now = {row[0] for row in rows_in(connection.exchange([Call(_UNDER_WAY)])[0])}
    except (Broken, Failed):
        raise DatabaseUnreachable from None
    finally:
        connection.close()
    return not earlier
