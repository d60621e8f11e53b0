# SPDX-License-Identifier: Apache-2.0
"""The inside of a backup: only what belongs there is read, and all of it must be there."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mysafe.services.backup.archive import ArchiveReader, ArchiveWriter, BackupRefused, Manifest
from mysafe.services.backup.opening import _OPENERS
from mysafe.services.backup.streams import new_file, scratch, through_pipe
from mysafe.storage.schema import metadata

MANIFEST = Manifest("00" * 16, 1_800_000_000, "1", "0001", 1, {"items": 2}, 7, "ab", 3, {"c" * 32: 4})


def archive(*left_out: str) -> bytes:
    target = io.BytesIO()
    writer = ArchiveWriter(target)
    for name, content in (("manifest.json", MANIFEST.encode()), ("vault.db", b"abc"), (f"blobs/{'c' * 32}", b"defg")):
        if name in left_out:
            writer.leave_out(name)
        else:
            writer.add(name, io.BytesIO(content), len(content))
    writer.finish()
    return target.getvalue()


def read(data: bytes) -> tuple[dict[str, bytes], list[str]]:
    reader = ArchiveReader(io.BytesIO(data))
    return {member.name: member.content.read() for member in reader.members()}, reader.left_out


def test_what_is_written_is_read() -> None:
    members, left_out = read(archive())
    assert Manifest.decode(members["manifest.json"]) == MANIFEST
    assert (members["vault.db"], members[f"blobs/{'c' * 32}"], left_out) == (b"abc", b"defg", [])


def test_a_content_that_was_gone_is_told() -> None:
    assert read(archive(f"blobs/{'c' * 32}"))[1] == [f"blobs/{'c' * 32}"]


@pytest.mark.parametrize("length", [0, 300, 600, 1500, 2600])
def test_an_archive_that_is_cut_short_is_refused(length: int) -> None:
    assert length < len(archive())
    with pytest.raises(BackupRefused):
        read(archive()[:length])


def _foreign(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry, io.BytesIO())
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _foreign("../vault.db"),
        _foreign("/etc/passwd"),
        _foreign("blobs/short"),
        _foreign("vault.db", tarfile.SYMTYPE),
        _foreign("vault.db", tarfile.DIRTYPE),
    ],
)
def test_what_belongs_to_no_backup_is_refused(data: bytes) -> None:
    with pytest.raises(BackupRefused, match="belongs to no backup"):
        read(data)


def test_a_part_that_is_not_what_was_written_is_refused() -> None:
    data = archive()
    at = data.index(b"abc" + bytes(9))
    with pytest.raises(BackupRefused, match="not what was written"):
        read(data[:at] + b"abd" + data[at + 3 :])


def _changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(MANIFEST.encode()), **fields}).encode()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", _changed(format=2), _changed(more=1), _changed(counts=1), _changed(audit_id="7")],
)
def test_a_manifest_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(BackupRefused):
        Manifest.decode(data)


def test_every_table_with_a_sealed_part_is_opened() -> None:
    sealed = {table.name for table in metadata.sorted_tables if {"dek", "details"} & set(table.c.keys())}
    assert sealed == set(_OPENERS)


def _fail(error: Exception) -> Callable[[object], None]:
    def run(stream: object) -> None:
        raise error

    return run


def test_the_failure_that_caused_the_other_is_told() -> None:
    with pytest.raises(KeyError):
        through_pipe(_fail(KeyError()), lambda source: source.read() or _fail(ValueError())(source))
    with pytest.raises(ValueError, match="reader"):
        through_pipe(lambda target: target.write(bytes(10**7)), _fail(ValueError("reader")))


def test_a_file_that_fails_never_gets_its_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError), new_file(tmp_path / "x") as file:
        file.writelines([b"half", "not bytes"])  # type: ignore[list-item]  # that is the failure
    assert list(tmp_path.iterdir()) == []


def test_a_file_never_takes_the_name_of_another(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(FileExistsError), new_file(tmp_path / "x") as file:
        file.write(b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"old")]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".x.1.scratch").mkdir()
    (tmp_path / ".x.1.scratch/vault.db").touch()
    (tmp_path / ".x.1.partial").touch()
    with scratch(tmp_path / "x") as directory:
        assert list(tmp_path.iterdir()) == [directory]
    assert list(tmp_path.iterdir()) == []
