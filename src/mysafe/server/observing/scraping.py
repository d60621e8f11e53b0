# SPDX-License-Identifier: Apache-2.0
"""The listener of the metrics: its own address and thread, and nothing for who has not the token (R-CFG-03).

GET /metrics     200 with `Authorization: Bearer TOKEN`, else 401
"""

import asyncio
import hmac
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import uvicorn

from mysafe.domain.secret_text import SecretText
from mysafe.server.handshakes import PatientServer
from mysafe.server.limits import ConnectionLimits, limited_protocol
from mysafe.server.observing.exposition import CONTENT_TYPE
from mysafe.server.observing.watch import Receive, Scope, Send

_log = logging.getLogger("mysafe.server")

PATH = b"/metrics"
SHORTEST_TOKEN = 16
"""Characters. A shorter one could be guessed."""

_REFUSALS = {401: b"A token is needed.\n", 404: b"There is nothing here.\n", 500: b"See the log.\n"}


class ScrapingRefused(Exception):
    """The metrics cannot be served. The text is one sentence for the operator."""


class MetricsPage:
    """The ASGI application of the listener. `collect` returns the text; it may block for a while.

    Raises:
        ScrapingRefused: the token is too short.
    """

    def __init__(self, collect: Callable[[], str], token: SecretText) -> None:
        self._collect = collect
        self._expected = b"Bearer " + token.reveal().encode()
        if len(self._expected) < len(b"Bearer ") + SHORTEST_TOKEN:
            raise ScrapingRefused(f"the metrics token must have at least {SHORTEST_TOKEN} characters")

    def __repr__(self) -> str:
        return "MetricsPage(***)"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, body = await asyncio.get_running_loop().run_in_executor(None, self._answer, scope)
        headers = [
            (b"content-type", CONTENT_TYPE if status == 200 else b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Scope) -> tuple[int, bytes]:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._expected):
            return 401, _REFUSALS[401]
        if (scope["method"], scope["raw_path"]) != ("GET", PATH):
            return 404, _REFUSALS[404]
        try:
            return 200, self._collect().encode()
        except Exception as error:  # noqa: BLE001  # the next scrape may work
            _log.error("the metrics cannot be collected: %s", type(error).__name__)
            return 500, _REFUSALS[500]


class Place(NamedTuple):
    """Where to listen, and with which TLS certificate and key; port 0 takes any free one.

    `is_shared` lets a process listen while the one it replaces still does; for a moment either may be asked.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    is_shared: bool = False


class MetricsListener:
    """Serve a page in a thread of its own until it is closed. Raises ScrapingRefused if it cannot listen."""

    def __init__(self, page: MetricsPage, place: Place) -> None:
        self._socket = _listen(place)
        self._server = server = _web_server(page, place)
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()
        while not server.started and self._thread.is_alive():
            self._thread.join(0.01)
        if not server.started:
            self._socket.close()
            raise ScrapingRefused("the metrics cannot be served: the log says why")

    def close(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._socket.getsockname()[1])

    def _run(self) -> None:
        self._server.run([self._socket])


def _listen(place: Place) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, reuse_port=place.is_shared)
    except OSError as error:
        raise ScrapingRefused(
            f"the metrics cannot be served on {place.host} port {place.port}: {error.strerror}"
        ) from None


def _web_server(page: MetricsPage, place: Place) -> uvicorn.Server:
    """Return a web server as strict with connections as that of the API."""
    return PatientServer(
        uvicorn.Config(
            page,
            http=limited_protocol(ConnectionLimits(connections=32, connections_per_address=16)),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=place.certificate,
            ssl_keyfile=place.key,
        )
    )
