# SPDX-License-Identifier: Apache-2.0
"""Slow work runs beside the loop, two at a time, and no endless queue forms."""

import asyncio
import threading

import pytest

from mysafe.domain.errors import Busy, NotFound, TooMany
from mysafe.server.api.slow_work import SlowPlaces, SlowWork


def test_work_runs_on_another_thread_and_its_error_comes_back() -> None:
    async def scene() -> None:
        work = SlowWork()
        assert await work.done(threading.get_ident, 1) != threading.get_ident()

        def fail() -> None:
            raise NotFound("user")

        with pytest.raises(NotFound):
            await work.done(fail, 1)

    asyncio.run(scene())


def test_too_much_waiting_work_is_busy_and_the_rest_is_done() -> None:
    async def scene() -> None:
        work, gate = SlowWork(), threading.Event()
        tasks = [asyncio.ensure_future(work.done(gate.wait, user)) for user in range(SlowPlaces.number)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await work.done(gate.wait, 1000)
        gate.set()
        assert all(await asyncio.gather(*tasks))
        assert await work.done(gate.wait, 1)

    asyncio.run(scene())


async def _served_beside_a_greedy_one() -> bool:
    """Let one user ask for as much as there is, and return whether another one is served meanwhile."""
    work, gate = SlowWork(), threading.Event()
    tasks = [asyncio.ensure_future(work.done(gate.wait, 1)) for _ in range(SlowPlaces.number)]
    await asyncio.sleep(0)
    other = asyncio.ensure_future(work.done(gate.wait, 2))
    await asyncio.sleep(0)
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes.count(True) == min(SlowPlaces.of_one, SlowPlaces.number)
    assert all(outcome is True or isinstance(outcome, TooMany) for outcome in outcomes)
    (outcome,) = await asyncio.gather(other, return_exceptions=True)
    return outcome is True


def test_a_user_who_asks_for_all_of_it_leaves_room_for_another_one() -> None:
    assert asyncio.run(_served_beside_a_greedy_one())


def test_without_a_part_for_each_the_other_one_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowPlaces, "of_one", SlowPlaces.number)
    assert not asyncio.run(_served_beside_a_greedy_one())
