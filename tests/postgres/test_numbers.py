# SPDX-License-Identifier: Apache-2.0
"""An identifier is given once, also when the server forgets that it was asked for (R-REL-01)."""

from collections import Counter
from collections.abc import Iterator

import pytest

from mysafe.domain.errors import NotFound
from mysafe.storage import audit_log
from mysafe.storage.engine import Transaction
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.postgres.transaction import IDS_AT_ONCE, PostgresTransaction
from private_postgres import Cluster, private_cluster
from tests.support.rows import audit_row

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS = 20


@pytest.fixture
def forgetful() -> Iterator[Cluster]:
    """A server that writes nothing before it must."""
    with private_cluster({"wal_writer_delay": "10s", "log_min_messages": "panic"}) as own:
        yield own


def number(tx: Transaction) -> int:
    found = tx.next_id("password")
    audit_log.append(tx, audit_row())
    return found


def take_and_fail(tx: Transaction) -> int:
    number(tx)
    raise NotFound("password")


def given_twice(forgetful: Cluster) -> set[int]:
    """Let one server take a block in vain before a crash; return what it and another give afterwards more than once."""
    one = PostgresEngine.create(forgetful.address, connections=1)
    assert isinstance(one.submit(take_and_fail).exception(PATIENCE_SECONDS), NotFound)
    forgetful.kill()
    forgetful.start()
    one.look(audit_log.count).result(PATIENCE_SECONDS)  # it connects again
    other = PostgresEngine.open(forgetful.address, connections=1)
    given = Counter(engine.submit(number).result(PATIENCE_SECONDS) for _ in range(100) for engine in (other, one))
    one.close()
    other.close()
    return {number for number, times in given.items() if times > 1}


def test_numbers_of_a_block_that_the_server_forgot_are_not_given(forgetful: Cluster) -> None:
    assert given_twice(forgetful) == set()


def test_control_numbers_that_are_shared_before_the_commit_are_given_twice(
    forgetful: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = PostgresTransaction._take_block

    def take_and_share(self: PostgresTransaction, sequence: str) -> int:
        first = take(self, sequence)
        self._numbers.share(sequence, [*range(first + IDS_AT_ONCE - 1, first, -1)])
        return first

    monkeypatch.setattr(PostgresTransaction, "_take_block", take_and_share)
    assert given_twice(forgetful) != set()


def test_numbers_go_on_in_order_whichever_connection_asks(forgetful: Cluster) -> None:
    engine = PostgresEngine.create(forgetful.address, connections=4)
    numbers = [engine.submit(number).result(PATIENCE_SECONDS) for _ in range(2 * IDS_AT_ONCE)]
    assert numbers == [*range(numbers[0], numbers[0] + 2 * IDS_AT_ONCE)]
    engine.close()
