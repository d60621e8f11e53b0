# SPDX-License-Identifier: Apache-2.0
"""T-PGRESTART: the database restarts under load. Nothing acknowledged is lost, and errors end within five seconds."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mysafe.domain.errors import DatabaseUnreachable, Unavailable
from mysafe.storage import items
from mysafe.storage.engine import Engine, Transaction
from mysafe.storage.postgres import lane
from mysafe.storage.postgres.engine import PostgresEngine
from private_postgres import Cluster
from tests.support.rows import item_row

pytestmark = pytest.mark.postgres

WRITERS = 4
LONGEST_ERRORS_SECONDS = 5.0


def store(tx: Transaction) -> int:
    number = tx.next_id("password")
    items.insert(tx, item_row(number), [(1, 2)])
    return number


class Load:
    """Writers who go on whatever happens, and what they were told."""

    def __init__(self, engine: Engine, *, patience: float = 20) -> None:
        self.engine = engine
        self.patience = patience
        self.acknowledged: list[int] = []
        self.failures: list[tuple[float, Exception]] = []
        self._is_over = threading.Event()

    def write(self) -> None:
        while not self._is_over.is_set():
            try:
                self.acknowledged.append(self.engine.submit(store).result(20))
            except Unavailable as error:
                self.failures.append((time.monotonic(), error))

    def during(self, disturb: Callable[[], None]) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            runs = [pool.submit(self.write) for _ in range(WRITERS)]
            try:
                self._until_more()
                disturb()
                self._until_more()
            finally:
                self._is_over.set()
            for run in runs:
                run.result(30)

    def _until_more(self) -> None:
        """Wait for a hundred more acknowledgements."""
        wanted, until = len(self.acknowledged) + 100, time.monotonic() + self.patience
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < until, "nothing is written any more"
            threading.Event().wait(0.01)

    def lost(self) -> set[int]:
        return set(self.acknowledged) - self._stored()

    def _stored(self) -> set[int]:
        found: set[int] = set()
        after = 0
        while rows := self.engine.look(partial(items.owned_by, kind="password", owner_id=1, after=after)).result(20):
            found |= {row.id for row in rows}
            after = rows[-1].id
        return found


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_loses_nothing_and_its_errors_are_short(cluster: Cluster, mode: str) -> None:
    engine = PostgresEngine.create(cluster.address, connections=WRITERS)
    load = Load(engine)
    back: list[float] = []

    def restart() -> None:
        cluster.restart(mode)
        back.append(time.monotonic())

    load.during(restart)
    assert load.lost() == set()
    assert all(isinstance(error, DatabaseUnreachable) for _, error in load.failures)
    assert all(at - back[0] < LONGEST_ERRORS_SECONDS for at, _ in load.failures)
    engine.close()


def test_control_an_engine_that_does_not_connect_again_is_found_out(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = PostgresEngine.create(cluster.address, connections=WRITERS)
    load = Load(engine, patience=LONGEST_ERRORS_SECONDS + 1)
    monkeypatch.setattr(lane.Lane, "_drop", lambda self: None)
    with pytest.raises(AssertionError, match="nothing is written any more"):
        load.during(partial(cluster.restart, "fast"))


def test_control_an_answer_before_the_commit_is_lost(cluster: Cluster) -> None:
    engine = PostgresEngine.create(cluster.address, connections=WRITERS)
    load = Load(engine)

    def store_and_tell(tx: Transaction) -> None:
        load.acknowledged.append(store(tx))
        tx.rows(items._COUNT)
        cluster.stop("immediate")

    with pytest.raises(DatabaseUnreachable):
        engine.submit(store_and_tell).result(20)
    cluster.start()
    assert len(load.lost()) == 1
    engine.close()
