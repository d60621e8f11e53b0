# SPDX-License-Identifier: Apache-2.0
"""Read a request body within its bounds of size and time."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from mysafe.domain.errors import SlowBody, TooLarge

GRACE_SECONDS = 10
"""For how long a body may be as slow as it likes. One that stops altogether is `server.limits`' business."""

LEAST_BYTES_PER_SECOND = 1024
"""Slowest average after the first GRACE_SECONDS (R-LIM-01)."""


class ClientGone(Exception):
    """The client hung up before its request was complete; nobody is left to answer."""


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request has a body (RFC 9112, section 6.3)."""
    return b"content-length" in headers or b"transfer-encoding" in headers


async def read_body(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], headers: Mapping[bytes, bytes], limit_bytes: int
) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: it is longer than `limit_bytes`, or says so; the rest is not read.
        SlowBody: it arrives slower than LEAST_BYTES_PER_SECOND.
        ClientGone: the client hung up.
    """
    announced = headers.get(b"content-length")
    if announced is not None and int(announced) > limit_bytes:
        raise TooLarge(limit_bytes)
    began = time.monotonic()
    parts: list[bytes] = []
    received = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part: bytes = message.get("body", b"")
        received += len(part)
        if received > limit_bytes:
            raise TooLarge(limit_bytes)
        if not message.get("more_body"):
            return b"".join(parts) + part if parts else part
        parts.append(part)
        if received < (time.monotonic() - began - GRACE_SECONDS) * LEAST_BYTES_PER_SECOND:
            raise SlowBody
