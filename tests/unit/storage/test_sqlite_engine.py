# SPDX-License-Identifier: Apache-2.0
"""Transactions of the SQLite engine: what work sees, what it gets back, and what a look may not do."""

import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from mysafe.domain.errors import DatabaseUnreachable, Unavailable
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.sqlite_lane import SqliteEngine
from mysafe.storage.sqlite_transaction import IDS_AT_ONCE
from mysafe.storage.statements import Statement

pytestmark = pytest.mark.sqlite("it opens files of SQLite")

INSERT = Statement("INSERT INTO sequences (name, next) VALUES (?, ?)")
UPDATE = Statement("UPDATE sequences SET next = next + ?")
SELECT = Statement("SELECT name, next FROM sequences ORDER BY name")
ONE = Statement("SELECT next FROM sequences WHERE name = ?")

PATIENCE_SECONDS = 20


def fill(tx: Transaction) -> None:
    tx.execute_many(INSERT, [("a", 1), ("b", 2), ("c", 3)])


def test_work_gets_back_rows_a_row_and_the_number_of_changes(engine: SqliteEngine) -> None:
    engine.submit(fill).result()
    for run in (engine.submit, engine.look):
        assert run(lambda tx: tx.rows(SELECT)).result() == [("a", 1), ("b", 2), ("c", 3)]
        assert run(lambda tx: tx.row(ONE, "b")).result() == (2,)
        assert run(lambda tx: tx.row(ONE, "z")).result() is None
        assert run(lambda tx: tx.remembered(ONE, "c", list)).result() == [3]
    assert engine.submit(lambda tx: tx.execute(UPDATE, 10)).result() == 3
    assert engine.submit(lambda tx: tx.execute(INSERT, "d", 4)).result() == 1


def test_work_sees_its_own_writes(engine: SqliteEngine) -> None:
    def work(tx: Transaction) -> object:
        fill(tx)
        return tx.rows(SELECT)

    assert engine.submit(work).result() == [("a", 1), ("b", 2), ("c", 3)]


def test_what_is_answered_is_seen_by_the_next_look(engine: SqliteEngine) -> None:
    engine.submit(fill).result()
    for number in range(50):
        engine.submit(lambda tx: tx.execute(UPDATE, 1)).result()
        assert engine.look(lambda tx: tx.row(ONE, "a")).result() == (number + 2,)


def test_a_look_sees_one_snapshot_while_others_write(engine: SqliteEngine) -> None:
    engine.submit(fill).result()
    has_read, go_on = threading.Event(), threading.Event()

    def look(tx: Transaction) -> tuple[object, object]:
        first = tx.rows(SELECT)
        has_read.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return first, tx.rows(SELECT)

    looking: Future[tuple[object, object]] = engine.look(look)
    assert has_read.wait(PATIENCE_SECONDS)
    engine.submit(lambda tx: tx.execute(UPDATE, 100)).result()
    assert engine.look(lambda tx: tx.row(ONE, "a")).result() == (101,)  # the other reader is free
    go_on.set()
    first, second = looking.result(PATIENCE_SECONDS)
    assert first == second == [("a", 1), ("b", 2), ("c", 3)]


def test_a_look_cannot_write(engine: SqliteEngine) -> None:
    engine.submit(fill).result()
    for work in (
        lambda tx: tx.execute(UPDATE, 1),
        lambda tx: tx.execute_many(INSERT, [("z", 1)]),
        lambda tx: tx.next_id("password"),
    ):
        with pytest.raises(Unavailable):
            engine.look(work).result()
    assert engine.look(lambda tx: tx.row(ONE, "a")).result() == (1,)


def test_an_unexpected_error_of_the_work_is_its_callers(engine: SqliteEngine) -> None:
    def work(tx: Transaction) -> None:
        raise ZeroDivisionError

    for run in (engine.submit, engine.look):
        with pytest.raises(ZeroDivisionError):
            run(work).result()
        assert run(lambda tx: tx.rows(SELECT)).result() == []


def test_errors_of_the_database_do_not_quote_values(engine: SqliteEngine) -> None:
    engine.submit(fill).result()
    with pytest.raises(UniqueClash) as clash:
        engine.submit(lambda tx: tx.execute(INSERT, "a", 1)).result()
    with pytest.raises(DatabaseUnreachable) as nonsense:
        engine.submit(lambda tx: tx.rows(Statement("NONSENSE"))).result()
    assert (str(clash.value), str(nonsense.value)) == ("", "")


def test_each_sequence_counts_from_one(engine: SqliteEngine) -> None:
    def work(tx: Transaction) -> list[int]:
        return [tx.next_id(name) for name in ("password", "users", "password", "password")]

    assert engine.submit(work).result() == [1, 1, 2, 3]
    assert [engine.submit(lambda tx: tx.next_id("password")).result() for _ in range(IDS_AT_ONCE)] == list(
        range(4, IDS_AT_ONCE + 4)
    )


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    SqliteEngine.create(path).close()
    given: list[int] = []
    for _ in range(5):
        engine = SqliteEngine.open(path)
        given += [engine.submit(lambda tx: tx.next_id("password")).result() for _ in range(3)]
        engine.close()
    assert given == sorted(set(given))
    assert given[0] == 1


def test_many_threads_get_their_own_answers(engine: SqliteEngine) -> None:
    given: list[int] = []

    def take() -> None:
        given.extend(engine.submit(lambda tx: tx.next_id("password")).result(PATIENCE_SECONDS) for _ in range(200))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(given) == list(range(1, 1601))
