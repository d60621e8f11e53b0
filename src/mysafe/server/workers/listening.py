# SPDX-License-Identifier: Apache-2.0
"""The sockets that several processes accept from. Their queue outlives each of the processes."""

import logging
import socket
from contextlib import ExitStack

_log = logging.getLogger("mysafe.server")

BACKLOG = 2048
"""How many connections may wait to be accepted, by whichever process is free."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of a host; with port 0 all have the same free one. Raises OSError."""
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = opened.enter_context(socket.socket(family, kind, protocol))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port or _port_of(sockets), *address[2:]))
            one.listen(BACKLOG)
            one.settimeout(0.0)
            sockets.append(one)
        opened.pop_all()
    _log.info("listening on %s port %d", host, _port_of(sockets))
    return sockets


def _port_of(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0
