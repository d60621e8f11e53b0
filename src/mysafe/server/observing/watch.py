# SPDX-License-Identifier: Apache-2.0
"""Stand around the whole web application, and tell the watchers of every request once it is over."""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from mysafe.server.observing.seen import SEEN, Seen
from mysafe.server.origin import Network, client_address, is_trusted

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Watcher = Callable[[Seen], None]
"""Hear of a request that is over. On the event loop's thread, so it must be quick; what it raises is logged."""

_log = logging.getLogger("mysafe.server")


class Watch:
    """The ASGI application `application`, watched.

    Args:
        application: answers.
        watchers: hear of each request.
        is_followed: whether they want the address, the actor and the times of the unit of work.
        trusted_proxies: whose word about the address counts.
    """

    def __init__(
        self,
        application: Application,
        watchers: Sequence[Watcher],
        *,
        is_followed: bool,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._application = application
        self._watchers = watchers
        self._is_followed = is_followed
        self._trusted = trusted_proxies
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it be answered."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        seen = Seen(is_followed=self._is_followed)
        if self._is_followed:
            self._look_at(scope, seen)
        SEEN.set(seen)
        self.in_flight += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self.in_flight -= 1
            seen.ended = time.perf_counter_ns()
            for watcher in self._watchers:
                try:
                    watcher(seen)
                except Exception as error:  # noqa: BLE001  # watching must never cost an answer
                    _log.error("a watcher failed: %s", type(error).__name__)

    def _look_at(self, scope: Scope, seen: Seen) -> None:
        peer, headers = scope["client"][0] if scope.get("client") else "", scope["headers"]
        seen.address = client_address(peer, headers, self._trusted)
        if self._trusted and is_trusted(peer, self._trusted):
            parents = [value for name, value in headers if name == b"traceparent"]
            seen.trace_parent = parents[0].decode("latin-1") if len(parents) == 1 else ""
