# SPDX-License-Identifier: Apache-2.0
"""T-FAILOVER: the primary dies under load and its standby takes over. Nothing acknowledged is lost (R-REL-01, 06)."""

import time
from collections.abc import Iterator
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


def installed(directory: Path, servers: Pair) -> Installation:
    """Return a vault on a pair, served. The database is its own, not the one of the environment."""
    installation = Installation(directory, environment={"MYSAFE_DATABASE": servers.address}, is_on_sqlite=True)
    installation.start()
    return installation


def clients_of(installation: Installation) -> Clients:
    installation.command("user", "add", "alice")
    return Clients(installation.port, installation.token(installation.new_key("alice")))


def stored(servers: Pair) -> set[str]:
    with psycopg.connect(servers.primary.address) as connection:
        return {str(number) for (number,) in connection.execute("SELECT id FROM items").fetchall()}


def fail_over(servers: Pair, clients: Clients) -> float:
    """Kill the primary under load and promote the standby; return the seconds until something is written again."""
    clients.wait_for_items(30)
    killed = time.monotonic()
    servers.primary.kill()
    before = servers.promote()
    again = clients.wait_for_success(after=killed)
    servers.replace_standby(before)
    return again - killed


def test_three_failovers_lose_nothing_and_writes_go_on_within_ten_seconds(tmp_path: Path, synchronous: Pair) -> None:
    installation = installed(tmp_path, synchronous)
    clients = clients_of(installation)
    clients.start()
    try:
        seconds = [fail_over(synchronous, clients) for _ in range(FAILOVERS)]
        clients.wait_for_items(30)
    finally:
        clients.stop()
    print(f"writes again after {seconds} s, {len(clients.acknowledged)} items, {len(clients.failures)} failures")
    assert max(seconds) < LONGEST_SECONDS
    assert {status for status, _ in clients.failures} <= {502, 503}
    assert clients.lost() == set()
    assert clients.halves(stored(synchronous)) == set()
    assert clients.given_twice == set()
    installation.close()


def test_control_an_asynchronous_standby_that_lags_loses_what_was_acknowledged(
    tmp_path: Path, asynchronous: Pair
) -> None:
    installation = installed(tmp_path, asynchronous)
    clients = clients_of(installation)
    clients.start()
    try:
        asynchronous.cut_off()
        fail_over(asynchronous, clients)
    finally:
        clients.stop()
    assert len(clients.lost()) >= 30
    installation.close()
