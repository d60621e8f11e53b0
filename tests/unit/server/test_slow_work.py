# SPDX-License-Identifier: Apache-2.0
"""Slow work runs beside the loop, two at a time, and no endless queue forms."""

import asyncio
import threading

import pytest

from mysafe.domain.errors import Busy, NotFound
from mysafe.server.api import slow_work
from mysafe.server.api.slow_work import SlowWork


def test_work_runs_on_another_thread_and_its_error_comes_back() -> None:
    async def scene() -> None:
        work = SlowWork()
        assert await work.done(threading.get_ident) != threading.get_ident()

        def fail() -> None:
            raise NotFound("user")

        with pytest.raises(NotFound):
            await work.done(fail)

    asyncio.run(scene())


def test_too_much_waiting_work_is_busy_and_the_rest_is_done() -> None:
    async def scene() -> None:
        work, gate = SlowWork(), threading.Event()
        tasks = [asyncio.ensure_future(work.done(gate.wait)) for _ in range(slow_work.LONGEST_QUEUE)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await work.done(gate.wait)
        gate.set()
        assert all(await asyncio.gather(*tasks))
        assert await work.done(gate.wait)

    asyncio.run(scene())
