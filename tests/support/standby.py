# SPDX-License-Identifier: Apache-2.0
"""A primary and a standby that takes its place, again and again: `Pair.address` names both."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import psycopg

from private_postgres import READY_SECONDS, Cluster

SETTINGS = {
    "wal_retrieve_retry_interval": "200ms",  # how long a standby that lost its primary looks for more, before it ends
    "wal_receiver_timeout": "10s",
    "max_wal_size": "1GB",
    "recovery_init_sync_method": "syncfs",
    "wal_keep_size": "256MB",
    "log_min_messages": "panic",
}


class Pair:
    """Two clusters that change places. `is_synchronous` says whether the primary waits for its standby."""

    def __init__(self, directory: Path, *, is_synchronous: bool) -> None:
        self._directory = directory
        self._is_synchronous = is_synchronous
        self._made = 0
        self.primary = Cluster(self._next_place(), settings=SETTINGS)
        self.primary.start()
        self.standby = self._new_standby(0)

    @property
    def address(self) -> str:
        """The database `postgres` of whichever is the primary, through loopback."""
        ports = sorted((self.primary.port, self.standby.port))
        return f"postgresql://mysafe@{','.join(f'127.0.0.1:{port}' for port in ports)}/postgres"

    def promote(self) -> None:
        """Let the two change places, whatever became of the primary. The new one waits for no standby at first."""
        self.primary, self.standby = self.standby, self.primary
        ask(self.primary, "ALTER SYSTEM RESET synchronous_standby_names")
        ask(self.primary, "SELECT pg_reload_conf()")
        self.primary.promote()

    def replace_standby(self) -> None:
        """Give the new primary a standby, in the place of the old one and from nothing."""
        self.standby.stop("immediate")
        rmtree(self.standby.directory)
        self.standby = self._new_standby(self.standby.port)

    def cut_off(self) -> None:
        """Let the standby receive nothing any more."""
        ask(self.standby, "ALTER SYSTEM SET primary_conninfo = ''")
        ask(self.standby, "SELECT pg_reload_conf()")
        until(lambda: ask(self.standby, "SELECT count(*) FROM pg_stat_wal_receiver") == 0)

    def close(self) -> None:
        for cluster in (self.standby, self.primary):
            cluster.stop("immediate")

    def _new_standby(self, port: int) -> Cluster:
        standby = Cluster(self._next_place(), of=self.primary, port=port, settings=SETTINGS)
        standby.start()
        if self._is_synchronous:
            ask(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
            ask(self.primary, "ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
            ask(self.primary, "SELECT pg_reload_conf()")
        state = "sync" if self._is_synchronous else "async"
        until(lambda: ask(self.primary, "SELECT max(sync_state) FROM pg_stat_replication") == state)
        return standby

    def _next_place(self) -> Path:
        self._made += 1
        place = self._directory / str(self._made)
        place.mkdir(0o700)
        return place


@contextmanager
def pair(*, is_synchronous: bool = True) -> Iterator[Pair]:
    """A running pair. Its directory is short, because the path of a socket may not be long."""
    with TemporaryDirectory(prefix="pg.", dir="/tmp") as directory:  # of this name and mode 0700
        Path(directory).chmod(0o711)  # the servers may run as another user, each in a place of its own
        own = Pair(Path(directory), is_synchronous=is_synchronous)
        try:
            yield own
        finally:
            own.close()


def ask(cluster: Cluster, statement: str) -> object:
    """Run a statement on a server and return its only value, None if it has none."""
    with psycopg.connect(cluster.address, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + READY_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it never came to be so"
        threading.Event().wait(0.05)
