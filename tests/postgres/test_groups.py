# SPDX-License-Identifier: Apache-2.0
"""Units of one group share a transaction: what one of them wrote is committed, whatever the last of them did."""

from collections.abc import Callable, Iterator

import pytest

from mysafe.storage.engine import Transaction
from mysafe.storage.postgres.engine import PostgresEngine
from tests.support import databases
from tests.support.lane import PATIENCE_SECONDS, Held, append, error_of, fail, rows

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
