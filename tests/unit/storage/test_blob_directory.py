# SPDX-License-Identifier: Apache-2.0
"""The directory store: nothing has its name before it is complete and on disk, and nobody else can read it."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mysafe.domain.errors import StoreFull, Unavailable
from mysafe.storage.blobs import directory as module
from mysafe.storage.blobs.directory import PENDING, DirectoryStore
from mysafe.storage.blobs.store import BlobMissing, BlobWriter
from tests.support.file_client import read_at

BLOB = "ab" * 16


def files(place: Path) -> list[str]:
    return sorted(path.name for path in place.rglob("*") if path.is_file())


def test_a_blob_comes_back_at_any_place(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "blobs")
    writer = store.create(BLOB)
    writer.write(b"some ")
    writer.write(memoryview(b"bytes"))
    writer.finish()
    reader = store.open(BLOB)
    assert (reader.size_bytes, read_at(reader, 0, 10), read_at(reader, 5, 3)) == (10, b"some bytes", b"byt")
    with pytest.raises(BlobMissing):
        read_at(reader, 5, 6)
    reader.close()


def test_a_blob_has_no_name_before_it_is_finished(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    writer = store.create(BLOB)
    writer.write(b"half")
    assert files(tmp_path) == [BLOB + PENDING]
    with pytest.raises(BlobMissing):
        store.open(BLOB)
    writer.finish()
    assert files(tmp_path) == [BLOB]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        store = DirectoryStore(tmp_path / "blobs")
        store.create(BLOB).finish()
    finally:
        os.umask(previous)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "blobs").rglob("*")}
    assert modes == {0o700, 0o600}


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_removed_blob_leaves_nothing(tmp_path: Path, is_finished: bool) -> None:
    store = DirectoryStore(tmp_path)
    writer = store.create(BLOB)
    writer.write(b"bytes")
    writer.finish() if is_finished else writer.abort()
    store.remove(BLOB)
    store.remove(BLOB)
    assert files(tmp_path) == []


def test_the_disk_has_it_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, _seen(seen, name))
    store = DirectoryStore(tmp_path)
    writer = store.create(BLOB)
    seen.clear()
    writer.finish()
    assert seen == ["fsync", "rename", "fsync"]


def test_a_long_blob_is_synced_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYNC_BYTES", 10)
    store = DirectoryStore(tmp_path)
    writer = store.create(BLOB)
    for _ in range(5):
        writer.write(b"0123456789")
    writer.finish()
    assert read_at(store.open(BLOB), 0, 50) == b"0123456789" * 5


def _seen(seen: list[str], name: str) -> Callable[..., object]:
    """Return a function of the system that says that it was called."""
    real = getattr(os, name)

    def call(*given: object) -> object:
        seen.append(name)
        return real(*given)

    return call


def _write_and_finish(writer: BlobWriter) -> None:
    writer.write(b"bytes")
    writer.finish()


def _failing(number: int) -> object:
    def fail(*given: object) -> None:
        raise OSError(number, "no")

    return fail


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, Unavailable)]
)
@pytest.mark.parametrize("call", ["write", "fsync", "fdatasync"])
def test_what_the_disk_says_becomes_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], call: str
) -> None:
    monkeypatch.setattr(module, "SYNC_BYTES", 1)
    writer = DirectoryStore(tmp_path).create(BLOB)
    monkeypatch.setattr(os, call, _failing(number))
    with pytest.raises(error):
        _write_and_finish(writer)
    writer.abort()
    assert files(tmp_path) == []


def test_the_room_is_that_of_the_disk(tmp_path: Path) -> None:
    assert DirectoryStore(tmp_path / "blobs").free_bytes() > 0


def test_a_finished_blob_takes_no_more(tmp_path: Path) -> None:
    writer = DirectoryStore(tmp_path).create(BLOB)
    writer.finish()
    with pytest.raises(ValueError, match="finished"):
        writer.write(b"more")
