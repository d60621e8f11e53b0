# SPDX-License-Identifier: Apache-2.0
"""The object store: nothing is seen before it is complete, nothing is left of what was not, and errors are ours.

S3_ENDPOINT (environment) names a real store for the tests that need no fault; its bucket `mysafe-test` must exist.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.config import SettingsRefused, load_settings
from mysafe.domain.errors import StoreFull, Unavailable
from mysafe.storage.blobs.s3 import PART_BYTES, S3Store, open_s3
from mysafe.storage.blobs.store import BlobMissing
from mysafe.storage.engine import StorageRefused
from tests.support.file_client import download, read_at, upload
from tests.support.s3_double import ObjectStore, object_store
from tests.support.server import RunningServer

BLOB = "ab" * 16
ADDRESS = "s3://mysafe-test/vault"


def connection_file(directory: Path, endpoint: str, mode: int = 0o600) -> Path:
    path = directory / "s3.ini"
    path.touch(mode)
    path.chmod(mode)
    path.write_text(f"[s3]\nendpoint = {endpoint}\nregion = us-east-1\naccess_key_id = id\nsecret_access_key = k%y\n")
    return path


@pytest.fixture
def double() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def store(tmp_path: Path, double: ObjectStore) -> S3Store:
    return open_s3(ADDRESS, connection_file(tmp_path, os.environ.get("S3_ENDPOINT", double.endpoint)))


@pytest.fixture
def faulty(tmp_path: Path, double: ObjectStore) -> S3Store:
    return open_s3(ADDRESS, connection_file(tmp_path, double.endpoint))


@pytest.mark.parametrize("size", [0, 10, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 7])
def test_a_blob_comes_back_at_any_place(store: S3Store, size: int) -> None:
    content = os.urandom(size)
    writer = store.create(BLOB)
    for start in range(0, size, 700_000):
        writer.write(memoryview(content)[start : start + 700_000])
    with pytest.raises(BlobMissing):
        store.open(BLOB)
    writer.finish()
    reader = store.open(BLOB)
    assert reader.size_bytes == size
    assert read_at(reader, 0, size // 2) + read_at(reader, size // 2, size - size // 2) == content
    assert read_at(reader, size // 3, size // 3) == content[size // 3 : size // 3 * 2]
    with pytest.raises(BlobMissing):
        read_at(reader, 1, size)
    reader.close()
    store.remove(BLOB)
    with pytest.raises(BlobMissing):
        store.open(BLOB)


def test_what_is_read_in_a_row_comes_out_of_one_answer(faulty: S3Store, double: ObjectStore) -> None:
    writer = faulty.create(BLOB)
    writer.write(bytes(1_000_000))
    writer.finish()
    reader = faulty.open(BLOB)
    for start in range(0, 1_000_000, 50_000):
        read_at(reader, start, 50_000)
    reader.close()
    assert double.calls.count("GET") == 1


@pytest.mark.parametrize("is_aborted", [True, False])
def test_an_interrupted_upload_leaves_nothing(faulty: S3Store, double: ObjectStore, is_aborted: bool) -> None:
    writer = faulty.create(BLOB)
    writer.write(bytes(2 * PART_BYTES))
    assert len(double.uploads) == 1
    if is_aborted:
        writer.abort()
    else:
        faulty.remove(BLOB)  # what the collector does after a crash
    assert (double.uploads, double.objects) == ({}, {})


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ((507, "XMinioStorageFull"), StoreFull),
        ((403, "AccessDenied"), Unavailable),
        ((404, "NoSuchBucket"), Unavailable),
    ],
)
def test_what_the_store_says_becomes_an_error_of_ours(
    faulty: S3Store, double: ObjectStore, fault: tuple[int, str], error: type[Exception]
) -> None:
    double.fault = fault
    writer = faulty.create(BLOB)
    with pytest.raises(error) as raised:
        writer.write(bytes(PART_BYTES))
    assert str(raised.value) == ""
    assert raised.value.__cause__ is None
    with pytest.raises(Unavailable):
        faulty.remove(BLOB)


def test_a_store_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = open_s3(ADDRESS, connection_file(tmp_path, "http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        store.open(BLOB)


def test_an_answer_that_ends_early_is_not_taken_for_a_blob(faulty: S3Store, double: ObjectStore) -> None:
    writer = faulty.create(BLOB)
    writer.write(bytes(1000))
    writer.finish()
    reader = faulty.open(BLOB)
    double.is_cutting = True
    with pytest.raises(Unavailable):
        read_at(reader, 0, 1000)
    double.is_cutting = False
    assert read_at(reader, 0, 1000) == bytes(1000)


@pytest.mark.parametrize(
    ("text", "mode", "sentence"),
    [
        ("[s3]\nregion = r\naccess_key_id = i\nsecret_access_key = SECRET\n", 0o640, "chmod 600"),
        ("[s3]\nregion = r\naccess_key_id = i\n", 0o600, "must have a section"),
        ("secret_access_key = SECRET\n", 0o600, "must have a section"),
        ("[s3]\nsecret_access_key = SECRET\nSECRET\n", 0o600, "must have a section"),
        ("[s3]\nendpoint = http://x.example\nregion = r\naccess_key_id = i\nsecret_access_key = k\n", 0o600, "https"),
    ],
)
def test_a_connection_that_is_not_safe_or_complete_is_refused(
    tmp_path: Path, text: str, mode: int, sentence: str
) -> None:
    path = tmp_path / "s3.ini"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(StorageRefused, match=sentence) as raised:
        open_s3(ADDRESS, path)
    assert "SECRET" not in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="cannot be read"):
        open_s3(ADDRESS, tmp_path / "none")


def test_files_are_kept_in_the_object_store_of_the_settings(tmp_path: Path, double: ObjectStore) -> None:
    server = RunningServer(tmp_path, files_store=ADDRESS, files_s3_file=connection_file(tmp_path, double.endpoint))
    try:
        owner, content = server.new_token(server.new_actor()), os.urandom(6_000_000)
        identifier = upload(server, owner, content)
        assert download(server, owner, identifier).content == content
        assert download(server, owner, identifier, Range="bytes=5000000-").content == content[5_000_000:]
        assert [len(stored) > 6_000_000 for stored in double.objects.values()] == [True]
        assert not (server.settings.data / "blobs").exists()
        double.fault = (503, "SlowDown")
        assert download(server, owner, identifier).status_code in {500, 503}
    finally:
        server.close()


def test_the_settings_name_a_bucket_and_its_file_together(tmp_path: Path) -> None:
    given = {"data": tmp_path / "data", "files_store": ADDRESS}
    with pytest.raises(SettingsRefused, match="only useful together"):
        load_settings(given, {}, None)
    with pytest.raises(SettingsRefused, match="s3://BUCKET"):
        load_settings({**given, "files_store": "https://bucket"}, {}, None)
