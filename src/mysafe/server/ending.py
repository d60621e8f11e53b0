# SPDX-License-Identifier: Apache-2.0
"""The end of a server: nothing new is accepted, what is under way may finish, and what takes too long is hung up on.

To a request, being hung up on by the server is the same as by its client: an upload leaves nothing, a download ends
too early, and what a unit of work has begun is committed or not, but never half.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

_log = logging.getLogger("mysafe.server")

CLEARING_SECONDS = 5
"""How long requests may clear up after they were hung up on. Then they are cancelled; the next start clears up."""

_TICK_SECONDS = 0.1


class EndingServer(uvicorn.Server):
    """Serve until it is told to end, and then at most `seconds` longer, plus CLEARING_SECONDS.

    Args:
        config: of uvicorn.
        seconds: how long what is under way may take after the server was told to end.
        drain_seconds: how long it goes on accepting before that, so that whoever sends requests notices.
        told: called in the signal handler as soon as it is told to end.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        seconds: int,
        drain_seconds: float = 0,
        told: Callable[[], None] | None = None,
    ) -> None:
        config.timeout_graceful_shutdown = seconds + CLEARING_SECONDS
        super().__init__(config)
        self._seconds = seconds
        self._drain_seconds = drain_seconds
        self._told = told

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear the signal to end."""
        if self._told is not None:
            self._told()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, wait for what is under way, and hang up on what does not finish in time."""
        await self._drain()
        bound = asyncio.get_running_loop().call_later(self._seconds, self._hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            bound.cancel()

    async def _drain(self) -> None:
        end = time.monotonic() + self._drain_seconds
        while time.monotonic() < end and not self.force_exit:  # a second Ctrl-C
            await asyncio.sleep(_TICK_SECONDS)

    def _hang_up(self) -> None:
        connections = list(self.server_state.connections)
        if connections:
            _log.warning(
                "%d connections were still busy after %d seconds and were cut", len(connections), self._seconds
            )
        for connection in connections:
            connection.transport.abort()  # close() would wait for a reader who does not read
