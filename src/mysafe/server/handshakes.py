# SPDX-License-Identifier: Apache-2.0
"""Bound what a connection can cost before its TLS handshake is over, which is before `limits` ever sees it.

A handshake may take `header_seconds`. As many may be under way as there may be connections: one more ends the oldest,
so that whoever opens many and says nothing keeps nobody out. From one address only as many as it may have connections.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Sequence

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from mysafe.server.limits import ConnectionLimits, ConnectionTally, LimitedProtocol, counted_address
from mysafe.server.listening import Listeners

_log = logging.getLogger("mysafe.server")

_AT_ONCE = 64
"""How many connections are accepted before others get their turn."""

_PAUSE_SECONDS = 0.5
"""How long nothing is accepted after the system refused, as it does when there are no descriptors left."""


class Handshakes:
    """Those under way, each a task that ends its connection when it is cancelled."""

    def __init__(self, limits: ConnectionLimits, tally: ConnectionTally) -> None:
        self._limits = limits
        self._tally = tally
        self._under_way: dict[asyncio.Task[None], str | None] = {}  # the oldest is the first
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._under_way)

    def has_place_for(self, host: str) -> bool:
        """Return whether one more may begin from an address; if there are too many in all, the oldest is ended."""
        address = counted_address(host, self._limits.uncounted)
        if address is not None and self._by_address[address] >= self._limits.connections_per_address:
            self._tally.refused["address"] += 1
            return False
        if len(self) >= self._limits.connections:
            oldest = next(iter(self._under_way))
            self._forget(oldest)
            oldest.cancel()
            self._tally.refused["full"] += 1
        return True

    def add(self, task: asyncio.Task[None], host: str) -> None:
        """Count one until it is over."""
        address = counted_address(host, self._limits.uncounted)
        self._under_way[task] = address
        if address is not None:
            self._by_address[address] += 1
        task.add_done_callback(self._forget)

    async def end(self) -> None:
        """End all of them."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[None]) -> None:
        address = self._under_way.pop(task, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class TlsListener:
    """Accept connections and hand those whose handshake succeeds to a protocol. As uvicorn uses a server of asyncio."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        make_protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        protocol: type[LimitedProtocol],
    ) -> None:
        self.sockets = tuple(sockets)
        self._make_protocol = make_protocol
        self._context = context
        self._seconds = protocol.limits.header_seconds
        self._handshakes = Handshakes(protocol.limits, protocol.tally)
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        for one in self.sockets:
            one.settimeout(0.0)
            self._listen(one)

    def close(self) -> None:
        """Accept nothing more."""
        self._is_closed = True
        for one in self.sockets:
            if one.fileno() >= 0:
                self._loop.remove_reader(one.fileno())
            one.close()

    async def wait_closed(self) -> None:
        """Return when no handshake is under way any more."""
        await self._handshakes.end()

    def _listen(self, listener: socket.socket) -> None:
        if not self._is_closed:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it was there, and went away
            except OSError as error:
                _log.error("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(listener.fileno())
                self._loop.call_later(_PAUSE_SECONDS, self._listen, listener)
                return
            self._begin(connection, str(peer[0]))

    def _begin(self, connection: socket.socket, host: str) -> None:
        if not self._handshakes.has_place_for(host):
            connection.close()
            return
        connection.settimeout(0.0)
        task = self._loop.create_task(self._greet(connection))
        task.add_done_callback(lambda done: connection.close() if done.cancelled() else None)  # it may not have begun
        self._handshakes.add(task, host)

    async def _greet(self, connection: socket.socket) -> None:
        """Do the handshake; what has no end within its time, or a bad one, is hung up on."""
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                self._make_protocol, connection, ssl=self._context, ssl_handshake_timeout=self._seconds
            )


class PatientServer(uvicorn.Server):
    """A web server that waits for a TLS handshake no longer than for a head, and for no more than it has places for."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        protocol, context = self.config.http_protocol_class, self.config.ssl
        if context is None or not issubclass(protocol, LimitedProtocol):
            await super().startup(sockets)
            return
        listeners = self._bound() if sockets is None else sockets
        await super().startup([])  # everything but listening

        def make_protocol() -> asyncio.Protocol:
            return protocol(self.config, self.server_state, self.lifespan.state)

        self.servers = [TlsListener(listeners, make_protocol, context, protocol)]  # type: ignore[list-item]

    def _bound(self) -> list[socket.socket]:
        try:
            return Listeners(self.config.host, self.config.port, 1).of(0)
        except OSError as error:
            _log.error("cannot listen on %s port %d: %s", self.config.host, self.config.port, error.strerror)
            sys.exit(STARTUP_FAILURE)
