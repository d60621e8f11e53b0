# SPDX-License-Identifier: Apache-2.0
"""The inside of a backup: only what belongs there is read, and all of it must be there."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mysafe.services.backup.archive import ArchiveReader, ArchiveWriter, BackupRefused, Manifest
from mysafe.services.backup.opening import _OPENERS
from mysafe.services.backup.schedule import NAMES
from mysafe.services.backup.streams import _HOST, new_file, scratch, sweep, through_pipe
from mysafe.storage.schema import metadata

MANIFEST = Manifest("00" * 16, 1_800_000_000, "1", "0001", 1, {"items": 2}, 7, "ab", 3, {"c" * 32: 4})


def archive(*left_out: str, is_lost: bool = False) -> bytes:
    target = io.BytesIO()
    writer = ArchiveWriter(target)
    for name, content in (("manifest.json", MANIFEST.encode()), ("vault.db", b"abc"), (f"blobs/{'c' * 32}", b"defg")):
        if name in left_out:
            writer.leave_out(name, is_lost=is_lost)
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


def test_a_content_that_was_lost_is_told_from_one_that_was_gone() -> None:
    reader = ArchiveReader(io.BytesIO(archive(f"blobs/{'c' * 32}", is_lost=True)))
    assert [len(member.content.read()) for member in reader.members()] == [len(MANIFEST.encode()), 3]
    assert (reader.lost, reader.left_out) == ([f"blobs/{'c' * 32}"], [])


def _sparse() -> bytes:
    """Return an archive of two kilobytes that unpacks to three gigabytes."""
    entry = tarfile.TarInfo("vault.db")
    entry.type, entry.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    length = 3 * 1024**3
    header[386 : 386 + 24] = b"%011o\0%011o\0" % (length - 512, 512)
    header[483 : 483 + 12] = b"%011o\0" % length
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(512) + bytes(1024)


def test_a_sparse_file_is_refused_before_it_is_unpacked() -> None:
    with tarfile.open(fileobj=io.BytesIO(_sparse())) as tar:
        (entry,) = tar.getmembers()
        assert (entry.isreg(), entry.size) == (True, 3 * 1024**3)  # the control: that is what tarfile makes of it
    with pytest.raises(BackupRefused, match="belongs to no backup"):
        read(_sparse())


@pytest.mark.parametrize("digests", [b"[]", b"7", b"[" * 100_000, b"\xff"])
def test_digests_of_another_kind_are_refused(digests: bytes) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|") as tar:
        entry = tarfile.TarInfo("digests.json")
        entry.size = len(digests)
        tar.addfile(entry, io.BytesIO(digests))
    with pytest.raises(BackupRefused, match="digests cannot be read"):
        read(target.getvalue())


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


def test_what_killed_runs_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    left = [
        tmp_path / f".mysafe-1.age.{_HOST}.{dead.pid}.scratch",
        tmp_path / f".mysafe-2.age.{_HOST}.{dead.pid}.partial",
    ]
    kept = [
        tmp_path / f".mysafe-1.age.{_HOST}.{os.getppid()}.scratch",
        tmp_path / f".mysafe-1.age.elsewhere.{dead.pid}.scratch",
        tmp_path / f".other.{_HOST}.{dead.pid}.partial",
    ]
    for path in (*left, *kept):
        path.mkdir() if path.suffix == ".scratch" else path.touch()
    sweep(tmp_path, NAMES)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


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
    (tmp_path / f".x.{_HOST}.{os.getpid()}.scratch").mkdir()
    (tmp_path / f".x.{_HOST}.{os.getpid()}.scratch/vault.db").touch()
    (tmp_path / ".x.elsewhere.1.partial").touch()
    os.utime(tmp_path / ".x.elsewhere.1.partial", (0, 0))
    with scratch(tmp_path / "x") as directory:
        assert list(tmp_path.iterdir()) == [directory]
    assert list(tmp_path.iterdir()) == []
