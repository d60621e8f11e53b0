# SPDX-License-Identifier: Apache-2.0
"""An object store in this process: the few calls of S3 that the product makes. It checks no signature.

`tests/unit/storage/test_blob_s3.py` runs against a real one instead when S3_ENDPOINT names it, so that this double
can be shown to be honest.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape


class ObjectStore:
    """What is stored, what was begun, and what goes wrong on purpose."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, tuple[str, dict[int, bytes]]] = {}
        self.fault: tuple[int, str] | None = None
        self.calls: list[str] = []
        self.is_cutting = False  # answers end early
        self.endpoint = ""


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Serve an object store on loopback."""
    store = ObjectStore()
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    store.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: ObjectStore

    def log_message(self, *given: object) -> None:
        """Say nothing."""

    def _take(self) -> tuple[str, dict[str, list[str]], bytes]:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.store.calls.append(f"{self.command} {'?' + parts.query.partition('=')[0] if parts.query else ''}".strip())
        return parts.path, parse_qs(parts.query, keep_blank_values=True), body

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.store.is_cutting else body)
        if self.store.is_cutting:
            self.close_connection = True

    def _fails(self) -> bool:
        if self.store.fault is None:
            return False
        status, code = self.store.fault
        self._answer(status, f"<Error><Code>{code}</Code><Message>secret text</Message></Error>".encode())
        return True

    def _missing(self, code: str = "NoSuchKey") -> None:
        self._answer(404, f"<Error><Code>{code}</Code></Error>".encode())

    def do_PUT(self) -> None:
        key, query, body = self._take()
        if self._fails():
            return
        if "uploadId" not in query:
            self.store.objects[key] = body
        elif query["uploadId"][0] in self.store.uploads:
            self.store.uploads[query["uploadId"][0]][1][int(query["partNumber"][0])] = body
        else:
            self._missing("NoSuchUpload")
            return
        self._answer(200, ETag='"tag"')

    def do_POST(self) -> None:
        key, query, body = self._take()
        if self._fails():
            return
        if "uploads" in query:
            number = f"upload{len(self.store.calls)}"
            self.store.uploads[number] = (key, {})
            self._answer(200, f"<R><UploadId>{number}</UploadId></R>".encode())
            return
        key, parts = self.store.uploads.pop(query["uploadId"][0])
        named = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        self.store.objects[key] = b"".join(parts[number] for number in named)
        self._answer(200, b"<R><ETag>tag</ETag></R>")

    def do_HEAD(self) -> None:
        key, _, _ = self._take()
        if key in self.store.objects:
            self._answer(200, Content_Length=str(len(self.store.objects[key])))
        else:
            self._answer(404)

    def do_GET(self) -> None:
        key, query, _ = self._take()
        if self._fails():
            return
        if "uploads" in query:
            begun = "".join(
                f"<Upload><Key>{escape(name.split('/', 2)[2])}</Key><UploadId>{number}</UploadId></Upload>"
                for number, (name, _) in self.store.uploads.items()
            )
            self._answer(200, f"<R>{begun}</R>".encode())
        elif key in self.store.objects:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(self.store.objects[key]):
                self._answer(416, b"<Error><Code>InvalidRange</Code></Error>")
            else:
                self._answer(206, self.store.objects[key][start:])
        else:
            self._missing()

    def do_DELETE(self) -> None:
        key, query, _ = self._take()
        if self._fails():
            return
        if "uploadId" in query:
            self.store.uploads.pop(query["uploadId"][0], None)
        else:
            self.store.objects.pop(key, None)
        self._answer(204)
