# SPDX-License-Identifier: Apache-2.0
"""A server that copies and nothing else: POST writes its body to a file, GET sends it back. The yardstick for files.

    python tools/bench_copy.py PORT DIRECTORY

The same HTTP stack as the product's, and the same promise: what is acknowledged is on disk. It knows no user, no key.
"""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from mysafe.app import web_server
from mysafe.config import load_settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE_BYTES = 256 * 1024


class Copy:
    """Keep what is sent, each time in a new file, and give the last one back."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "copy"
        self._taken = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["method"] == "POST":
            await self._take(receive)
            await _answer(send, 201)
        elif self._path.exists():
            await self._give(send)
        else:
            await _answer(send, 404)

    async def _take(self, receive: Receive) -> None:
        self._taken += 1
        self._path = self._directory / f"copy{self._taken}"
        with self._path.open("wb", buffering=0) as file:
            has_more = True
            while has_more:
                message = await receive()
                file.write(message["body"])
                has_more = message["more_body"]
            os.fsync(file.fileno())

    async def _give(self, send: Send) -> None:
        await _start(send, 200, self._path.stat().st_size)
        with self._path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, status: int, length: int) -> None:
    headers = [(b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _answer(send: Send, status: int) -> None:
    await _start(send, status, 2)
    await send({"type": "http.response.body", "body": b"{}"})


def main() -> None:
    """Serve on loopback until interrupted, with the web server of the product."""
    settings = load_settings({"data": tempfile.gettempdir() + "/unused", "port": int(sys.argv[1])}, {}, None)
    web_server(Copy(Path(sys.argv[2])), settings).run()


if __name__ == "__main__":
    main()
