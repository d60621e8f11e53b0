# SPDX-License-Identifier: Apache-2.0
"""What is inside a backup, once it is decrypted: a tar archive (docs/formats/backup.md).

    manifest.json    what this is a copy of, and what must be in it
    vault.db         a SQLite database: every record, sealed as ever
    blobs/ID         the content of each file, sealed as ever
    digests.json     SHA-256 of every member before, or why it is not there; it says that the archive is whole

It is written and read as a stream. A name that is not one of these ends the reading: nothing is ever unpacked where
an archive says, but only where its reader chose to.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, NoReturn

FORMAT = 1
"""Number of this layout. A reader refuses a later one."""

MANIFEST, DATABASE, DIGESTS, BLOBS = "manifest.json", "vault.db", "digests.json", "blobs/"

LARGEST_MANIFEST_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024

GONE, LOST = None, "lost"
"""What stands for the digest of a content that is not there: its item was erased meanwhile, or the store lost it."""

_BLOB_NAME = re.compile(r"blobs/[0-9a-f]{32}")


class BackupRefused(Exception):
    """A backup cannot be made or used. The text is one sentence for the operator, without secrets."""


class Manifest(NamedTuple):
    """What a backup holds.

    `vault_id` is hexadecimal; `taken_at` Unix seconds; `counts` the rows of each table; `audit_id` and `audit_digest`
    the newest row of the audit log; `blobs` the ids of the contents with their lengths.
    """

    vault_id: str
    taken_at: int
    version: str
    revision: str
    keyring_version: int
    counts: dict[str, int]
    audit_id: int
    audit_digest: str
    database_bytes: int
    blobs: dict[str, int]

    def encode(self) -> bytes:
        """Return the manifest as it is stored."""
        return json.dumps({"format": FORMAT, **self._asdict()}, sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Return the manifest of what `encode` made. Raises BackupRefused."""
        try:
            fields = json.loads(data)
            number = fields.pop("format")
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
            refuse("it has no manifest that can be read")
        if number != FORMAT:
            refuse(f"it has the format {number!r:.20}, and this version reads format {FORMAT}")
        if set(fields) != set(cls._fields) or not all(map(_has_type, cls._fields, (fields[n] for n in cls._fields))):
            refuse("its manifest does not have the fields of its format")
        return cls(**fields)


def _has_type(name: str, value: object) -> bool:
    kind = Manifest.__annotations__[name]
    if kind in (int, str):
        return isinstance(value, kind)
    return isinstance(value, dict) and all(isinstance(one, int) for one in value.values())


def refuse(reason: str) -> NoReturn:
    """Raise BackupRefused for a backup that is not as it should be."""
    raise BackupRefused(f"the backup cannot be used: {reason}")


class ArchiveWriter:
    """Write an archive into a stream, member by member."""

    def __init__(self, target: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # `finish` closes it
        self._digests: dict[str, str | None] = {}

    def add(self, name: str, source: BinaryIO, size: int) -> None:
        """Add a member of `size` bytes."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        reader = _Hashing(source)
        self._tar.addfile(entry, reader)
        self._digests[name] = reader.hexdigest()

    def leave_out(self, name: str, *, is_lost: bool) -> None:
        """Note that a member is not there, although the manifest names it.

        Its item was erased since, or the content `is_lost`: the vault still wants it, and does not have it.
        """
        self._digests[name] = LOST if is_lost else GONE

    def finish(self) -> None:
        """Write the digests, and the end."""
        data = json.dumps(self._digests, sort_keys=True).encode()
        entry = tarfile.TarInfo(DIGESTS)
        entry.size, entry.mode = len(data), 0o600
        self._tar.addfile(entry, io.BytesIO(data))
        self._tar.close()


class Member(NamedTuple):
    """One member that was met. `content` must be read to its end before the next one is asked for."""

    name: str
    size: int
    content: BinaryIO


class ArchiveReader:
    """Read an archive from a stream, in the order it was written."""

    def __init__(self, source: BinaryIO) -> None:
        try:
            self._tar = tarfile.open(fileobj=source, mode="r|")  # noqa: SIM115  # the stream is the caller's
        except tarfile.TarError:
            refuse("it is not an archive of mysafe")
        self._seen: dict[str, str] = {}
        self.left_out: list[str] = []
        """The contents whose items were erased while the backup was made."""
        self.lost: list[str] = []
        """The contents that the vault had lost when the backup was made."""

    def members(self) -> Iterator[Member]:
        """Return manifest, database and contents; what was read of each is compared with the digests at the end.

        Raises:
            BackupRefused: it is damaged, cut short, or holds something else.
        """
        try:
            for entry in self._tar:
                if entry.name == DIGESTS:
                    self._check(self._content(entry).read(LARGEST_MANIFEST_BYTES))
                    return
                if not _is_plain(entry) or not _is_ours(entry.name) or entry.name in self._seen:
                    refuse("it holds something that belongs to no backup")
                reader = _Hashing(self._content(entry))
                yield Member(entry.name, entry.size, reader)  # type: ignore[arg-type]  # all that is used of a file
                self._seen[entry.name] = reader.hexdigest()
        except (tarfile.TarError, EOFError):
            refuse("it is damaged or cut short")
        refuse("it is cut short: its end is missing")

    def _content(self, entry: tarfile.TarInfo) -> BinaryIO:
        content = self._tar.extractfile(entry)
        if content is None:
            refuse("it holds something that belongs to no backup")
        return content  # type: ignore[return-value]  # IO[bytes]

    def _check(self, data: bytes) -> None:
        try:
            digests = json.loads(data)
        except (ValueError, RecursionError):
            digests = None
        if not isinstance(digests, dict):
            refuse("it is damaged: its digests cannot be read")
        self.left_out = [name for name, digest in digests.items() if digest is GONE]
        self.lost = [name for name, digest in digests.items() if digest == LOST]
        if {name: digest for name, digest in digests.items() if digest not in (GONE, LOST)} != self._seen:
            refuse("it is damaged: a part of it is not what was written")


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """Return whether a member is as long in the archive as it is when it is unpacked: no link, no sparse file."""
    return entry.type == tarfile.REGTYPE and not entry.sparse and entry.pax_headers.keys() <= {"size"}


def _is_ours(name: str) -> bool:
    return name in {MANIFEST, DATABASE} or _BLOB_NAME.fullmatch(name) is not None


class _Hashing:
    """A stream that is hashed while it is read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._source.read(size)
        except tarfile.TarError:
            refuse("it is damaged or cut short")
        self._hash.update(data)
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
