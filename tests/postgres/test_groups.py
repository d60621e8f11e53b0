# SPDX-License-Identifier: Apache-2.0
"""Units of one group share a transaction: what one of them wrote is committed, whatever the last of them did."""

from collections.abc import Callable, Iterator

import pytest

from mysafe.storage.engine import Transaction
from mysafe.storage.postgres.connection import Call, Connection
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.statements import Row, Statement
from tests.support import databases
from tests.support.lane import PATIENCE_SECONDS, Held, append, error_of, fail, rows
from tests.support.rows import audit_row

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine() -> Iterator[PostgresEngine]:
    with_one = PostgresEngine.open(databases.new_database(), connections=1)
    yield with_one
    with_one.close()


def touch_nothing(tx: Transaction) -> None:
    """Do what a unit does that needs no database."""


@pytest.mark.parametrize("last", [touch_nothing, fail])
def test_what_the_first_sent_late_is_committed_though_the_last_wrote_nothing(
    engine: PostgresEngine, last: Callable[[Transaction], None]
) -> None:
    held = Held(engine)
    first, second = engine.submit(append), engine.submit(last)
    engine.submit(touch_nothing)  # of those that wait the last is left to the next transaction
    held.release()
    assert first.result(PATIENCE_SECONDS) is None
    assert (error_of(second) is None) is (last is touch_nothing)
    assert rows(engine) == 1


def test_a_group_that_asked_nothing_sends_nothing(engine: PostgresEngine) -> None:
    held = Held(engine)
    both = [engine.submit(touch_nothing) for _ in range(3)]
    held.release()
    assert [one.result(PATIENCE_SECONDS) for one in both] == [None] * 3
    assert rows(engine) == 0


_NEWEST = Statement("SELECT at_ms FROM audit WHERE id > ?")


def _first(row: Row) -> object:
    return row[0]


def expecting(wanted: object) -> Callable[[Transaction], bool]:
    """Return a unit that writes what is right only if a row says what is wanted."""

    def work(tx: Transaction) -> bool:
        is_so = tx.expect(_NEWEST, 0, _first, wanted)
        append(tx)
        return is_so

    return work


def test_what_was_assumed_wrongly_is_never_committed_and_done_again(engine: PostgresEngine) -> None:
    engine.submit(append).result(PATIENCE_SECONDS)
    held = Held(engine)
    units = [engine.submit(expecting(wanted)) for wanted in (-1, -1, -1)]
    held.release()
    assert [one.result(PATIENCE_SECONDS) for one in units] == [False] * 3
    assert rows(engine) == 4


def test_what_was_assumed_rightly_costs_no_second_run(engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.submit(append).result(PATIENCE_SECONDS)
    sent: list[int] = []
    real = Connection.exchange

    def exchange(self: Connection, calls: list[Call]) -> object:
        sent.append(len(calls))
        return real(self, calls)

    monkeypatch.setattr(Connection, "exchange", exchange)

    wanted: object = audit_row().at_ms

    def read(tx: Transaction) -> bool:
        is_so = tx.expect(_NEWEST, 0, _first, wanted)
        return is_so and bool(tx.rows(_NEWEST, 0))

    assert engine.submit(read).result(PATIENCE_SECONDS)
    assert sent == [3, 1]  # the beginning, what was assumed, and the query; the commit
