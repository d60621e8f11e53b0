# SPDX-License-Identifier: Apache-2.0
"""Give up waiting when a request's time is over. One timer for all requests: a timer each would cost every request."""

import asyncio
import threading
import time
from functools import partial
from typing import Any

from mysafe.domain.errors import DeadlinePassed
from mysafe.services.vault import Settle

SWEEP_SECONDS = 0.25
"""How late a deadline may be noticed."""


class Deadlines:
    """Wait in one event loop for what the vault settles, each until its deadline."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        # Asking for the running loop is a system call (Python 3.11), twice for each request.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def expect(self, deadline: float) -> tuple[asyncio.Future[Any], Settle]:
        """Return a future of the loop this runs in, and the function that settles it, from any thread.

        At `deadline`, in `time.monotonic()`, give or take SWEEP_SECONDS, the future fails with DeadlinePassed. What
        was begun may still happen then.
        """
        loop = self._loop
        if loop is None:
            loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
            self._loop = loop
        waiter: asyncio.Future[Any] = loop.create_future()
        self._waiting[waiter] = deadline
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        return waiter, partial(self._settle, loop, waiter)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for waiter, deadline in self._waiting.items():
            if now > deadline and not waiter.done():
                waiter.set_exception(DeadlinePassed())
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._waiting else None

    def _settle(
        self,
        loop: asyncio.AbstractEventLoop,
        waiter: asyncio.Future[Any],
        value: object,
        error: BaseException | None,
    ) -> None:
        if threading.get_ident() == self._thread:
            self._settle_here(waiter, value, error)
        else:
            loop.call_soon_threadsafe(self._settle_here, waiter, value, error)

    def _settle_here(self, waiter: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
        del self._waiting[waiter]
        if waiter.done():  # too late, or its request was cancelled
            return
        if error is None:
            waiter.set_result(value)
        else:
            waiter.set_exception(error)
