# SPDX-License-Identifier: Apache-2.0
"""The gate before the API: health for everybody, the API while the vault is open, and 503 while it is sealed.

    GET /health/live     200 as long as the process answers
    GET /health/ready    200 if requests can be answered; 503 while the vault is sealed, while its database does not
                         answer within a second, and from the moment the server is told to end

There is no way through it that unseals (R-CRY-14).
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from mysafe.domain.errors import Sealed
from mysafe.server.api.call import Answer
from mysafe.server.observing.seen import SEEN

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LONGEST_WAIT_SECONDS = 30.0
"""How long another thread waits for the event loop; it may end meanwhile."""

LIVE, READY = b"/health/live", b"/health/ready"

_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

Refuse = Callable[[str, bytes], Answer]
"""Return how a call to a sealed vault is answered, by its method and raw path."""


class OpenApi(Protocol):
    """What the gate opens to. `begin` and `end` are called on the event loop's thread."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

    def begin(self) -> None:
        """Work with the running event loop from now on."""

    def end(self) -> None:
        """Work with it no more."""

    async def is_fit(self) -> bool:
        """Return whether what the application needs answers."""


class Gate:
    """The ASGI application of a server. It is made sealed; `open` and `close` are for other threads."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._api: OpenApi | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_flight = 0
        self._is_ending = False
        self._emptied: threading.Event | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether requests are let through."""
        return self._api is not None

    def open(self, api: OpenApi) -> None:
        """Let requests through to the API of an open vault. Before the server runs, or beside it."""
        with self._lock:
            loop = self._loop
            if loop is None:
                self._api = api
                return
        self._on(loop, lambda: self._let_through(api))

    def close(self, seconds: float) -> bool:
        """Let nothing through any more; return whether what was under way ended within so many seconds."""
        with self._lock:
            loop = self._loop
        if loop is None:
            self._api = None
            return True
        emptied = threading.Event()
        api, self._api = self._api, None
        loop.call_soon_threadsafe(self._tell_when_empty, emptied)
        is_empty = emptied.wait(seconds)
        if api is not None:
            self._on(loop, api.end)
        return is_empty

    def prepare_to_end(self) -> None:
        """Say from now on that the server is not ready; requests are let through as before."""
        self._is_ending = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server through its life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["raw_path"] in {LIVE, READY} and scope["method"] in {"GET", "HEAD"}:
            _route(scope["method"], scope["raw_path"])
            await self._send(send, await self._health(scope["raw_path"]))
            return
        api = self._api
        if api is None:
            _refused()
            await self._send(send, self._refuse(scope["method"], scope["raw_path"]))
            return
        self._in_flight += 1
        try:
            await api(scope, receive, send)
        finally:
            self._in_flight -= 1
            self._look_whether_empty()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        with self._lock:
            self._loop = asyncio.get_running_loop()
            if self._api is not None:
                self._api.begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        with self._lock:
            self._loop = None
            if self._api is not None:
                self._api.end()
        await send({"type": "lifespan.shutdown.complete"})

    def _let_through(self, api: OpenApi) -> None:
        api.begin()
        self._api = api

    def _tell_when_empty(self, emptied: threading.Event) -> None:
        self._emptied = emptied
        self._look_whether_empty()

    def _look_whether_empty(self) -> None:
        if self._emptied is not None and self._in_flight == 0:
            self._emptied.set()
            self._emptied = None

    def _on(self, loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
        """Do something on the event loop's thread, and wait for it."""

        async def do() -> None:
            work()

        asyncio.run_coroutine_threadsafe(do(), loop).result(LONGEST_WAIT_SECONDS)

    async def _health(self, path: bytes) -> Answer:
        complaint = "" if path == LIVE else await self._complaint()
        return Answer(503 if complaint else 200, _json(complaint or "ok"))

    async def _complaint(self) -> str:
        """Return what is in the way of requests, "" for nothing."""
        api = self._api
        if self._is_ending:
            return "ending"
        if api is None:
            return "sealed"
        return "" if await api.is_fit() else "database"

    async def _send(self, send: Send, answer: Answer) -> None:
        if (seen := SEEN.get()) is not None:
            seen.answered(answer.status, len(answer.body))
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [answer.content_type, *_HEADERS, length, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _route(method: str, path: bytes) -> None:
    if (seen := SEEN.get()) is not None:
        seen.method, seen.path = method, path.decode("ascii")


def _refused() -> None:
    if (seen := SEEN.get()) is not None:
        seen.error = Sealed


def _json(status: str) -> bytes:
    return json.dumps({"status": status}).encode()
