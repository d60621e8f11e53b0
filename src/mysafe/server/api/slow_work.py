# SPDX-License-Identifier: Apache-2.0
"""Run what takes a tenth of a second and more beside the event loop, a bounded amount of it at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mysafe.server.places import Places

T = TypeVar("T")

AT_ONCE = 2
"""A password hash takes 64 MiB while it is computed."""


class SlowPlaces(Places):
    """What runs and what waits."""

    number = 32
    of_one = 8


class SlowWork:
    """Two threads and a short queue, for one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="slow")
        self._places = SlowPlaces()

    def close(self) -> None:
        """Let the threads end. What waits is not done any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def done(self, work: Callable[[], T], user: int) -> T:
        """Return what `work` of a user returns, or raise what it raises.

        Raises Busy if too much is waiting, TooMany if too much of that is the user's.
        """
        with self._places.take() as place:
            place.give_to(user)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
