# SPDX-License-Identifier: Apache-2.0
"""Put load on a server: wrk for what is measured, a plain client for filling a vault."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

SCRIPTS = Path(__file__).with_name("bench")
FILL_CONNECTIONS = 64

_IDENTIFIER = re.compile(rb'"identifier":\s*"([0-9]+)"')


class Load(NamedTuple):
    """What to ask of a server: a script of tools/bench, a path, and files the script finds by its environment."""

    script: str
    path: str
    files: dict[str, Path]


class Run(NamedTuple):
    """What wrk saw: requests a second, latencies in milliseconds, calls that failed or were not answered 2xx."""

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int
    failed: int


def run_wrk(load: Load, port: int, *, connections: int, seconds: float) -> Run:
    """Put a load on the server at `port` for `seconds` with one thread of wrk."""
    environment = {**os.environ, **{name: str(path) for name, path in load.files.items()}}
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    script = ["--timeout", "20s", "--script", str(SCRIPTS / load.script)]
    done = subprocess.run(
        ["wrk", *options, *script, f"http://127.0.0.1:{port}{load.path}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    line = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or line is None:
        raise SystemExit(f"wrk {load.script}: {done.stdout}{done.stderr}")
    seen = json.loads(line[1])
    rate = seen["requests"] / seen["seconds"]
    return Run(rate, seen["p50_ms"], seen["p99_ms"], seen["requests"], seen["failed"])


def fill(port: int, token: str, body: bytes, count: int, *, at_most_seconds: float) -> list[str]:
    """Create `count` passwords, or as many as fit in the time, and return their identifiers.

    All connections are written to, then all are read: the server has as many requests at once as connections.
    """
    head = (
        f"POST /api/mysafe/password HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    ends = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(min(count, FILL_CONNECTIONS))]
    readers = [end.makefile("rb") for end in ends]
    identifiers: list[str] = []
    until = time.monotonic() + at_most_seconds
    while len(identifiers) < count and time.monotonic() < until:
        wave = min(len(ends), count - len(identifiers))
        for end in ends[:wave]:
            end.sendall(head.encode("ascii") + body)
        identifiers += [_created(reader) for reader in readers[:wave]]
    for reader, end in zip(readers, ends, strict=True):
        reader.close()
        end.close()
    return identifiers


def _created(reader: BinaryIO) -> str:
    """Read one answer and return the identifier in it."""
    status, length = reader.readline(), 0
    while (line := reader.readline()) not in {b"\r\n", b""}:
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    found = _IDENTIFIER.search(reader.read(length))
    if b" 201 " not in status or found is None:
        raise SystemExit(f"a password was not created: {status!r}")
    return found[1].decode("ascii")
