# SPDX-License-Identifier: Apache-2.0
"""Bound what one connection can cost before any request reaches the application.

Sizes and times of the head, ambiguous framing, the number of connections, queued requests and unread answers.
What a body may cost is the endpoint's business. This module knows nothing of routes, credentials or documents.

It extends uvicorn's httptools protocol, which is not a stable interface. Relied upon, and pinned by
`tests/unit/server/test_relied_upon.py`:

* overridden: `connection_made`, `connection_lost`, `data_received`, `on_message_begin`, `on_url`,
  `on_header`, `on_headers_complete`, `on_body`, `on_message_complete`, `on_response_complete`, `resume_writing`,
  `send_400_response`
  (`data_received` calls the last one for every parser error, an exception of a callback included);
* read: `loop`, `transport`, `parser`, `connections`, `client`, `flow.read_paused`, `pipeline`, `url`, `headers` (names
  in lower case), `cycle` (the newest request) with `response_started` and `response_complete`;
* set: `timeout_keep_alive`, `scope["extensions"]`, `cycle.keep_alive`, `cycle.disconnected`, `cycle.message_event`.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import ClassVar

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mysafe.server.origin import CERTIFICATE, Network, is_within, parse_address

_SLICE_BYTES = 65_536
"""The parser is fed at most this much at once, so that a check follows before it can pile up more."""

_REQUEST_LINE_BYTES = 64
"""What a request line holds besides the URL: the method, the version, spaces and the end of the line."""

_WATCH_SECONDS = 10.0
"""A connection is looked at no less often than this."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection, and all of them together, may take. Bytes, seconds and counts.

    `header_bytes` bounds names, values and separators of a request's header block; `write_seconds` is how long
    an answer may stay unread. Addresses within `uncounted`, and loopback, may open any number of connections
    up to `connections`.

    Source: R-API-02, R-API-03, R-LIM-01.
    """

    header_bytes: int = 16 * 1024
    header_count: int = 100
    url_bytes: int = 4 * 1024
    header_seconds: float = 10.0
    idle_seconds: int = 30
    write_seconds: float = 60.0
    linger_seconds: float = 1.0
    connections: int = 512
    connections_per_address: int = 32
    queued_requests: int = 16
    uncounted: Sequence[Network] = ()


def _answer(status: HTTPStatus, message: str, *extra: str) -> bytes:
    body = json.dumps({"message": message}, separators=(",", ":"))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "connection: close",
        *extra,
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode("ascii")


BAD_REQUEST = _answer(HTTPStatus.BAD_REQUEST, "Invalid HTTP request.")
SLOW_REQUEST = _answer(HTTPStatus.REQUEST_TIMEOUT, "Request timeout.")
LONG_URL = _answer(HTTPStatus.REQUEST_URI_TOO_LONG, "Request URL is too long.")
LARGE_HEAD = _answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Request headers are too large.")
TOO_MANY = _answer(HTTPStatus.TOO_MANY_REQUESTS, "Too many connections.", "retry-after: 1")
FULL = _answer(HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable.", "retry-after: 1")


REASONS = {
    BAD_REQUEST: "malformed",
    SLOW_REQUEST: "slow",
    LONG_URL: "long_url",
    LARGE_HEAD: "large_head",
    TOO_MANY: "address",
    FULL: "full",
}
"""What those who watch the server call each refusal."""


def counted_address(host: str, uncounted: Sequence[Network]) -> str | None:
    """Return the address whose connections are counted, None for those that may open any number."""
    peer = parse_address(host)
    return None if peer is None or peer.is_loopback or is_within(peer, uncounted) else str(peer)


class ConnectionTally:
    """What one server counts: open connections, and answers to what never reached the application, by reason."""

    def __init__(self) -> None:
        self.open = 0
        self.refused = dict.fromkeys(REASONS.values(), 0)


class _Refused(Exception):
    """Stop the parser: the request is answered with `answer` and the connection ends."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class LimitedProtocol(HttpToolsProtocol):
    """Speak HTTP/1.1 within `limits`. Use `limited_protocol` to get a class with limits of its own."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    open_by_address: ClassVar[Counter[str]] = Counter()
    tally: ClassVar[ConnectionTally] = ConnectionTally()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.timeout_keep_alive = self.limits.idle_seconds
        self._extensions: dict[str, dict[object, object]] | None = None
        self._counted_address: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_in_head = True  # else in a body
        self._is_deaf = False  # nothing that arrives from now on is parsed
        self._deadline: float | None = None  # by when the client must be done with what it sends now
        self._drained_at = 0.0
        self._unparsed_bytes = 0  # fed since the parser handed anything over
        self._refusal = BAD_REQUEST

    # -- the connection -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the clocks and refuse the connection if there are too many."""
        super().connection_made(transport)
        self.tally.open += 1
        self._extensions = _extensions(transport)
        self._drained_at = self.loop.time()
        self._deadline = self._drained_at + self.limits.header_seconds
        self._watch_again(self._drained_at)
        if len(self.connections) > self.limits.connections:
            self._refuse(FULL)
        elif not self._count_address():
            self._refuse(TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks and give the place back."""
        if self._timer is not None:
            self._timer.cancel()
        self._uncount_address()
        self.tally.open -= 1
        super().connection_lost(exc)

    def _count_address(self) -> bool:
        self._counted_address = counted_address(self.client[0], self.limits.uncounted) if self.client else None
        if self._counted_address is None:
            return True
        self.open_by_address[self._counted_address] += 1
        return self.open_by_address[self._counted_address] <= self.limits.connections_per_address

    def _uncount_address(self) -> None:
        address, self._counted_address = self._counted_address, None
        if address is not None:
            self.open_by_address[address] -= 1
            if not self.open_by_address[address]:
                del self.open_by_address[address]

    # -- the clocks: one timer for the life of a connection -------------------------------------------------

    def _watch_again(self, now: float) -> None:
        # No deadline set later can fall before this: each is at least `header_seconds` away when it is set.
        delay = min(self.limits.header_seconds, self.limits.idle_seconds, self.limits.write_seconds, _WATCH_SECONDS)
        if self._deadline is not None:
            delay = min(delay, max(self._deadline - now, 0.0))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay, self._watch)

    def _watch(self) -> None:
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._drained_at = now
        elif now - self._drained_at >= self.limits.write_seconds:
            self.transport.abort()  # close() would wait for a reader who does not read
            return
        if self._deadline is not None and now >= self._deadline:
            self._expire(now)
        self._watch_again(now)

    def _expire(self, now: float) -> None:
        if self._is_deaf:
            self.transport.abort()
        elif self.flow.read_paused:
            self._deadline = now + self.limits.header_seconds  # the server is not listening: not the client's fault
        elif self._is_in_head or not self.cycle.response_started:
            self._refuse(SLOW_REQUEST)
        else:
            self.transport.abort()

    def resume_writing(self) -> None:
        """Note that the client reads on: a long answer may take long, but not stand still."""
        self._drained_at = self.loop.time()
        super().resume_writing()

    # -- what arrives -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser in bounded slices."""
        if len(data) <= _SLICE_BYTES:
            self._feed(data)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            self._feed(data[start : start + _SLICE_BYTES])

    def _feed(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._is_in_head and self._deadline is None:
            self._deadline = self.loop.time() + self.limits.header_seconds
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > self.limits.header_bytes + self.limits.url_bytes + _REQUEST_LINE_BYTES:
            # A head without an end, or chunk extensions without one.
            self._refuse(LARGE_HEAD if self._is_in_head else BAD_REQUEST)

    def on_message_begin(self) -> None:
        """Start the clock of a request that follows another one in the same packet."""
        if self._deadline is None:
            self._deadline = self.loop.time() + self.limits.header_seconds
        super().on_message_begin()
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        super().on_url(url)
        if len(self.url) > self.limits.url_bytes:
            raise self._refused(LONG_URL)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is refused, since it would be mixed with the headers."""
        if not self._is_in_head:
            raise self._refused(BAD_REQUEST)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the whole head before the application sees any of it."""
        upgrades = self._check_head()
        if len(self.pipeline) >= self.limits.queued_requests:
            raise self._refused(BAD_REQUEST)
        super().on_headers_complete()
        self._is_in_head = False
        self._deadline = self.loop.time() + self.limits.header_seconds
        self._unparsed_bytes = 0
        if upgrades:
            # Answered as if it had not asked; what follows would be another protocol to whoever sent it.
            self.cycle.keep_alive = False
            self._is_deaf = True

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; the next one may take its time again."""
        self._unparsed_bytes = 0
        if not self.cycle.response_complete:
            self._deadline = self.loop.time() + self.limits.header_seconds
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next request."""
        self._is_in_head = True
        self._deadline = None
        self._unparsed_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Bound how long the rest of a body may take that nobody reads any more."""
        super().on_response_complete()
        if not self._is_in_head and self.cycle.response_complete:
            self._deadline = self.loop.time() + self.limits.idle_seconds

    def _check_head(self) -> bool:
        """Raise for a head that is too large or could be read in two ways; return whether it asks to upgrade."""
        limits, headers, version = self.limits, self.headers, self.parser.get_http_version()
        hosts = size = 0
        seen: set[bytes] = set()
        has_body = upgrades = False
        for name, value in headers:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                has_body = value.strip() != b"0"
            elif name == b"transfer-encoding":
                has_body = True
                if version != "1.1" or value.strip().lower() != b"chunked":
                    raise self._refused(BAD_REQUEST)
            elif name in _GIVEN_ONCE:
                if name in seen:
                    raise self._refused(BAD_REQUEST)  # another reader may take the other one
                seen.add(name)
            elif name == b"upgrade":
                upgrades = bool(self.parser.should_upgrade())
        if size > limits.header_bytes or len(headers) > limits.header_count:
            raise self._refused(LARGE_HEAD)
        # The parser skips the body of an upgrade, so that body would be taken for the next request.
        if version not in _HOSTS or hosts not in _HOSTS[version] or (upgrades and has_body) or b"#" in self.url:
            raise self._refused(BAD_REQUEST)
        return upgrades

    # -- refusing -----------------------------------------------------------------------------------------------

    def _refused(self, answer: bytes) -> _Refused:
        self._refusal = answer
        return _Refused(answer)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or a check called by it, did not accept. uvicorn's own words are not used."""
        self._refuse(self._refusal)

    def _refuse(self, answer: bytes) -> None:
        """Answer and close, unless an earlier request is still being answered: then close after that."""
        if self._is_deaf or self.transport.is_closing():
            return
        self._is_deaf = True
        self._deadline = None
        cycle = self.cycle
        if self._is_in_head and cycle is not None and not cycle.response_complete:  # type: ignore[redundant-expr]  # it is None at first
            cycle.keep_alive = False
            return
        if not self._is_in_head:
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
            cycle.disconnected = True  # the application hears that there is nobody to answer
            cycle.message_event.set()
        self._say_goodbye(answer)

    def _say_goodbye(self, answer: bytes) -> None:
        self.tally.refused[REASONS[answer]] += 1
        self.transport.write(answer)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closing while bytes of the client are unread resets the connection, and the answer may be lost with it.
        # So only our half is closed, and the rest of what the client sends is dropped for a moment.
        self.transport.write_eof()
        now = self.loop.time()
        self._deadline = now + self.limits.linger_seconds
        self._watch_again(now)


def _extensions(transport: asyncio.Transport) -> dict[str, dict[object, object]] | None:
    """Return what the application hears of the connection's TLS: the SHA-256 of the client's certificate."""
    session = transport.get_extra_info("ssl_object")
    certificate = session.getpeercert(binary_form=True) if session is not None else None
    return {CERTIFICATE: {"sha256": sha256(certificate).hexdigest()}} if certificate else None


_HOSTS = {"1.0": (0, 1), "1.1": (1,)}
"""How many Host headers a request of each version may have (RFC 9112, 3.2)."""


_GIVEN_ONCE = frozenset(
    {b"authorization", b"content-type", b"referer", b"if-match", b"mysafe-fields", b"range", b"if-range"}
)
"""Headers that we read, and that must not be given twice (RFC 9110, 5.3; in the spirit of R-API-07)."""


def limited_protocol(
    connection_limits: ConnectionLimits, connection_tally: ConnectionTally | None = None
) -> type[LimitedProtocol]:
    """Return a protocol class with these limits and its own count of connections, for uvicorn's `http` option."""

    class BoundProtocol(LimitedProtocol):
        """A protocol with the limits of one server."""

        limits: ClassVar[ConnectionLimits] = connection_limits
        open_by_address: ClassVar[Counter[str]] = Counter()
        tally: ClassVar[ConnectionTally] = connection_tally or ConnectionTally()

    return BoundProtocol
