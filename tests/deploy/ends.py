# SPDX-License-Identifier: Apache-2.0
"""The two ends of a proxy: what stands in the place of a node, and callers who send slowly over HTTP/2."""

import socket
import ssl
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Listener:
    """Answer 200 to everything, when the body is there. `heard` are the heads but those of checks of health."""

    def __init__(self) -> None:
        heard: list[Message] = []

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_: object) -> None:
                """Say nothing of callers who went away."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.startswith("/health/"):
                    heard.append(self.headers)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.heard = heard
        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def slow_posts(port: int, count: int, caller: str) -> ssl.SSLSocket:
    """Begin so many requests over one connection of HTTP/2, each with a body that does not go on; return it.

    `caller` is the address in the head of the PROXY protocol, with which the connection begins.
    """
    sent = connect(port, caller, "h2")
    sent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
    fields = {":method": "POST", ":path": "/api", ":scheme": "https", ":authority": "x", "content-length": "100"}
    # Literal fields that go into no table (RFC 7541, 6.2.2).
    head = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
    for stream in range(1, 2 * count, 2):
        sent.sendall(_frame(1, 4, stream, head) + _frame(0, 0, stream, b"{"))
    return sent


def status_for(port: int, caller: str) -> tuple[int, bytes]:
    """Return status and head of the answer to a caller at this address."""
    with connect(port, caller, "http/1.1") as sent:
        sent.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = b"".join(iter(lambda: sent.recv(4096), b"")).partition(b"\r\n\r\n")[0]
    return int(head.split()[1]), head.lower()


def connect(port: int, caller: str, protocol: str) -> ssl.SSLSocket:
    """Return a connection to the proxy at this port that says to come from the address `caller`."""
    context = ssl.create_default_context()
    # Who answers is not what is tried here.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    family, here = ("TCP6", "::1") if ":" in caller else ("TCP4", "127.0.0.1")
    plain.sendall(f"PROXY {family} {caller} {here} 40000 443\r\n".encode())
    sent = context.wrap_socket(plain)
    assert sent.selected_alpn_protocol() == protocol
    return sent


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def _text(text: str) -> bytes:
    return bytes((len(text),)) + text.encode("ascii")
