# SPDX-License-Identifier: Apache-2.0
"""What many downloads at once, and an upload in crumbs, may take."""

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest

from mysafe.domain.errors import StoreFull
from mysafe.domain.files import FileContent, Ticket
from mysafe.services.files.shelf import Reading, Shelf
from mysafe.storage.blobs.directory import DirectoryStore
from tests.support.file_client import download, upload
from tests.support.server import RunningServer

CONTENT = os.urandom(1000)


def test_more_downloads_at_once_than_there_are_places_are_refused(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT)
    monkeypatch.setattr("mysafe.server.api.transfers.MOST_AT_ONCE", 1)
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
