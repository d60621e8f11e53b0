# SPDX-License-Identifier: Apache-2.0
"""Let another thread run a piece of the writer's work, while the writer waits (docs/decisions/0011).

Two threads that run Python at the same time pass the interpreter's lock back and forth at every statement. When the
event loop runs the units of a group itself, it changes hands once for a group.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

Host = Callable[[Callable[[], None]], object]
"""Run a function soon, once, on the host's own thread; return at once. Raises RuntimeError when the host is gone."""

PATIENCE_SECONDS = 1.0
"""How long a host may take to begin before the writer does the work itself."""


def run_hosted(host: Host | None, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises, having run it once, on the host's thread if there is one."""
    if host is None:
        return work()
    job = _Job(work)
    try:
        host(job.run)
    except RuntimeError:
        job.run()
    return job.result()


class _Job(Generic[T]):
    """Work that is run once, by whoever comes first."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._claim = threading.Lock()
        self._done = threading.Event()
        self._value: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001  # it is raised again where it belongs
            self._error = error
        finally:
            self._done.set()

    def result(self) -> T:
        if not self._done.wait(PATIENCE_SECONDS):
            self.run()  # the host has not begun; if it just did, this does nothing
            self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # work has returned
