# SPDX-License-Identifier: Apache-2.0
"""Measure how fast a file goes up and comes down, beside a server that only copies (tools/bench_copy.py).

python tools/bench_files.py [MIB] [ROUNDS]
"""

import os
import socket
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench_servers import Installation, Server

MIB = 1024 * 1024
LEAST_OF_COPY = 0.5
MOST_GROWTH_MIB = 64

FILES = "/api/mysafe/file"


@dataclass
class FileReport:
    """MiB a second of the product and of the copying server, medians; and how much memory the product took."""

    mib: int = 0
    upload: float = 0
    upload_of_copy: float = 0
    download: float = 0
    download_of_copy: float = 0
    copy_upload: float = 0
    copy_download: float = 0
    growth_mib: float = 0

    def lines(self) -> list[str]:
        """Return the report as text."""
        is_small = "met" if self.growth_mib < MOST_GROWTH_MIB else "missed"
        return [
            f"a file of {self.mib} MiB",
            f"  up     {self.upload:7,.0f} MiB/s {_of_copy(self.upload_of_copy)}",
            f"  down   {self.download:7,.0f} MiB/s {_of_copy(self.download_of_copy)}",
            f"  memory {self.growth_mib:7.1f} MiB more at most   {is_small}: < {MOST_GROWTH_MIB} MiB",
        ]


def _of_copy(ratio: float) -> str:
    return f"{ratio:6.2f} of a plain copy   {'met' if ratio >= LEAST_OF_COPY else 'missed'}: >= {LEAST_OF_COPY}"


def copy_server(directory: Path) -> Server:
    """Return the server that only copies."""
    script = str(Path(__file__).with_name("bench_copy.py"))
    return Server([sys.executable, script, "{port}", str(directory)], dict(os.environ), directory / "copy.log")


def measure(server: Server, copy: Server, token: str, mib: int, rounds: int) -> FileReport:
    """Send and fetch a file of `mib` MiB several times, in turn with the copying server. Both must run."""
    block = os.urandom(MIB)
    before = server.memory().now
    ups: list[tuple[float, float]] = []
    downs: list[tuple[float, float]] = []
    for _ in range(rounds):
        copied_up, _ = _send(copy.port, "/", "", block, mib)
        up, answer = _send(server.port, FILES, token, block, mib)
        identifier = answer.partition(b'"identifier":"')[2].partition(b'"')[0].decode()
        copied_down = _fetch(copy.port, "/", "", block, mib)
        down = _fetch(server.port, f"{FILES}/{identifier}/content", token, block, mib)
        ups.append((mib / up, mib / copied_up))
        downs.append((mib / down, mib / copied_down))
    return FileReport(
        mib,
        upload=statistics.median(one for one, _ in ups),
        upload_of_copy=statistics.median(one / other for one, other in ups),
        download=statistics.median(one for one, _ in downs),
        download_of_copy=statistics.median(one / other for one, other in downs),
        copy_upload=statistics.median(other for _, other in ups),
        copy_download=statistics.median(other for _, other in downs),
        growth_mib=server.memory().peak - before,
    )


def _send(port: int, path: str, token: str, block: bytes, mib: int) -> tuple[float, bytes]:
    """Return the seconds until the answer, and the answer."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
        "MySafe-Fields: eyJmaWxlX25hbWUiOiJiZW5jaCJ9\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {mib * MIB}\r\n\r\n"
    )
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as end:
        end.sendall(head.encode("ascii"))
        for _ in range(mib):
            end.sendall(block)
        answer = b"".join(iter(lambda: end.recv(65536), b""))
    if b" 201 " not in answer[:16]:
        raise SystemExit(f"a file was not stored: {answer[:200]!r}")
    return time.perf_counter() - began, answer


def _fetch(port: int, path: str, token: str, block: bytes, mib: int) -> float:
    """Return the seconds until the last byte."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    buffer = bytearray(MIB)
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as end, end.makefile("rb") as reader:
        end.sendall(head.encode("ascii"))
        status = reader.readline()
        while reader.readline() not in {b"\r\n", b""}:
            pass
        for _ in range(mib):
            size = reader.readinto(buffer)
            if size != MIB or buffer != block:
                raise SystemExit(f"a file came back changed: {status!r}")
    return time.perf_counter() - began


def main(words: list[str]) -> int:
    """Run it alone."""
    mib, rounds = int(words[0]) if words else 500, int(words[1]) if len(words) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="mysafe-bench-") as name:
        directory = Path(name)
        vault, copy = Installation(directory), copy_server(directory)
        try:
            vault.server.start()
            copy.start()
            vault.command("user", "add", "pduarte")
            report = measure(vault.server, copy, vault.token("pduarte"), mib, rounds)
        finally:
            copy.stop()
            vault.server.stop()
    print("\n".join(report.lines()))
    print(f"  plain copy   {report.copy_upload:7,.0f} MiB/s up, {report.copy_download:,.0f} MiB/s down")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
