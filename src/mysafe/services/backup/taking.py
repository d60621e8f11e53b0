# SPDX-License-Identifier: Apache-2.0
"""Take a backup of a vault that is being used."""

import io
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mysafe import __version__
from mysafe.crypto import age
from mysafe.domain.errors import Unavailable
from mysafe.domain.secret_text import SecretText
from mysafe.services.backup.archive import (
    BLOBS,
    DATABASE,
    MANIFEST,
    PIECE_BYTES,
    ArchiveWriter,
    BackupRefused,
    Manifest,
)
from mysafe.services.backup.streams import new_file, scratch, through_pipe
from mysafe.storage import vault_state
from mysafe.storage.blobs.store import BlobMissing, BlobReader, BlobStore
from mysafe.storage.copies.tables import audit_head, counts, kept_blobs
from mysafe.storage.engine import Transaction
from mysafe.storage.migrations import HEAD
from mysafe.storage.sqlite_lane import SqliteEngine

CopyDatabase = Callable[[Path], None]
"""Make a SQLite database with the state of the vault at one moment. Raises StorageRefused."""


class Sealing(NamedTuple):
    """How a backup is encrypted: to an age recipient, or under a passphrase. One of them is set."""

    recipient: str | None = None
    passphrase: SecretText | None = None


class Source(NamedTuple):
    """What is backed up.

    `copy` copies the database, `store` keeps the contents of files, and `kept` returns the ids of those that items have
    at the moment it is asked.
    """

    copy: CopyDatabase
    store: BlobStore
    kept: Callable[[], Container[str]]


class Taken(NamedTuple):
    """A backup that was written. `lost` are the contents that items have and the store does not, or not whole."""

    manifest: Manifest
    lost: tuple[str, ...]


def take(source: Source, target: Path, sealing: Sealing, taken_at: int) -> Taken:
    """Write a backup into a new file, and return what is in it. The file has its name once it is whole and on disk.

    Args:
        source: what is backed up.
        target: does not exist yet.
        sealing: who can open it.
        taken_at: Unix seconds.

    Raises:
        BackupRefused, AgeRefused, StorageRefused, Unavailable, OSError: there is no new file then.
    """
    if target.exists():
        raise BackupRefused(f"{target} is there already: a backup never replaces a file")
    with scratch(target) as directory:
        database = directory / DATABASE
        source.copy(database)
        manifest = read_manifest(database, taken_at)
        lost: list[str] = []
        with new_file(target) as file:
            through_pipe(partial(_write, manifest, database, source, lost), partial(_seal, file, sealing))
    return Taken(manifest, tuple(lost))


def read_manifest(database: Path, taken_at: int) -> Manifest:
    """Return the manifest of a copied database. Nobody uses the copy meanwhile. Raises StorageRefused."""
    engine = SqliteEngine.open(database)
    try:
        found = engine.look(_summary).result()
    finally:
        engine.close()
    return found._replace(taken_at=taken_at, database_bytes=database.stat().st_size)


def _summary(tx: Transaction) -> Manifest:
    vault_id, keyring, head = vault_state.read_vault(tx), vault_state.read_keyring(tx), audit_head(tx)
    if vault_id is None or keyring is None:
        raise BackupRefused("the database holds no vault")
    blobs = {blob.id: blob.stored_bytes for blob in kept_blobs(tx)}
    return Manifest(vault_id.hex(), 0, __version__, HEAD, keyring.version, counts(tx), *head, 0, blobs)


def _write(manifest: Manifest, database: Path, source: Source, lost: list[str], target: BinaryIO) -> None:
    archive = ArchiveWriter(target)
    encoded = manifest.encode()
    archive.add(MANIFEST, io.BytesIO(encoded), len(encoded))
    with database.open("rb") as file:
        archive.add(DATABASE, file, manifest.database_bytes)
    missing = [blob_id for blob_id, size in manifest.blobs.items() if not _add(archive, source.store, blob_id, size)]
    # Asked only now: what was erased since the copy was made is missed by nobody.
    kept = source.kept() if missing else ()
    lost += [blob_id for blob_id in missing if blob_id in kept]
    for blob_id in missing:
        archive.leave_out(BLOBS + blob_id, is_lost=blob_id in kept)
    archive.finish()


def _add(archive: ArchiveWriter, store: BlobStore, blob_id: str, size: int) -> bool:
    """Add a content; return False if it is not there, or not as long as it should be."""
    try:
        content = store.open(blob_id)
    except BlobMissing:
        return False
    try:
        if content.size_bytes != size:
            return False
        archive.add(BLOBS + blob_id, _Content(content), size)  # type: ignore[arg-type]  # all a tar asks of a file
    finally:
        content.close()
    return True


def _seal(target: BinaryIO, sealing: Sealing, source: BinaryIO) -> None:
    if sealing.passphrase is not None:
        age.seal_for_passphrase(source, target, sealing.passphrase)
    elif sealing.recipient is not None:
        age.seal_for_recipient(source, target, sealing.recipient)
    else:
        raise BackupRefused("a backup needs a recipient or a passphrase")


class _Content:
    """A blob as a stream."""

    def __init__(self, reader: BlobReader) -> None:
        self._reader = reader
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        left = self._reader.size_bytes - self._at
        buffer = bytearray(min(left, PIECE_BYTES if size < 0 else size))
        try:
            self._reader.read_into(self._at, memoryview(buffer))
        except BlobMissing:
            raise Unavailable from None
        self._at += len(buffer)
        return bytes(buffer)
