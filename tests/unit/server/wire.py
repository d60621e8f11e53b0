# SPDX-License-Identifier: Apache-2.0
"""A small server on loopback with limits of its own, and a client that says exactly what it is told."""

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mysafe.server.limits import ConnectionLimits, LimitedProtocol, limited_protocol

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"


@dataclass
class EchoApp:
    """Read the whole body, then answer `<method> <path> <bytes of body>` and `padding` bytes more."""

    padding: int = 0
    seen: list[Scope] = field(default_factory=list)
    was_abandoned: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.was_abandoned.set()
                return
            size += len(message["body"])
            more = message["more_body"]
        text = f"{scope['method']} {scope['path']} {size}".encode() + b" " * self.padding
        await answer(send, text)


@dataclass
class PiecesApp:
    """Answer with so many pieces of 64 KiB."""

    pieces: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = (b"content-length", str(self.pieces * 65_536).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        for _ in range(self.pieces):
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def answer(send: Send, text: bytes) -> None:
    """Send a whole 200."""
    length = (b"content-length", str(len(text)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": text})


@dataclass
class Running:
    """A server that runs, and how to reach it."""

    address: tuple[str, int]
    protocol: type[LimitedProtocol]
    connection_lost: threading.Event

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(self.address, timeout)

    def say(self, *parts: bytes) -> bytes:
        """Send the parts on a new connection and return everything until the server closes it."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    """Return everything until the other end closes."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def read_answer(connection: socket.socket) -> bytes:
    """Return one answer with a content-length; less if the other end closes before."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65_536)
        if not part:
            return got
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length and (part := connection.recv(65_536)):
        body += part
    return head + b"\r\n\r\n" + body


@contextmanager
def running(
    app: object, limits: ConnectionLimits, protocol: type[HttpToolsProtocol] | None = None
) -> Iterator[Running]:
    """Serve `app` from another thread until the block ends, with another protocol than ours if one is given."""
    lost = threading.Event()

    class ReportingProtocol(protocol or limited_protocol(limits)):  # type: ignore[misc]  # a class made at run time
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # a plain callable
        http=ReportingProtocol,
        ws="none",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield Running(listener.getsockname(), ReportingProtocol, lost)  # the kernel queues connections until it is up
    finally:
        server.should_exit = True
        thread.join(20)
