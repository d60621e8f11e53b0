# SPDX-License-Identifier: Apache-2.0
"""Whether the database answers, for those who ask whether the server is ready."""

import asyncio
import contextlib
from functools import partial

from mysafe.services.observing.figures import begin_probe
from mysafe.services.vault import Vault

PATIENCE_SECONDS = 1.0
"""How long the database may take to answer."""

FRESH_SECONDS = 1.0
"""For how long an answer is good. Anybody may ask, and as often as they like; the database is asked no more often."""


class Probe:
    """Ask the database of a vault. For one event loop."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._answer: asyncio.Future[bool] | None = None
        self._asked_at = 0.0

    async def answers(self) -> bool:
        """Return whether the database answered within PATIENCE_SECONDS, now or just before."""
        loop = asyncio.get_running_loop()
        now, answer = loop.time(), self._answer
        # One that never comes must not be asked for again and again: it would fill the queue.
        if answer is None or (answer.done() and now - self._asked_at > FRESH_SECONDS):
            answer = self._answer = loop.create_future()
            self._asked_at = now
            begin_probe(self._vault, partial(_settle, loop, answer))
        await asyncio.wait((answer,), timeout=max(self._asked_at + PATIENCE_SECONDS - now, 0))
        return answer.done() and answer.result()


def _settle(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[bool]", is_there: bool) -> None:  # noqa: FBT001
    with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
        loop.call_soon_threadsafe(answer.set_result, is_there)
