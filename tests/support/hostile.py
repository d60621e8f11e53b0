# SPDX-License-Identifier: Apache-2.0
"""Clients that mean no good: they send too much, too little, too slowly, or do not read."""

import select
import socket
import threading
from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

_TIMEOUT_SECONDS = 60
_TRICKLE_SECONDS = 0.2

Address = tuple[str, int]


class Flooded(NamedTuple):
    """What came of it: the status of the answer, 0 without one, and how many bytes were sent until then."""

    status: int
    sent: int


def head(method: str, path: str, token: str, *lines: str) -> bytes:
    """Return a head up to its empty line."""
    first = (f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}")
    return ("\r\n".join((*first, *lines)) + "\r\n\r\n").encode("ascii")


def chunks(total: int, size: int = 65_536) -> Iterator[bytes]:
    """Yield so many bytes in chunks, as the transfer coding wants them, and no end."""
    return repeat(b"%x\r\n%s\r\n" % (size, b" " * size), total // size)


def flood(address: Address, first: bytes, rest: Iterator[bytes]) -> Flooded:
    """Send it all, and stop as soon as the server says or does something."""
    sent = 0
    with socket.create_connection(address, _TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(first)
            for part in rest:
                if _has_spoken(connection):
                    break
                connection.sendall(part)
                sent += len(part)
            answer = _answer(connection)
        except ConnectionError:  # it hung up; what it said before that may be lost
            answer = b""
    return Flooded(int(answer.split(b" ", 2)[1]) if answer else 0, sent + len(first))


def _has_spoken(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _answer(connection: socket.socket) -> bytes:
    """Return the begin of the answer; the client says that nothing more will come."""
    if not _has_spoken(connection):
        connection.shutdown(socket.SHUT_WR)
    return connection.recv(4096)


class Slow:
    """Clients that hold connections, and do on them, from the begin to `close`, as little as they can.

    Each of `kinds` is what a client sends at once, and whether it sends a byte more now and then. None of them reads.
    """

    def __init__(self, address: Address, kinds: list[tuple[bytes, bool]], each: int) -> None:
        self._is_over = threading.Event()
        self._ends: list[socket.socket] = []
        self._trickling: list[socket.socket] = []
        for first, is_trickling in kinds * each:
            end = socket.socket()
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            end.settimeout(_TIMEOUT_SECONDS)
            end.connect(address)
            self._ends.append(end)
            _try_to_send(end, first)
            if is_trickling:
                self._trickling.append(end)
        self._thread = threading.Thread(target=self._trickle)
        self._thread.start()

    def close(self) -> None:
        """Hang up everywhere."""
        self._is_over.set()
        self._thread.join()
        for end in self._ends:
            end.close()

    def _trickle(self) -> None:
        while not self._is_over.wait(_TRICKLE_SECONDS):
            for end in self._trickling:
                _try_to_send(end, b"x")


def _try_to_send(end: socket.socket, data: bytes) -> None:
    try:
        end.sendall(data)
    except OSError:
        pass  # the server has hung up, as it should at some time
