# SPDX-License-Identifier: Apache-2.0
"""Ways to send and fetch files that an ordinary client would hide: half an upload, a stream, a broken answer."""

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from mysafe.storage.blobs.store import BlobReader
from tests.support.server import RunningServer, authorization

FILES = "/api/mysafe/file"
RAW = "application/octet-stream"


def fields_header(**fields: object) -> dict[str, str]:
    return {"MySafe-Fields": base64.b64encode(json.dumps(fields).encode()).decode()}


def upload(server: RunningServer, token: str, content: bytes, **fields: object) -> str:
    """Store a file and return its identifier."""
    headers = authorization(token) | {"Content-Type": RAW} | fields_header(**{"file_name": "a.bin", **fields})
    with server.client() as client:
        answer = client.post(FILES, content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["file_entity"]["identifier"])


def download(server: RunningServer, token: str, identifier: str, **headers: str) -> httpx.Response:
    with server.client() as client:
        return client.get(f"{FILES}/{identifier}/content", headers={**authorization(token), **headers})


def entity(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["file_entity"]
    return found


def blocks(mib: int, canary: bytes = b"") -> Iterator[bytes]:
    """Return a content in pieces of a MiB: each starts with the canary, and no two are alike."""
    for number in range(mib):
        seed = canary + hashlib.sha256(number.to_bytes(4)).digest()
        yield (seed * (1024 * 1024 // len(seed) + 1))[: 1024 * 1024]


def begin_upload(address: tuple[str, int], token: str, announced: int, *more: str, path: str = FILES) -> socket.socket:
    """Open a connection and send the head of a raw upload."""
    end = socket.create_connection(address, timeout=20)
    fields = fields_header(file_name="half.bin")["MySafe-Fields"]
    head = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        f"Content-Type: {RAW}",
        f"MySafe-Fields: {fields}",
        f"Content-Length: {announced}",
        *more,
    )
    end.sendall(("\r\n".join(head) + "\r\n\r\n").encode("ascii"))
    return end


def stored_files(directory: Path) -> list[Path]:
    """Return every file below the place of the blobs."""
    return [path for path in (directory / "blobs").rglob("*") if path.is_file()]


def read_at(reader: BlobReader, offset: int, length: int) -> bytes:
    """Return a part of a blob."""
    buffer = bytearray(length)
    reader.read_into(offset, memoryview(buffer))
    return bytes(buffer)
