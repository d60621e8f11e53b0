# SPDX-License-Identifier: Apache-2.0
"""T-TAMPER on blobs: whoever writes in the directory of the contents is noticed, and no byte of theirs is served."""

import http.client
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mysafe.crypto.stream import SEALED_CHUNK_BYTES
from mysafe.services.files import shelf
from tests.support.file_client import FILES, download, stored_files, upload
from tests.support.server import RunningServer

CONTENT = os.urandom(3_000_000)
OTHER = os.urandom(3_000_000)


class Scene:
    """Two files of one owner, and access to their blobs."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.owner = server.new_token(server.new_actor())
        self.victim = upload(server, self.owner, CONTENT)
        (self.blob,) = stored_files(server.settings.data)
        self.other = upload(server, self.owner, OTHER)
        (self.other_blob,) = set(stored_files(server.settings.data)) - {self.blob}

    def received(self) -> tuple[int, int, bytes]:
        """Return status, announced length and everything that arrived of the victim."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.server.url.rpartition(":")[2]), timeout=20)
        connection.request("GET", f"{FILES}/{self.victim}/content", headers={"Authorization": f"Bearer {self.owner}"})
        answer = connection.getresponse()
        announced = int(answer.headers["Content-Length"])
        try:
            body = answer.read()
        except http.client.IncompleteRead as cut:
            body = cut.partial
        connection.close()
        return answer.status, announced, body


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    server = RunningServer(tmp_path)
    yield Scene(server)
    server.close()


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_an_untouched_content_is_served_whole(scene: Scene) -> None:
    assert scene.received() == (200, len(CONTENT), CONTENT)


@pytest.mark.parametrize("offset", [1_000_000, 2_000_001, 2_990_000])
def test_a_damaged_content_ends_before_its_length(scene: Scene, offset: int, caplog: pytest.LogCaptureFixture) -> None:
    flip(scene.blob, offset)
    with caplog.at_level(logging.ERROR, "mysafe.security"):
        status, announced, body = scene.received()
    assert (status, announced) == (200, len(CONTENT))
    assert 0 < len(body) <= offset
    assert CONTENT.startswith(body)
    assert f"seal broken: content of file {scene.victim}" in caplog.text
    assert download(scene.server, scene.owner, scene.other).content == OTHER


def link(scene: Scene) -> None:
    scene.blob.unlink()
    scene.blob.symlink_to(scene.other_blob)


CHANGES: dict[str, Callable[[Scene], object]] = {
    "cut": lambda scene: os.truncate(scene.blob, scene.blob.stat().st_size - 1),
    "cut by a chunk": lambda scene: os.truncate(scene.blob, scene.blob.stat().st_size - SEALED_CHUNK_BYTES),
    "continued": lambda scene: scene.blob.write_bytes(scene.blob.read_bytes() + b"more"),
    "swapped": lambda scene: scene.blob.write_bytes(scene.other_blob.read_bytes()),
    "emptied": lambda scene: scene.blob.write_bytes(b""),
    "removed": lambda scene: scene.blob.unlink(),
    "replaced by a link": link,
    "another head": lambda scene: flip(scene.blob, 3),
    "another salt": lambda scene: flip(scene.blob, 10),
    "another commitment": lambda scene: flip(scene.blob, 63),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_content_that_is_not_the_stored_one_is_not_begun(scene: Scene, change: Callable[[Scene], object]) -> None:
    change(scene)
    status, _, body = scene.received()
    assert status in {500, 503}
    assert b"Unexpected error." in body or b"Service unavailable." in body
    assert download(scene.server, scene.owner, scene.other).content == OTHER


def test_without_its_checks_a_swapped_content_would_be_served(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same key and context for all blobs, and the swap is not noticed."""
    monkeypatch.setattr(shelf, "blob_context", lambda vault_id, blob_id: b"")
    monkeypatch.setattr(os, "urandom", bytes)
    scene.victim = upload(scene.server, scene.owner, CONTENT)
    before = set(stored_files(scene.server.settings.data))
    upload(scene.server, scene.owner, OTHER)
    (second,) = set(stored_files(scene.server.settings.data)) - before
    (first,) = [path for path in before if path not in {scene.blob, scene.other_blob}]
    first.write_bytes(second.read_bytes())
    assert scene.received() == (200, len(OTHER), OTHER)
