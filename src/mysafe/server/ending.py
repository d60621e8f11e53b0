# SPDX-License-Identifier: Apache-2.0
"""The end of a server: nothing new is accepted, what is under way may finish, and what takes too long is hung up on.

Before that, a server behind a load balancer goes on as usual for a while, except that it is not ready any more and asks
for every connection to be closed. So nobody sends it a request that it will not answer.

To a request, being hung up on by the server is the same as by its client: an upload leaves nothing, a download ends
too early, and what a unit of work has begun is committed or not, but never half.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from mysafe.server import service_manager
from mysafe.server.handshakes import PatientServer

_log = logging.getLogger("mysafe.server")

CLEARING_SECONDS = 5
"""How long requests may clear up after they were hung up on. Then they are cancelled; the next start clears up."""

_CLOSE = (b"connection", b"close")
_TICK_SECONDS = 0.1


def nobody() -> None:
    """Tell nobody that the server ends."""


class EndingServer(PatientServer):
    """Serve until it is told to end, and then at most `drain_seconds` and `seconds` longer, plus CLEARING_SECONDS.

    Args:
        config: of uvicorn.
        seconds: how long what is under way may take once nothing new is accepted.
        drain_seconds: how long it still serves whatever comes after it was told to end.
        on_ending: called when it was told to end, perhaps twice; `/health/ready` answers 503 from then on.
    """

    def __init__(
        self, config: uvicorn.Config, seconds: int, drain_seconds: int = 0, on_ending: Callable[[], None] = nobody
    ) -> None:
        config.timeout_graceful_shutdown = seconds + CLEARING_SECONDS
        super().__init__(config)
        self._seconds = seconds
        self._drain_seconds = drain_seconds
        self._on_ending = on_ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell the service manager."""
        await super().startup(sockets)
        service_manager.tell(service_manager.READY)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear the signal to end. It is told at once: the next look of the main loop may be a while away."""
        self._on_ending()
        super().handle_exit(sig, frame)

    def end_without_draining(self) -> None:
        """End, and serve nothing more meanwhile: another process serves in this one's place."""
        self._drain_seconds = 0
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, accept nothing more, wait for what is under way, and hang up on what does not finish in time."""
        self._on_ending()
        service_manager.tell(service_manager.STOPPING)
        await self._drain()
        bound = asyncio.get_running_loop().call_later(self._seconds, self._hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            bound.cancel()

    async def _drain(self) -> None:
        """Serve on, each connection for one more request. A second Ctrl-C ends it at once."""
        if not self._drain_seconds:
            return
        _log.info("not ready any more; serving for %d more seconds", self._drain_seconds)
        self.config.encoded_headers.append(_CLOSE)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_seconds
        while loop.time() < until and not self.force_exit:
            await self.on_tick(0)  # which writes the headers of every answer anew
            await asyncio.sleep(_TICK_SECONDS)

    def _hang_up(self) -> None:
        connections = list(self.server_state.connections)
        if connections:
            _log.warning(
                "%d connections were still busy after %d seconds and were cut", len(connections), self._seconds
            )
        for connection in connections:
            connection.transport.abort()  # close() would wait for a reader who does not read
