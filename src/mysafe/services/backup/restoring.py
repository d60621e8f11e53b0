# SPDX-License-Identifier: Apache-2.0
"""Unpack a backup, and check that all of it is there."""

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mysafe.crypto import age
from mysafe.domain.actions import Action
from mysafe.domain.secret_text import SecretText
from mysafe.services.authentication import local_operator
from mysafe.services.backup.archive import (
    BLOBS,
    DATABASE,
    LARGEST_MANIFEST_BYTES,
    MANIFEST,
    PIECE_BYTES,
    ArchiveReader,
    Manifest,
    Member,
    refuse,
)
from mysafe.services.backup.streams import through_pipe
from mysafe.services.backup.taking import read_manifest
from mysafe.services.vault import Vault
from mysafe.storage.blobs.store import BlobStore
from mysafe.storage.copies.sqlite import is_sound, move_ids_on
from mysafe.storage.copies.transfer import SEQUENCES
from mysafe.storage.migrations import KNOWN


class Opening(NamedTuple):
    """What opens a backup: its passphrase, or the text of the file with the age identity of its recipient."""

    identity: SecretText | None = None
    passphrase: SecretText | None = None


class Unpacked(NamedTuple):
    """What came out of a backup: its manifest, and the contents it does not hold.

    Those `left_out` belonged to items that were erased while it was made; those `lost` the vault itself had lost.
    """

    manifest: Manifest
    left_out: tuple[str, ...]
    lost: tuple[str, ...]


def unpack(file: Path, opening: Opening, directory: Path, store: BlobStore) -> Unpacked:
    """Decrypt a backup into an empty directory, and check that everything its manifest names is there.

    Raises:
        BackupRefused, AgeRefused, StorageRefused, Unavailable, OSError: the directory is not to be used.
    """
    with file.open("rb") as source:
        unpacked = through_pipe(partial(_open, source, opening), partial(_read, directory, store))
    database = directory / DATABASE
    if unpacked.manifest.revision not in KNOWN:
        refuse(f"it has the schema {unpacked.manifest.revision:.20}, which this version does not know: upgrade")
    if not is_sound(database, unpacked.manifest.revision):
        refuse("its database is damaged, or is not made as its version makes it")
    _compare(unpacked.manifest, read_manifest(database, unpacked.manifest.taken_at))
    return unpacked


def _compare(wanted: Manifest, found: Manifest) -> None:
    for name in ("vault_id", "keyring_version", "counts", "audit_id", "audit_digest", "blobs"):
        if getattr(wanted, name) != getattr(found, name):
            refuse(f"its database does not have the {name.replace('_', ' ')} that its manifest says")


def _open(source: BinaryIO, opening: Opening, target: BinaryIO) -> None:
    if age.is_under_passphrase(source):
        if opening.passphrase is None:
            raise age.AgeRefused("the backup was made with a passphrase: give it")
        age.open_with_passphrase(source, target, opening.passphrase)
    elif opening.identity is None:
        raise age.AgeRefused("the backup was made for an age recipient: give the file with its identity")
    else:
        age.open_with_identity(source, target, age.find_identity(opening.identity))


def _read(directory: Path, store: BlobStore, source: BinaryIO) -> Unpacked:
    reader = ArchiveReader(source)
    manifest: Manifest | None = None
    met: dict[str, int] = {}
    for member in reader.members():
        if manifest is None:
            manifest = _manifest_in(member)
        elif member.name == DATABASE:
            _write_file(directory / DATABASE, member, manifest.database_bytes)
        else:
            blob_id = member.name.removeprefix(BLOBS)
            if manifest.blobs.get(blob_id) != member.size:
                refuse("it holds a content that its manifest does not name")
            _store(store, blob_id, member)
            met[blob_id] = member.size
    left_out, lost = (tuple(name.removeprefix(BLOBS) for name in names) for names in (reader.left_out, reader.lost))
    if manifest is None or not (directory / DATABASE).exists() or {*met, *left_out, *lost} != set(manifest.blobs):
        refuse("a part of it is missing")
    return Unpacked(manifest, left_out, lost)


def _manifest_in(member: Member) -> Manifest:
    if member.name != MANIFEST or member.size > LARGEST_MANIFEST_BYTES:
        refuse("it does not begin with its manifest")
    return Manifest.decode(member.content.read())


def _write_file(path: Path, member: Member, size: int) -> None:
    if member.size != size:
        refuse("its database does not have the length that its manifest says")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        while piece := member.content.read(PIECE_BYTES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _store(store: BlobStore, blob_id: str, member: Member) -> None:
    writer = store.create(blob_id)
    try:
        while piece := member.content.read(PIECE_BYTES):
            writer.write(piece)
        writer.finish()
    finally:
        writer.abort()


def skip_ids(database: Path, by: int) -> None:
    """Skip numbers that may have been given after the backup was made (R-ITEM-02). Raises StorageRefused."""
    move_ids_on(database, SEQUENCES, by)


def take_over(vault: Vault, manifest: Manifest) -> None:
    """End every token that was good when the backup was made, and record that the vault was restored."""
    name = f"taken {moment(manifest.taken_at)}"
    vault.run(local_operator, lambda uow: uow.registry.root.begin_after_restore(name)).result()


def record(vault: Vault, action: Action, name: str) -> None:
    """Record that a backup is taken or was proved."""
    vault.run(local_operator, lambda uow: uow.registry.root.record_backup(action, name)).result()


def moment(at: int) -> str:
    """Return a time in Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
