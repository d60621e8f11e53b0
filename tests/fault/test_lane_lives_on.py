# SPDX-License-Identifier: Apache-2.0
"""T-LANE, T-DISKFULL: the lane lives on. Full disk, full queue, lost time, closing, and a host that runs its units."""

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import apsw
import pytest

from mysafe.domain.errors import Busy, DeadlinePassed, NoSpace, NotFound, Unavailable
from mysafe.storage import audit_log, hosting, sqlite_connection, sqlite_lane
from mysafe.storage.engine import Transaction
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.faulty_files import FaultyFiles
from tests.support.lane import (
    PATIENCE_SECONDS,
    Held,
    answered_unsynced,
    append,
    append_and_fail,
    error_of,
    limit_pages,
    rows,
    trace_of,
)
from tests.support.rows import audit_row

pytestmark = pytest.mark.sqlite("the lane of SQLite, on a file layer that fails")

# -- the disk is full ----------------------------------------------------------------------------------------------


def test_a_full_disk_is_no_space_and_the_vault_recovers_by_itself(engine: SqliteEngine, fatal: list[str]) -> None:
    def append_two(tx: Transaction) -> None:
        for _ in range(2):
            audit_log.append(tx, audit_row(details=bytes(3000)))

    engine.submit(append_two).result(PATIENCE_SECONDS)
    limit_pages(engine, spare=5)
    errors = [error_of(engine.submit(append_two)) for _ in range(20)]
    assert {type(error) for error in errors} <= {type(None), NoSpace, *Unavailable.__subclasses__()}
    assert errors[0] is None
    assert isinstance(errors[-1], Unavailable)
    assert rows(engine) == 2 * (1 + errors.count(None))  # no half unit, and reading goes on
    limit_pages(engine, spare=None)
    stored = rows(engine)
    engine.submit(append_two).result(PATIENCE_SECONDS)
    assert rows(engine) == stored + 2
    assert fatal == []


# -- waiting -------------------------------------------------------------------------------------------------------


def test_a_unit_whose_deadline_passed_while_it_waited_is_not_run(engine: SqliteEngine) -> None:
    held = Held(engine)
    late = engine.submit(append, deadline=0)
    in_time = engine.submit(append, deadline=1e12)
    held.release()
    assert isinstance(error_of(late), DeadlinePassed)
    assert error_of(in_time) is None
    assert isinstance(error_of(engine.look(audit_log.count, deadline=0)), DeadlinePassed)
    assert rows(engine) == 1


def test_too_long_a_queue_is_busy_and_what_is_queued_is_still_run(engine: SqliteEngine) -> None:
    held = Held(engine)
    futures = [engine.submit(append) for _ in range(sqlite_lane.LONGEST_QUEUE)]
    refused = engine.submit(append)
    assert isinstance(error_of(refused), Busy)
    held.release()
    assert all(error_of(future) is None for future in futures)
    assert rows(engine) == len(futures)


def test_a_lock_held_by_another_process_is_busy(
    engine: SqliteEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "BUSY_MILLISECONDS", 20)
    impatient = SqliteEngine.open(tmp_path / "vault.db")
    held = Held(engine)  # another engine on the same file is to SQLite what another process is
    assert isinstance(error_of(impatient.submit(append)), Busy)
    held.release()
    assert error_of(impatient.submit(append)) is None
    impatient.close()


def test_closing_finishes_what_is_queued_and_refuses_more(engine: SqliteEngine) -> None:
    held = Held(engine)
    futures = [engine.submit(append) for _ in range(20)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    held.release()
    closing.join(PATIENCE_SECONDS)
    assert all(error_of(future) is None for future in futures)
    assert isinstance(error_of(engine.submit(append)), Busy)
    assert isinstance(error_of(engine.look(audit_log.count)), Busy)


# -- nothing ends the lane -----------------------------------------------------------------------------------------


# -- units on the thread of a host ---------------------------------------------------------------------------------


class Host:
    """A thread that runs what it is given, as an event loop would."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def __call__(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def close(self) -> None:
        self._jobs.put(None)
        self.thread.join(PATIENCE_SECONDS)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def whereabouts(tx: Transaction) -> threading.Thread:
    append(tx)
    return threading.current_thread()


def test_units_run_and_are_answered_on_the_hosts_thread_and_committed_before(
    engine: SqliteEngine, files: FaultyFiles
) -> None:
    host = Host()
    engine.run_units_on(host)
    answered: list[threading.Thread] = []
    future = engine.submit(whereabouts)
    future.add_done_callback(lambda _: answered.append(threading.current_thread()))
    assert future.result(PATIENCE_SECONDS) is host.thread
    assert answered == [host.thread]
    assert answered_unsynced(trace_of(engine, files, 50)) == []
    assert isinstance(error_of(engine.submit(append_and_fail)), NotFound)
    files.write_fault = apsw.SQLITE_FULL
    assert isinstance(error_of(engine.submit(append)), NoSpace)
    files.write_fault = 0
    engine.run_units_on(None)
    assert engine.submit(whereabouts).result(PATIENCE_SECONDS) is not host.thread
    assert rows(engine) == 52
    host.close()


def test_units_run_without_a_host_that_is_gone_or_does_not_come(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(job: Callable[[], None]) -> None:
        raise RuntimeError("the loop is closed")

    engine.run_units_on(gone)
    assert error_of(engine.submit(append)) is None
    monkeypatch.setattr(hosting, "PATIENCE_SECONDS", 0.01)
    late: SimpleQueue[Callable[[], None]] = SimpleQueue()
    engine.run_units_on(late.put)
    future = engine.submit(append)
    for job in [late.get(timeout=PATIENCE_SECONDS) for _ in range(2)]:
        job()  # the work, which the writer did itself after a while, and the answer
    assert error_of(future) is None
    engine.run_units_on(None)
    assert rows(engine) == 2
