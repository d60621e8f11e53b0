# SPDX-License-Identifier: Apache-2.0
"""A unit that everybody overtakes is served in the end, also where those who overtake it are in another process."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from mysafe.domain.errors import Busy
from mysafe.storage import items
from mysafe.storage.engine import Transaction
from mysafe.storage.postgres import lane
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.statements import Statement
from tests.support import databases
from tests.support.rows import item_row

pytestmark = pytest.mark.postgres

_KEYRING = Statement("SELECT version FROM keyring")
_NEXT = Statement("INSERT INTO keyring (version, active_epoch, sealed, created_at) VALUES (?, 1, '', 1)")
_ALL = Statement("SELECT count(*) FROM items WHERE id > ?")
_TAKES_LONG = Statement("SELECT pg_sleep(0.1)::text")


def write(tx: Transaction) -> None:
    """Read what everybody reads, and write: as every call does."""
    tx.rows(_KEYRING)
    items.insert(tx, item_row(tx.next_id("password")), [])


def write_what_everybody_reads(tx: Transaction) -> None:
    """Read what everybody writes, and write what everybody reads: as the end of a rotation does."""
    number = len(tx.rows(_KEYRING)) + 1
    tx.rows(_ALL, 0)
    tx.rows(_TAKES_LONG)
    tx.execute(_NEXT, number)


@contextmanager
def writers(address: str) -> Iterator[list[BaseException | None]]:
    """Let another process's engine write all the time; what its callers were told comes out."""
    is_over = threading.Event()
    told: list[BaseException | None] = []
    engine = PostgresEngine.open(address, connections=4)

    def go_on() -> None:
        while not is_over.is_set():
            told.append(engine.submit(write).exception(20))

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(go_on) for _ in range(4)]
        try:
            yield told
        finally:
            is_over.set()
        for run in runs:
            run.result(20)
    engine.close()


def outcomes(rounds: int) -> tuple[list[BaseException | None], list[BaseException | None]]:
    """Return what such a unit was told each time, and what the writers were told meanwhile."""
    address = databases.new_database()
    engine = PostgresEngine.open(address, connections=2)
    with writers(address) as told:
        mine = [engine.submit(write_what_everybody_reads).exception(60) for _ in range(rounds)]
    engine.close()
    return mine, told


def test_a_unit_that_others_always_overtake_is_served_and_fails_nobody() -> None:
    mine, told = outcomes(3)
    assert mine == [None] * 3
    assert {type(one) for one in told} == {type(None)}
    assert len(told) > 3


def test_control_among_the_others_it_is_never_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "APART", ())
    mine, _ = outcomes(1)
    assert [type(one) for one in mine] == [Busy]
