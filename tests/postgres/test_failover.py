# SPDX-License-Identifier: Apache-2.0
"""T-FAILOVER: the primary dies under load and its standby takes over. Nothing acknowledged is lost (R-REL-01, 06)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.process import Installation
from tests.support.standby import Pair, pair
from tests.support.steadfast import Clients

pytestmark = pytest.mark.postgres

FAILOVERS = 3
LONGEST_SECONDS = 10.0


@pytest.fixture
def synchronous() -> Iterator[Pair]:
    with pair() as own:
        yield own


@pytest.fixture
def asynchronous() -> Iterator[Pair]:
    with pair(is_synchronous=False) as own:
        yield own


@contextmanager
def clients_of(directory: Path, servers: Pair) -> Iterator[Clients]:
    """Clients of a vault on a pair: its own database, not the one of the environment. They end with the block."""
    installation = Installation(directory, environment={"MYSAFE_DATABASE": servers.address}, is_on_sqlite=True)
    installation.start()
    installation.command("user", "add", "alice")
    clients = Clients(installation.port, installation.token(installation.new_key("alice")))
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()
        installation.close()


def stored(servers: Pair) -> set[str]:
    with psycopg.connect(servers.primary.address) as connection:
        return {str(number) for (number,) in connection.execute("SELECT id FROM items").fetchall()}


def fail_over(servers: Pair, clients: Clients) -> float:
    """Kill the primary under load and promote the standby; return the seconds until something is written again."""
    clients.wait_for_items(30)
    killed = time.monotonic()
    servers.primary.kill()
    servers.promote()
    return clients.wait_for_success(after=killed) - killed


def test_three_failovers_lose_nothing_and_writes_go_on_within_ten_seconds(tmp_path: Path, synchronous: Pair) -> None:
    with clients_of(tmp_path, synchronous) as clients:
        seconds = []
        for _ in range(FAILOVERS):
            seconds.append(fail_over(synchronous, clients))
            synchronous.replace_standby()
        clients.wait_for_items(30)
        clients.stop()
        assert max(seconds) < LONGEST_SECONDS
        assert {status for status, _ in clients.failures} <= {502, 503}
        assert clients.wrong(stored(synchronous)) == set()


def test_control_an_asynchronous_standby_that_lags_loses_what_was_acknowledged(
    tmp_path: Path, asynchronous: Pair
) -> None:
    with clients_of(tmp_path, asynchronous) as clients:
        asynchronous.cut_off()
        fail_over(asynchronous, clients)
        clients.stop()
        assert len(clients.wrong(())) >= 20
