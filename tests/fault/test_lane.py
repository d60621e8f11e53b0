# SPDX-License-Identifier: Apache-2.0
"""T-LANE: group commit. Who is answered, is on disk; who fails, fails alone; a failed commit fails all.

The file layer under SQLite records the order of things and fails on demand. The control is an engine that answers
before the commit; it must be found out.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from mysafe.domain.errors import DatabaseUnreachable, NoSpace, NotFound
from mysafe.storage.engine import Transaction
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.early_engine import EarlyEngine
from tests.support.faulty_files import FaultyFiles
from tests.support.lane import (
    PATIENCE_SECONDS,
    Held,
    answered_unsynced,
    append,
    append_and_fail,
    error_of,
    fail,
    rows,
    trace_of,
)

pytestmark = pytest.mark.sqlite("the lane of SQLite, on a file layer that fails")

# -- the answer comes after the fsync ------------------------------------------------------------------------------


def test_every_answer_comes_after_the_write_and_the_fsync_of_its_unit(engine: SqliteEngine, files: FaultyFiles) -> None:
    trace = trace_of(engine, files, 50)
    assert [event for event in trace if event.startswith("answer ")] == [f"answer {number}" for number in range(50)]
    assert answered_unsynced(trace) == []
    assert rows(engine) == 50


def test_an_engine_that_answers_before_the_commit_is_found_out(engine: SqliteEngine, files: FaultyFiles) -> None:
    early = EarlyEngine(engine)
    futures = []
    for number in range(3):

        def work(tx: Transaction, number: int = number) -> None:
            files.trace.append(f"work {number}")
            append(tx)

        future = early.submit(work)
        future.add_done_callback(lambda _, number=number: files.trace.append(f"answer {number}"))  # type: ignore[misc]
        futures.append(future)
    for future in futures:
        future.result(PATIENCE_SECONDS)
    engine.submit(append).result(PATIENCE_SECONDS)
    assert answered_unsynced(files.trace) != []


def test_one_fsync_serves_a_whole_group(engine: SqliteEngine, files: FaultyFiles) -> None:
    held = Held(engine)
    futures = [engine.submit(append) for _ in range(100)]
    files.trace.clear()
    held.release()
    for future in futures:
        future.result(PATIENCE_SECONDS)
    assert 1 <= files.trace.count("sync") <= 2  # a sync more when the log starts anew
    assert rows(engine) == 100


# -- who fails, fails alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [fail, append_and_fail])
def test_a_failing_unit_rolls_back_alone_and_its_neighbours_commit(
    engine: SqliteEngine, failing: Callable[[Transaction], None]
) -> None:
    held = Held(engine)
    works = [append, failing, append, append, failing, append]
    futures = [engine.submit(work) for work in works]
    held.release()
    assert [type(error_of(future)) for future in futures] == [
        NotFound if work is failing else type(None) for work in works
    ]
    assert rows(engine) == 4


def test_a_unit_that_undid_nothing_would_be_found_out(engine: SqliteEngine) -> None:
    def half(tx: Transaction) -> None:
        try:
            append_and_fail(tx)
        except NotFound:
            pass  # as a lane without a rollback would

    engine.submit(half).result(PATIENCE_SECONDS)
    assert rows(engine) == 1


def test_what_is_written_after_a_rollback_is_committed_with_the_group(engine: SqliteEngine) -> None:
    held = Held(engine)
    refused = engine.submit(append_and_fail, after_rollback=lambda tx, error: append(tx))
    neighbour = engine.submit(append)
    held.release()
    assert isinstance(error_of(refused), NotFound)
    assert error_of(neighbour) is None
    assert rows(engine) == 2


# -- the commit fails ----------------------------------------------------------------------------------------------


def test_a_failing_commit_fails_all_units_of_its_group_and_answers_none(
    engine: SqliteEngine, files: FaultyFiles, fatal: list[str]
) -> None:
    engine.submit(append).result(PATIENCE_SECONDS)
    held = Held(engine)
    futures = [engine.submit(append) for _ in range(5)]
    refused = engine.submit(fail)
    files.write_fault = apsw.SQLITE_FULL
    held.release()
    assert [type(error_of(future)) for future in [*futures, refused]] == [NoSpace] * 6
    files.write_fault = 0
    engine.submit(append).result(PATIENCE_SECONDS)
    assert rows(engine) == 2
    assert fatal == []


def test_an_engine_that_answers_before_a_failing_commit_is_found_out(engine: SqliteEngine, files: FaultyFiles) -> None:
    files.write_fault = apsw.SQLITE_FULL
    assert error_of(EarlyEngine(engine).submit(append)) is None
    assert isinstance(error_of(engine.submit(append)), NoSpace)  # by now the commit of the first has failed, too
    files.write_fault = 0
    assert rows(engine) == 0


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC])
def test_a_failed_fsync_fails_the_group_and_is_fatal(
    engine: SqliteEngine, files: FaultyFiles, fatal: list[str], code: int
) -> None:
    engine.submit(append).result(PATIENCE_SECONDS)
    assert fatal == []
    held = Held(engine)
    futures = [engine.submit(append) for _ in range(3)]
    files.sync_fault = code
    held.release()
    assert [type(error_of(future)) for future in futures] == [DatabaseUnreachable] * 3
    files.sync_fault = 0
    engine.submit(append).result(PATIENCE_SECONDS)
    assert fatal == ["stopped"]


STOPS = """
import sys
from pathlib import Path
from queue import SimpleQueue
import apsw
from mysafe.storage import audit_log
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.early_engine import EarlyEngine
from tests.support.faulty_files import faulty_files
from tests.support.rows import audit_row

with faulty_files() as files:
    engine = SqliteEngine.create(Path(sys.argv[1]))
    files.sync_fault = apsw.SQLITE_IOERR_FSYNC if sys.argv[2] == "broken" else 0
    engine.submit(lambda tx: audit_log.append(tx, audit_row())).exception()
    engine.close()
print("still here")
"""


@pytest.mark.parametrize(("disk", "status"), [("sound", 0), ("broken", 70)])
def test_a_failed_fsync_stops_the_process(tmp_path: Path, disk: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPS, str(tmp_path / "vault.db"), disk],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == status, done.stderr
    assert ("still here" in done.stdout) == (status == 0)
    assert ("fsync" in done.stderr) == (status == 70)
