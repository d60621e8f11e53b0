# SPDX-License-Identifier: Apache-2.0
"""The cheapest possible neighbour of the product: the same HTTP stack, but it only parses JSON and answers 600 bytes.

What a machine and its HTTP stack can do at all is measured with it, in the same minute as the product.

    python tools/bench_echo.py PORT
"""

import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mysafe.app import web_server
from mysafe.config import load_settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ANSWER = json.dumps({"text": "x" * 588}).encode()
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    has_more = True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    if body:
        json.loads(body)
    await send(START)
    await send({"type": "http.response.body", "body": ANSWER})


def main() -> None:
    """Serve on loopback until interrupted, with the web server of the product."""
    settings = load_settings(
        {"data": tempfile.gettempdir() + "/unused", "host": "127.0.0.1", "port": int(sys.argv[1])}, {}, None
    )
    web_server(echo, settings).run()


if __name__ == "__main__":
    main()
