# SPDX-License-Identifier: Apache-2.0
"""T-FILE: large contents in small memory, nothing readable on disk, nothing left of what was interrupted.

FILE_MIB (environment, default 64) is the size of the large file; `make files` takes the largest there can be. The
controls spool plaintext like a form parser, and must be found out.
"""

import hashlib
import http.client
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.databases import IS_ON_POSTGRESQL
from tests.support.file_client import FILES, begin_upload, blocks, stored_files
from tests.support.process import Installation, exchange

FILE_MIB = int(os.environ.get("FILE_MIB", "64"))
MIB = 1024 * 1024
MOST_GROWTH_MIB = 64
CANARY = b"canary-of-a-file-9Q2/"


class Place:
    """An installation and an owner."""

    def __init__(self, directory: Path, serve: list[str] | None = None) -> None:
        self.directory = directory
        self.installation = Installation(directory, serve)
        self.installation.command("user", "add", "owner")
        self.key = self.installation.new_key("owner")
        self.token = ""

    def start(self) -> None:
        self.installation.start()
        self.token = self.installation.token(self.key)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.installation.port

    def begin(self, mib: int) -> socket.socket:
        return begin_upload(self.address, self.token, mib * MIB, "Connection: close")

    def upload(self, mib: int) -> tuple[str, str]:
        """Store a file; return its identifier and the hash of what was sent."""
        digest = hashlib.sha256()
        with self.begin(mib) as end:
            for block in blocks(mib, CANARY):
                digest.update(block)
                end.sendall(block)
            answer = http.client.HTTPResponse(end)
            answer.begin()
            body = answer.read()
        assert answer.status == 201, body
        return body.partition(b'"identifier":"')[2].partition(b'"')[0].decode(), digest.hexdigest()

    def download(self, identifier: str) -> str:
        """Return the hash of what comes back."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        connection.request("GET", f"{FILES}/{identifier}/content", headers={"Authorization": f"Bearer {self.token}"})
        answer, digest = connection.getresponse(), hashlib.sha256()
        while piece := answer.read(MIB):
            digest.update(piece)
        connection.close()
        return digest.hexdigest()

    def listed(self) -> object:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            return exchange(connection, "GET", FILES, None, self.token)[1]["file_on_list"]
        finally:
            connection.close()

    def memory_mib(self, field: str) -> float:
        process = self.installation._process
        assert process is not None
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(dict(line.split(":", 1) for line in status.splitlines())[field].split()[0]) / 1024

    def files(self) -> list[Path]:
        return stored_files(self.installation.data)

    def stored_mib(self) -> float:
        return sum(path.stat().st_size for path in self.files() if path.exists()) / MIB

    def readable(self) -> list[str]:
        """Return where the canary can be read: in any file of the data or temporary directory, or any open one."""
        process = self.installation._process
        assert process is not None
        places = [path for path in self.directory.rglob("*") if path.is_file()]
        assert [path for path in places if path.suffix == ".part"], "there is no upload to look at"
        places += list(Path(f"/proc/{process.pid}/fd").iterdir())
        return [str(path) for path in places if _holds_canary(path)]


def _holds_canary(path: Path) -> bool:
    try:
        if not path.is_file():
            return False  # a socket or a pipe among the open ones
        return CANARY in path.read_bytes()
    except FileNotFoundError:
        return False  # it is gone meanwhile


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.installation.close()


@pytest.mark.timeout(600)
def test_a_large_file_comes_back_and_takes_little_memory(place: Place) -> None:
    place.start()
    place.download(place.upload(1)[0])
    before = place.memory_mib("VmRSS")
    identifier, sent = place.upload(FILE_MIB)
    assert place.stored_mib() > FILE_MIB
    assert place.download(identifier) == sent
    assert place.memory_mib("VmHWM") - before < MOST_GROWTH_MIB


@pytest.mark.timeout(600)
def test_four_files_at_once_come_back_and_take_little_memory(place: Place) -> None:
    place.start()
    place.download(place.upload(1)[0])
    before = place.memory_mib("VmRSS")
    with ThreadPoolExecutor(4) as clients:
        stored = list(clients.map(place.upload, [max(FILE_MIB // 4, 1)] * 4))
        assert list(clients.map(place.download, [one for one, _ in stored])) == [sent for _, sent in stored]
    assert place.memory_mib("VmHWM") - before < MOST_GROWTH_MIB


def half_an_upload(place: Place) -> socket.socket:
    """Send half of a file, and return when the server has most of that on disk."""
    end = place.begin(64)
    for block in blocks(32, CANARY):
        end.sendall(block)
    wait_until(lambda: place.stored_mib() > 30, "the server stores nothing")
    return end


@pytest.mark.parametrize(("spool", "is_clean"), [("", True), ("named", False), ("nameless", False)])
def test_nothing_readable_is_on_disk_while_a_file_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spool: str, is_clean: bool
) -> None:
    """The second and the third are the controls: a server that spools is found out."""
    monkeypatch.setenv("SPOOL", spool)
    watched = Place(tmp_path, [sys.executable, "-m", "tests.support.watched_server"])
    try:
        watched.start()
        with half_an_upload(watched):
            assert (watched.readable() == []) == is_clean
    finally:
        watched.installation.close()


def test_a_killed_server_leaves_nothing_of_an_upload(place: Place) -> None:
    place.start()
    kept, sent = place.upload(1)
    with half_an_upload(place):
        place.installation.kill()
    assert place.stored_mib() > 30, "there is nothing to collect"
    place.start()
    if not IS_ON_POSTGRESQL:  # there another server may be uploading it: what is left over goes after a day
        wait_until(lambda: len(place.files()) == 1, "the upload was not collected")
    listed = place.listed()
    assert isinstance(listed, list)
    assert [line["identifier"] for line in listed] == [kept]
    assert place.download(kept) == sent


def test_a_client_that_hangs_up_leaves_nothing_of_an_upload(place: Place) -> None:
    place.start()
    half_an_upload(place).close()
    wait_until(lambda: place.files() == [], "the upload was not removed")
    assert place.listed() == []


MOVED_MIB = 16
"""What is moved piece by piece, with a call between any two. The file that is fetched is twice as large: the kernel
keeps some MiB for the reader, and there must be more to come until the end."""


def answered_while_files_move(place: Place, seconds: float) -> int:
    """Return how many calls are answered, one before each MiB of an upload and of a download that are both under way.

    The first call without an answer within `seconds` ends the counting. How fast the others come is not measured.
    """
    identifier, sent = place.upload(2 * MOVED_MIB)
    fetching = http.client.HTTPConnection(*place.address, timeout=60)
    fetching.request("GET", f"{FILES}/{identifier}/content", headers={"Authorization": f"Bearer {place.token}"})
    content, digest = fetching.getresponse(), hashlib.sha256()
    with closing(fetching), place.begin(MOVED_MIB) as sending:
        for answered, block in enumerate(blocks(MOVED_MIB, CANARY)):
            if not is_answered(place, seconds):
                return answered
            digest.update(content.read(MIB))
            sending.sendall(block)
        digest.update(content.read())
        stored = http.client.HTTPResponse(sending)
        stored.begin()
        assert (stored.status, digest.hexdigest()) == (201, sent)
    return MOVED_MIB


def is_answered(place: Place, seconds: float) -> bool:
    connection = http.client.HTTPConnection(*place.address, timeout=seconds)
    with closing(connection):
        try:
            return exchange(connection, "GET", FILES, None, place.token)[0] == 200
        except TimeoutError:
            return False


def test_other_calls_are_served_while_files_move(place: Place) -> None:
    place.start()
    assert answered_while_files_move(place, 60) == MOVED_MIB


def test_a_server_that_answers_one_at_a_time_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_AT_A_TIME", "yes")
    waiting = Place(tmp_path, [sys.executable, "-m", "tests.support.watched_server"])
    try:
        waiting.start()
        assert answered_while_files_move(waiting, 1) == 0
    finally:
        waiting.installation.close()
