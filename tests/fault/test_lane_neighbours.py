# SPDX-License-Identifier: Apache-2.0
"""T-LANE: what a failing unit may say about itself, and what its failure does to a group on a full disk."""

from collections.abc import Callable

import pytest

from mysafe.domain.errors import AuditUnwritable, Conflict, DeadlinePassed, NoSpace
from mysafe.storage import items
from mysafe.storage.engine import Transaction
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.lane import PATIENCE_SECONDS, Held, append, append_and_fail, error_of, fail, limit_pages, rows
from tests.support.rows import item_row

pytestmark = pytest.mark.sqlite("the lane of SQLite, on a file layer that fails")


def raise_conflict(tx: Transaction, error: BaseException) -> None:
    raise Conflict("users")


@pytest.mark.parametrize("failing", [fail, append_and_fail])
def test_a_failure_to_record_a_failure_replaces_it_and_spares_the_neighbours(
    engine: SqliteEngine, failing: Callable[[Transaction], None]
) -> None:
    held = Held(engine)
    futures = [
        engine.submit(append),
        engine.submit(failing, after_rollback=raise_conflict),
        engine.submit(append),
    ]
    held.release()
    assert [type(error_of(future)) for future in futures] == [type(None), Conflict, type(None)]
    assert rows(engine) == 2


def test_a_unit_that_succeeds_has_nothing_to_record(engine: SqliteEngine) -> None:
    assert error_of(engine.submit(append, after_rollback=raise_conflict)) is None
    assert rows(engine) == 1


@pytest.mark.parametrize("failing", [fail, append_and_fail])
def test_what_happens_after_a_rollback_learns_what_failed(
    engine: SqliteEngine, failing: Callable[[Transaction], None]
) -> None:
    learnt: list[BaseException] = []
    future = engine.submit(failing, after_rollback=lambda tx, error: learnt.append(error))
    assert error_of(future) is not None
    assert learnt == [error_of(future)]


def test_the_work_of_a_late_unit_is_never_called_though_its_lateness_is_recorded(engine: SqliteEngine) -> None:
    called: list[str] = []
    late = engine.submit(lambda tx: called.append("work"), deadline=0, after_rollback=lambda tx, error: append(tx))
    in_time = engine.submit(lambda tx: called.append("in time"), deadline=1e12)
    assert isinstance(error_of(late), DeadlinePassed)
    assert error_of(in_time) is None
    assert called == ["in time"]
    assert rows(engine) == 1


# -- the disk is full ----------------------------------------------------------------------------------------------


def large(tx: Transaction) -> None:
    append(tx)
    items.insert(tx, item_row(1)._replace(secret=bytes(100_000)), [])


def test_a_full_disk_is_no_space_for_the_whole_group_and_stores_nothing_of_it(
    engine: SqliteEngine, fatal: list[str]
) -> None:
    engine.submit(append).result(PATIENCE_SECONDS)
    limit_pages(engine, spare=3)
    held = Held(engine)
    futures = [engine.submit(work) for work in (append, large, append)]
    held.release()
    assert [type(error_of(future)) for future in futures] == [NoSpace] * 3
    assert rows(engine) == 1
    assert engine.look(items.count).result(PATIENCE_SECONDS) == 0
    limit_pages(engine, spare=None)
    engine.submit(large).result(PATIENCE_SECONDS)
    assert (rows(engine), engine.look(items.count).result(PATIENCE_SECONDS)) == (2, 1)
    assert fatal == []


def test_a_full_disk_under_the_audit_log_is_audit_unwritable(engine: SqliteEngine) -> None:
    limit_pages(engine, spare=0)
    errors = [error_of(engine.submit(append)) for _ in range(100)]
    stored = errors.count(None)
    assert isinstance(errors[-1], AuditUnwritable)
    assert rows(engine) == stored
    limit_pages(engine, spare=None)
    assert error_of(engine.submit(append)) is None
