# SPDX-License-Identifier: Apache-2.0
"""Uploads that do not say how long they are, at the same time: together they keep to the quota of their owner."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mysafe.services.files import uploads
from tests.support.file_client import FILES, RAW, fields_header, stored_files, upload
from tests.support.server import RunningServer

QUOTA = 3_000_000
PART = 2_000_000


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path, files_user_bytes=QUOTA)
    yield running
    running.close()


def stored_bytes(server: RunningServer) -> int:
    return sum(path.stat().st_size for path in stored_files(server.settings.data))


def begin_chunked(server: RunningServer, token: str) -> socket.socket:
    """Open a connection and send most of the quota as a chunk, and no end."""
    end = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20)
    headers = {
        "Host": "localhost",
        "Authorization": f"Bearer {token}",
        "Content-Type": RAW,
        "Transfer-Encoding": "chunked",
        **fields_header(file_name="a.bin"),
    }
    lines = (f"POST {FILES} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", f"{PART:x}", "")
    end.sendall("\r\n".join(lines).encode("ascii"))
    try:
        end.sendall(bytes(PART))
    except OSError:
        pass  # refused before all of it was sent
    return end


def wait_for(server: RunningServer, least_bytes: int) -> None:
    until = time.monotonic() + 20
    while stored_bytes(server) < least_bytes:
        assert time.monotonic() < until, "it is not stored"
        time.sleep(0.01)


def test_uploads_of_unknown_length_do_not_pass_the_quota_together(bounded: RunningServer) -> None:
    owner, other = (bounded.new_token(bounded.new_actor()) for _ in range(2))
    with ExitStack() as ends:
        first = ends.enter_context(begin_chunked(bounded, owner))
        wait_for(bounded, PART * 3 // 4)
        second = ends.enter_context(begin_chunked(bounded, owner))
        assert second.recv(100).startswith(b"HTTP/1.1 413 ")  # while the first one goes on
        ends.enter_context(begin_chunked(bounded, other))  # whose quota is another
        wait_for(bounded, PART * 3 // 2)
        first.sendall(b"\r\n0\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 201 ")
    assert upload(bounded, owner, bytes(QUOTA - PART - 100_000))  # what was set aside and not needed is free again


def test_an_upload_that_is_given_up_gives_its_room_back(bounded: RunningServer) -> None:
    owner = bounded.new_token(bounded.new_actor())
    with begin_chunked(bounded, owner):
        wait_for(bounded, PART * 3 // 4)
    until = time.monotonic() + 20
    while bounded.operate(lambda uow: uow.registry.blobs.left_over(2**62)):  # those on their way, too
        assert time.monotonic() < until, "it is not removed"
        time.sleep(0.01)
    assert stored_files(bounded.settings.data) == []
    assert upload(bounded, owner, bytes(QUOTA - 100_000))


def test_without_room_set_aside_they_would_pass_it(bounded: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "reserve", lambda *arguments: 2**60)
    owner = bounded.new_token(bounded.new_actor())
    with begin_chunked(bounded, owner), begin_chunked(bounded, owner):
        wait_for(bounded, QUOTA + 100_000)  # more is on disk than may be
