# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL engine: a queue, and as many lanes as connections. Other servers may serve the same vault."""

import threading
from typing import ClassVar, Self

from mysafe.domain.errors import DatabaseUnreachable
from mysafe.storage.engine import Engine, EngineFigures, Leadership, StorageRefused, Unit, figures_of
from mysafe.storage.hosting import Host
from mysafe.storage.postgres import earlier
from mysafe.storage.postgres.address import connection_text
from mysafe.storage.postgres.connection import Broken, Call, Failed, connect, open_link, rows_in, why_unreachable
from mysafe.storage.postgres.history import Past
from mysafe.storage.postgres.lane import Lane, Shared
from mysafe.storage.postgres.leadership import LeadershipByLock
from mysafe.storage.postgres.migration import check_nothing_foreign, has_vault, migrate
from mysafe.storage.postgres.server_state import MOST_CONNECTIONS
from mysafe.storage.postgres.transaction import Numbers
from mysafe.storage.postgres.waiting import PATIENCE_SECONDS, Waiting

CONNECTIONS = 8


class PostgresEngine(Engine):
    """A PostgreSQL database. Use `create` or `open`.

    Args:
        text: what the driver needs to reach an existing, migrated database.
        connections: most connections, each with a thread of its own; they are made when they are needed.
        patience: how long a unit may wait for a connection, in seconds.
    """

    is_shared: ClassVar[bool] = True

    def __init__(self, text: str, *, connections: int = CONNECTIONS, patience: float = PATIENCE_SECONDS) -> None:
        self._text = text
        self._past = Past()
        shared = Shared(Numbers(), {}, threading.Lock(), self._past, set())
        self._waiting = Waiting(patience=patience)
        self._lanes = [Lane(self._waiting, text, shared) for _ in range(connections)]

    @classmethod
    def create(cls, address: str, password: str | None = None, *, connections: int = CONNECTIONS) -> Self:
        """Make the schema in an empty database and open it. Raises StorageRefused, also when there is a vault."""
        return cls._opened(address, password, connections, is_new=True)

    @classmethod
    def open(cls, address: str, password: str | None = None, *, connections: int = CONNECTIONS) -> Self:
        """Open a database; an older schema is migrated first. Raises StorageRefused."""
        return cls._opened(address, password, connections, is_new=False)

    @classmethod
    def _opened(cls, address: str, password: str | None, connections: int, *, is_new: bool) -> Self:
        text = connection_text(address, password)
        try:
            most = _most_connections(text)
            if connections > most:
                raise StorageRefused(
                    f"database_connections is {connections}, and the database server allows this user {most}: lower it,"
                    " or raise max_connections there"
                )
            link = open_link(text)
        except DatabaseUnreachable:
            raise StorageRefused(why_unreachable(text)) from None
        try:
            migrate(link)
            check_nothing_foreign(link)
            if is_new and has_vault(link):
                raise StorageRefused("there is a vault in the database already")
        finally:
            link.finish()
        return cls(text, connections=connections)

    def enqueue(self, unit: Unit) -> None:
        """Run a unit that may write; see `Engine.enqueue`."""
        self._waiting.put(unit, is_look=False)

    def enqueue_look(self, unit: Unit) -> None:
        """Run a unit that only reads; see `Engine.enqueue_look`."""
        self._waiting.put(unit, is_look=True)

    def run_units_on(self, host: Host | None) -> None:
        """Do nothing: a unit waits for the server several times, and an event loop must not wait."""

    def wait_for_earlier(self, seconds: float) -> bool:
        """Wait for the transactions of all servers; see `Engine.wait_for_earlier`."""
        return earlier.wait_for_earlier(self._text, seconds, self._past)

    def leadership(self) -> Leadership:
        """Return the leadership of a lock in the database; see `Engine.leadership`."""
        return LeadershipByLock(self._text, self._past)

    def figures(self) -> EngineFigures:
        """Return how the engine does; see `Engine.figures`."""
        units, looks = self._waiting.lengths()
        return figures_of(units, looks, [lane.tally for lane in self._lanes])

    def close(self) -> None:
        """Finish what is queued and close the connections."""
        self._waiting.close()
        for lane in self._lanes:
            lane.join()


def _most_connections(text: str) -> int:
    """Return how many connections a server allows at all. Raises as `connect`."""
    connection = connect(text)
    try:
        ((most,),) = rows_in(connection.exchange([Call(MOST_CONNECTIONS)])[0])
    except (Broken, Failed):
        raise DatabaseUnreachable from None
    finally:
        connection.close()
    return int(str(most))
