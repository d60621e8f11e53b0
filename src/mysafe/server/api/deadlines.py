# SPDX-License-Identifier: Apache-2.0
"""Give up waiting when a request's time is over. One timer for all requests: a timer each would cost every request."""

import asyncio
import time
from concurrent.futures import Future
from typing import TypeVar

from mysafe.domain.errors import DeadlinePassed

T = TypeVar("T")

SWEEP_SECONDS = 0.25
"""How late a deadline may be noticed."""


class Deadlines:
    """Wait for the engine's futures in an event loop, each until its deadline."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def settled(self, future: "Future[T]", deadline: float) -> T:
        """Return the value of a future that another thread, or this loop, resolves.

        Args:
            deadline: `time.monotonic()` until which to wait, give or take SWEEP_SECONDS.

        Raises:
            DeadlinePassed: it is not resolved in time. What it does may still happen.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting[waiter] = deadline
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        future.add_done_callback(lambda _: _wake_on(loop, waiter))
        try:
            await waiter
        finally:
            del self._waiting[waiter]
        return future.result()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for waiter, deadline in self._waiting.items():
            if now > deadline and not waiter.done():
                waiter.set_exception(DeadlinePassed())
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._waiting else None


def _wake_on(loop: asyncio.AbstractEventLoop, waiter: "asyncio.Future[None]") -> None:
    """Wake the waiter from whatever thread resolved what it waits for."""
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        _wake(waiter)
    else:
        loop.call_soon_threadsafe(_wake, waiter)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
