# SPDX-License-Identifier: Apache-2.0
"""Hold the writer lane, fill it, watch it. What these tests need of an engine besides the engine itself."""

import threading
from concurrent.futures import Future
from typing import TypeVar

from mysafe.domain.errors import NotFound
from mysafe.storage import audit_log
from mysafe.storage.engine import Engine, Transaction
from mysafe.storage.statements import Statement
from tests.support.faulty_files import FaultyFiles
from tests.support.rows import audit_row

T = TypeVar("T")

PATIENCE_SECONDS = 20


class Held:
    """The writer, held inside a unit, so that what is submitted meanwhile becomes one group."""

    def __init__(self, engine: Engine) -> None:
        self._release, is_held = threading.Event(), threading.Event()

        def wait(tx: Transaction) -> None:
            is_held.set()
            self._release.wait(PATIENCE_SECONDS)

        self._unit = engine.submit(wait)
        assert is_held.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        self._release.set()
        self._unit.exception(PATIENCE_SECONDS)  # its own fate does not matter


def append(tx: Transaction) -> None:
    audit_log.append(tx, audit_row())


def append_and_fail(tx: Transaction) -> None:
    append(tx)
    raise NotFound("password")


def fail(tx: Transaction) -> None:
    raise NotFound("password")


def rows(engine: Engine) -> int:
    return engine.look(audit_log.count).result(PATIENCE_SECONDS)


def error_of(future: "Future[T]") -> BaseException | None:
    return future.exception(PATIENCE_SECONDS)


def answered_unsynced(trace: list[str]) -> list[str]:
    """Return the answers that were given although no write and sync stood between them and their work."""
    wrong = []
    for at, event in enumerate(trace):
        if event.startswith("answer "):
            between = trace[trace.index(event.replace("answer", "work")) : at]
            storage = [one for one in between if one in {"write", "sync"}]
            if "write" not in storage or storage[-1] != "sync":
                wrong.append(event)
    return wrong


def trace_of(engine: Engine, files: FaultyFiles, units: int) -> list[str]:
    """Submit units that append a row, one in three of them together; return what happened in which order."""
    futures: list[Future[None]] = []
    held: Held | None = None
    for number in range(units):
        if number % 10 == 0 and held is None:
            held = Held(engine)

        def work(tx: Transaction, number: int = number) -> None:
            files.trace.append(f"work {number}")
            append(tx)

        future = engine.submit(work)
        future.add_done_callback(lambda _, number=number: files.trace.append(f"answer {number}"))  # type: ignore[misc]
        futures.append(future)
        if number % 10 == 3 and held is not None:
            held.release()
            held = None
        if held is None:
            future.result(PATIENCE_SECONDS)
    for future in futures:
        future.result(PATIENCE_SECONDS)
    engine.look(audit_log.count).result(PATIENCE_SECONDS)
    return list(files.trace)


def limit_pages(engine: Engine, spare: int | None) -> None:
    """Let the database grow by `spare` pages more, or without limit."""

    def limit(tx: Transaction) -> None:
        (pages,) = tx.rows(Statement("PRAGMA page_count"))[0]
        most = 2**32 - 2 if spare is None else int(str(pages)) + spare
        tx.rows(Statement(f"PRAGMA max_page_count = {most}"))

    engine.submit(limit).result(PATIENCE_SECONDS)
