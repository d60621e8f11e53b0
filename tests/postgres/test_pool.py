# SPDX-License-Identifier: Apache-2.0
"""T-POOL: many callers on few connections, and somebody else's transaction in the way."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

import psycopg
import pytest

from mysafe.domain.errors import Busy
from mysafe.storage import items
from mysafe.storage.engine import Transaction
from mysafe.storage.postgres import lane
from mysafe.storage.postgres.address import connection_text
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.postgres.waiting import PATIENCE_SECONDS
from mysafe.storage.statements import Statement
from tests.support import databases
from tests.support.rows import item_row

pytestmark = pytest.mark.postgres

CONNECTIONS, CLIENTS = 5, 200
LONGEST_SECONDS = 3.0


@pytest.fixture
def address() -> str:
    return databases.new_database()


def make(tx: Transaction) -> None:
    items.insert(tx, item_row(1), [])


def make_another(tx: Transaction) -> int:
    number = tx.next_id("password")
    items.insert(tx, item_row(number), [])
    return number


def change(tx: Transaction) -> bool:
    return bool(tx.execute(_TOUCH))


_TOUCH = Statement("UPDATE items SET updated_at = updated_at + 1")


@contextmanager
def blocked(address: str) -> Iterator[None]:
    """Hold the lock of the only row, as a transaction that somebody forgot does."""
    with psycopg.connect(address) as other:
        other.execute("SELECT * FROM items FOR UPDATE")
        yield


def answered(futures: list[Future[bool]], began: float) -> list[float]:
    """Return after how many seconds each future was settled; infinity for those that still wait far too late."""
    times: list[float] = []
    for future in futures:
        future.add_done_callback(lambda _: times.append(time.monotonic() - began))
    _, waiting = wait(futures, timeout=LONGEST_SECONDS + 1)
    return [*times, *(math.inf for _ in waiting)]


def slowest(address: str, patience: float, clients: int = CLIENTS) -> tuple[float, set[type[BaseException] | None]]:
    """Let many callers change a locked row; return when the last one was answered, and with which errors."""
    engine = PostgresEngine.open(address, connections=CONNECTIONS)
    engine.submit(make).result(20)
    engine.close()
    engine = PostgresEngine(connection_text(address, None), connections=CONNECTIONS, patience=patience)
    with blocked(address):
        began = time.monotonic()
        futures = [engine.submit(change) for _ in range(clients)]
        times = answered(futures, began)
        kept = [future for future in futures if not future.cancel()]
    errors = {type(error) if (error := future.exception(60)) else None for future in kept}
    again = time.monotonic()
    assert engine.submit(change).result(20)
    assert time.monotonic() - again < 2
    engine.close()
    return max(times), errors


def test_callers_of_a_blocked_row_are_told_busy_within_three_seconds_and_it_recovers(address: str) -> None:
    last, errors = slowest(address, PATIENCE_SECONDS)
    assert errors == {Busy}
    assert last < LONGEST_SECONDS


def test_control_without_limits_they_wait_longer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "STUCK_SECONDS", 60)
    last, _ = slowest(address, patience=60, clients=60)  # each connection has twelve to wait for
    assert last > LONGEST_SECONDS


def test_many_callers_on_few_connections_are_all_served(address: str) -> None:
    engine = PostgresEngine.open(address, connections=CONNECTIONS)
    futures = [engine.submit(make_another) for _ in range(CLIENTS)]
    numbers = {future.result(20) for future in futures}
    assert len(numbers) == engine.look(items.count).result(20) == CLIENTS
    engine.close()
