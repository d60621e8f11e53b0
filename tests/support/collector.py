# SPDX-License-Identifier: Apache-2.0
"""A small double of an OTLP collector on loopback: it keeps what is sent to it, and may redirect or say nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer


class Collector:
    """What arrived: paths and bodies, and heads. `status` is what it answers, `location` where it redirects to."""

    def __init__(self, status: int = 200, location: str = "") -> None:
        self.received: list[tuple[str, bytes]] = []
        self.heads: list[Message] = []
        self.status = status
        self.location = location
        self.url = ""


@contextmanager
def collecting(status: int = 200, location: str = "") -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector(status, location)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library calls it so
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.heads.append(self.headers)
            collector.received.append((self.path, body))
            self.send_response(collector.status)
            if collector.location:
                self.send_header("location", collector.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join(20)
