# SPDX-License-Identifier: Apache-2.0
"""T-LANE: nothing ends the lane, and nothing of a group that was told it failed is stored.

SQLite ends a transaction by itself on some errors, also when a statement only reads. What follows must not be written
outside of any transaction.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import apsw
import pytest

from mysafe.domain.errors import Busy, NoSpace
from mysafe.storage import items, sqlite_lane
from mysafe.storage.engine import Transaction
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.lane import PATIENCE_SECONDS, Held, append, error_of, limit_pages, rows
from tests.support.rows import item_row

pytestmark = pytest.mark.sqlite("the lane of SQLite, on a file layer that fails")

SOON_SECONDS = 2

# -- an answer for everybody ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_future_that_its_caller_cancelled_leaves_the_others_answered(
    engine: SqliteEngine, is_cancelled: bool
) -> None:
    held = Held(engine)
    first, second = engine.submit(append), engine.submit(append)
    if is_cancelled:
        first.cancel()
    held.release()
    assert second.exception(SOON_SECONDS) is None
    assert engine.submit(append).exception(SOON_SECONDS) is None


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_no_error_of_a_unit_ends_the_lane(engine: SqliteEngine, error: type[BaseException]) -> None:
    def work(tx: Transaction) -> None:
        raise error

    assert isinstance(engine.submit(work).exception(SOON_SECONDS), error)
    assert engine.submit(append).exception(SOON_SECONDS) is None


class Interrupted(SimpleQueue[object]):
    """A queue that lets something happen between the question whether there is room, and the entry."""

    meanwhile: Callable[[], None] | None = None

    def qsize(self) -> int:
        if self.meanwhile is not None:
            self.meanwhile()
        return super().qsize()


@pytest.mark.parametrize("is_closed_meanwhile", [False, True])
def test_a_unit_that_comes_while_the_engine_closes_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_closed_meanwhile: bool
) -> None:
    monkeypatch.setattr(sqlite_lane, "SimpleQueue", Interrupted)
    engine = SqliteEngine.create(tmp_path / "vault.db")
    if is_closed_meanwhile:
        monkeypatch.setattr(Interrupted, "meanwhile", lambda _: engine.close())
    error = engine.submit(append).exception(SOON_SECONDS)
    assert isinstance(error, Busy) if is_closed_meanwhile else error is None
    engine.close()


# -- SQLite gives up the transaction by itself ---------------------------------------------------------------------


class FailingReads(apsw.VFS):
    """Pass everything to the real file layer, but fail the next read when `is_armed`."""

    NAME = "failing-reads"

    def __init__(self) -> None:
        self.real = apsw.vfs_names()[0]
        super().__init__(self.NAME, self.real, makedefault=True)
        self.is_armed = False

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, reads: FailingReads, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        super().__init__(reads.real, name, flags)
        self._reads = reads

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  # SQLite's name
        if self._reads.is_armed:
            self._reads.is_armed = False
            raise apsw.exception_for(apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)


@pytest.fixture
def reads() -> Iterator[FailingReads]:
    layer = FailingReads()
    yield layer
    apsw.set_default_vfs(layer.real)
    apsw.unregister_vfs(layer.NAME)


def fill(tx: Transaction) -> None:
    for number in range(1, 50):
        items.insert(tx, item_row(number)._replace(secret=bytes(3000)), [])


@pytest.mark.parametrize("is_read_failing", [False, True])
def test_after_a_read_that_fails_only_answered_units_are_stored(
    tmp_path: Path, reads: FailingReads, is_read_failing: bool
) -> None:
    path = tmp_path / "vault.db"
    engine = SqliteEngine.create(path)
    engine.submit(fill).result(PATIENCE_SECONDS)
    engine.close()
    engine = SqliteEngine.open(path)  # its cache is empty, so that the unit must read the file

    def read(tx: Transaction) -> None:
        reads.is_armed = is_read_failing
        items.find(tx, "password", 30)

    held = Held(engine)
    futures = [engine.submit(work) for work in (append, read, append, append)]
    held.release()
    errors = [error_of(future) for future in futures]
    assert (errors[1] is None) == (not is_read_failing)
    assert not reads.is_armed
    stored = rows(engine)
    engine.close()
    assert stored == [errors[at] for at in (0, 2, 3)].count(None)


@pytest.mark.parametrize("goes_on", [False, True])
def test_after_a_unit_that_hides_a_full_disk_only_answered_units_are_stored(
    engine: SqliteEngine, goes_on: bool
) -> None:
    engine.submit(append).result(PATIENCE_SECONDS)
    limit_pages(engine, spare=2)
    hidden: list[NoSpace] = []

    def hide(tx: Transaction) -> None:
        try:
            items.insert(tx, item_row(1)._replace(secret=bytes(100_000)), [])
        except NoSpace as error:
            hidden.append(error)
        if goes_on:
            append(tx)  # SQLite has no transaction any more, and would commit this by itself

    held = Held(engine)
    futures = [engine.submit(work) for work in (append, hide, append, append)]
    held.release()
    errors = [error_of(future) for future in futures]
    assert hidden
    assert rows(engine) == 1 + [errors[at] for at in (0, 2, 3)].count(None)
