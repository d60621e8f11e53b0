# SPDX-License-Identifier: Apache-2.0
"""The sockets that a server, or each of several workers, accepts from, opened before they are made.

On Linux each worker has a queue of its own, and the system spreads new connections over the queues. From one queue
whichever worker is awake first would take them, which is nearly always the same one. The queues belong to the process
that opened them, so what waits in one outlives its worker. Elsewhere there is one queue for all.
"""

import logging
import socket
import sys
from contextlib import ExitStack
from typing import Any, NamedTuple

_log = logging.getLogger("mysafe.server")

BACKLOG = 2048
"""How many connections may wait in a queue to be accepted."""

IS_SPREAD = sys.platform == "linux"
"""Whether the system spreads connections over several sockets of one port."""


class _Address(NamedTuple):
    family: int
    kind: int
    protocol: int
    place: tuple[Any, ...]


class Listeners:
    """A queue for each of `number` workers, at every address of a host.

    Raises:
        OSError: the host is unknown, or somebody listens there.
    """

    def __init__(self, host: str, port: int, number: int) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self._addresses = [_Address(one[0], one[1], one[2], one[4]) for one in dict.fromkeys(found)]
        self._sockets: dict[int, list[socket.socket]] = {}
        self._port = port
        for probe in self._opened(is_spread=False):  # several of our own must not hide somebody else's
            self._port = probe.getsockname()[1]
            probe.close()
        for slot in range(number):
            self.of(slot)
        _log.info("listening on %s port %d", host, self._port)

    def of(self, slot: int) -> list[socket.socket]:
        """Return the sockets of a worker, which are opened again if they were closed. Raises OSError."""
        slot = slot if IS_SPREAD else 0
        if slot not in self._sockets:
            self._sockets[slot] = self._opened(is_spread=IS_SPREAD)
            for one in self._sockets[slot]:
                one.listen(BACKLOG)
        return self._sockets[slot]

    def close(self, slot: int) -> None:
        """Close the queue of a worker that cannot be started: others are to get its connections."""
        if IS_SPREAD:
            self._close(slot)

    def keep_only(self, slot: int) -> list[socket.socket]:
        """Return the sockets of a worker, in its own process, and let go of all others."""
        kept = slot if IS_SPREAD else 0
        for other in set(self._sockets) - {kept}:
            self._close(other)
        return self._sockets[kept]

    def close_all(self) -> None:
        """Take no more connections."""
        for slot in list(self._sockets):
            self._close(slot)

    def _close(self, slot: int) -> None:
        for one in self._sockets.pop(slot, []):
            one.close()

    def _opened(self, *, is_spread: bool) -> list[socket.socket]:
        """Return a bound socket for each address; with port 0 all have the same free one."""
        with ExitStack() as opened:
            sockets: list[socket.socket] = []
            port = self._port
            for family, kind, protocol, place in self._addresses:
                one = opened.enter_context(socket.socket(family, kind, protocol))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if is_spread:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((place[0], port, *place[2:]))
                port = one.getsockname()[1]
                one.settimeout(0.0)
                sockets.append(one)
            opened.pop_all()
        return sockets
