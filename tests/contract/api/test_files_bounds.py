# SPDX-License-Identifier: Apache-2.0
"""What many downloads at once, and an upload in crumbs, may take."""

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from mysafe.domain.errors import StoreFull
from mysafe.domain.files import FileContent, Ticket
from mysafe.server.api.transfers import TransferPlaces
from mysafe.services.files.shelf import Reading, Shelf
from mysafe.storage.blobs.directory import DirectoryStore
from tests.support.file_client import RAW, begin_upload, download, fields_header, stored_files, upload
from tests.support.server import RunningServer, authorization

CONTENT = os.urandom(1000)


def try_upload(server: RunningServer, token: str) -> httpx.Response:
    """Send a whole file."""
    headers = authorization(token) | {"Content-Type": RAW} | fields_header(file_name="a.bin")
    with server.client() as client:
        return client.post("/api/mysafe/file", content=CONTENT, headers=headers)


def beside_a_greedy_user(server: RunningServer) -> tuple[httpx.Response, int, int]:
    """Let a user begin as many uploads as there are places, and return what one more leads to.

    Returns:
        the answer to another upload of that user, and the statuses of an upload and a download of somebody else.
    """
    greedy, other = (server.new_token(server.new_actor()) for _ in range(2))
    identifier = upload(server, other, CONTENT)
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with ExitStack() as ends:
        for begun in range(TransferPlaces.of_one):
            end = ends.enter_context(begin_upload(address, greedy, 1_000_000))
            end.sendall(b"x")
            until = time.monotonic() + 20
            while len(stored_files(server.settings.data)) < begun + 2:  # that of the other one, too
                assert time.monotonic() < until, "an upload is not taken"
                time.sleep(0.01)
        one_more = try_upload(server, greedy)
        return one_more, try_upload(server, other).status_code, download(server, other, identifier).status_code


def test_a_user_who_moves_as_many_files_as_one_may_keeps_nobody_else_waiting(
    fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransferPlaces, "number", 3)
    monkeypatch.setattr(TransferPlaces, "of_one", 2)
    one_more, stored, fetched = beside_a_greedy_user(fresh_server)
    assert (one_more.status_code, one_more.headers["Retry-After"]) == (429, "1")
    assert (stored, fetched) == (201, 200)


def test_without_a_part_for_each_user_everybody_else_would_be_refused(
    fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransferPlaces, "number", 3)
    monkeypatch.setattr(TransferPlaces, "of_one", 3)
    one_more, stored, fetched = beside_a_greedy_user(fresh_server)
    assert (one_more.status_code, stored, fetched) == (503, 503, 503)


def test_downloads_count_for_their_user_too(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT)
    monkeypatch.setattr(TransferPlaces, "of_one", 0)
    refused = download(server, owner, identifier)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    monkeypatch.undo()
    assert download(server, owner, identifier).content == CONTENT


def test_an_upload_that_gets_no_place_leaves_nothing_even_with_a_token_that_was_never_used(
    fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransferPlaces, "of_one", 0)
    owner = fresh_server.new_token(fresh_server.new_actor())
    assert [try_upload(fresh_server, owner).status_code for _ in range(2)] == [429, 429]
    assert stored_files(fresh_server.settings.data) == []
    assert fresh_server.operate(lambda uow: uow.registry.blobs.left_over(2**62)) == []


def test_more_downloads_at_once_than_there_are_places_are_refused(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT)
    monkeypatch.setattr("mysafe.server.api.transfers.TransferPlaces.number", 1)
    shelf_read, gate = Shelf.read, threading.Event()

    def wait(self: Shelf, file: FileContent) -> Reading:
        gate.wait(20)
        return shelf_read(self, file)

    monkeypatch.setattr(Shelf, "read", wait)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(download, server, owner, identifier) for _ in range(4)]
        refused = [one.result().status_code for one in itertools.islice(as_completed(answers, timeout=20), 3)]
        gate.set()
        (last,) = [one.result() for one in answers if one.result().status_code == 200]
    assert (refused, last.content) == ([503] * 3, CONTENT)
    assert download(server, owner, identifier).status_code == 200  # the place is free again


def test_an_upload_in_crumbs_takes_no_more_memory_than_one_in_pieces(tmp_path: Path) -> None:
    filling = Shelf(bytes(16), DirectoryStore(tmp_path / "blobs")).fill(Ticket("ab" * 16, 10**6, StoreFull()))
    filling.write(filling.seal([b"x"] * 20_000))
    assert len(filling._buffer) < 10 * 16_384  # sealed together, not each in a chunk of its own
    assert filling.finish().size_bytes == 20_000
