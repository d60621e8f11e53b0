# SPDX-License-Identifier: Apache-2.0
"""Items between row and plaintext: seal one, open its meta, and hold what was found or granted without showing it."""

import logging

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress, RecordKey
from mysafe.domain.actions import Action
from mysafe.domain.files import FileContent
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.domain.items import FileSecret, Item, ItemMeta
from mysafe.domain.sharing import AclEntry
from mysafe.services.keys import VaultKeys, envelope_digest
from mysafe.services.payloads import items as payloads
from mysafe.services.recording import Subject
from mysafe.storage.blobs.rows import BlobRows
from mysafe.storage.item_versions import VersionRow
from mysafe.storage.items import ItemRow

_security = logging.getLogger("mysafe.security")

_KINDS = {kind.value: kind for kind in Kind}  # looking up in the class costs ten times as much, for each item of a list

_UNREMARKABLE = frozenset({"author_id", "created_at", "updated_at", "changed"})
"""Fields of a meta that say about a version what `changed` does not repeat."""

_SHOWN = {"acl": "sharing", "owner_id": "owner", "size_bytes": "size"}
"""Fields of a meta that people know by another name."""


class Candidate:
    """An item that was found and is not decided on yet. It shows nothing but its reference."""

    __slots__ = ("_key", "_meta", "_row", "ref")

    def __init__(self, row: ItemRow, key: RecordKey, meta: ItemMeta) -> None:
        self.ref = ItemRef(_KINDS[row.kind], ItemId(row.id))
        self._row = row
        self._key = key
        self._meta = meta


class Grant:
    """Proof that `action` on `item` was allowed and recorded. Only the unit of work makes one."""

    __slots__ = ("_key", "_row", "action", "item")

    def __init__(self, action: Action, item: Item, row: ItemRow, key: RecordKey | None) -> None:
        self.action = action
        self.item = item
        self._row = row
        self._key = key


def open_item(keys: VaultKeys, row: ItemRow) -> Candidate:
    """Return an item for deciding on it. Raises SealBroken, which is reported as a security event."""
    try:
        key, meta = _open(keys, row)
        if row.ident_bidx != identifier_index(keys, meta):
            raise SealBroken
    except SealBroken:
        _security.error("seal broken: %s %d", row.kind, row.id)
        raise
    return Candidate(row, key, meta)


def open_version(keys: VaultKeys, row: VersionRow) -> tuple[RecordKey, ItemMeta]:
    """Return the meta of a replaced version and what opens its secret. Errors as for `open_item`."""
    try:
        return _open(keys, row)
    except SealBroken:
        _security.error("seal broken: %s %d version %d", row.kind, row.id, row.version)
        raise


def check_opens(keys: VaultKeys, row: ItemRow | VersionRow) -> FileContent | None:
    """Open both parts of an item or of a replaced version; return what reads its content, None unless it is a file.

    Raises SealBroken, PayloadUnknown.
    """
    key, meta = open_version(keys, row) if isinstance(row, VersionRow) else _open(keys, row)
    secret = payloads.decode_secret(_KINDS[row.kind], key.open_secret(row.secret))
    if not isinstance(secret, FileSecret):
        return None
    ref = ItemRef(Kind.FILE, ItemId(row.id))
    return FileContent(ref, secret.blob_id, secret.key, meta.size_bytes, meta.file_name)


def _open(keys: VaultKeys, row: ItemRow | VersionRow) -> tuple[RecordKey, ItemMeta]:
    address = RecordAddress("items", row.kind, row.id, row.owner_id, row.version)
    key = keys.cipher.unwrap(address, row.dek)
    meta = payloads.decode_item_meta(key.open_meta(row.meta))
    if meta.owner_id != row.owner_id:
        raise SealBroken
    return key, meta


def seal_item(keys: VaultKeys, ref: ItemRef, version: int, meta: ItemMeta, secret: bytes) -> ItemRow:
    """Return an item as a row, under a fresh key. `secret` is the payload of its secret part."""
    address = RecordAddress("items", ref.kind, ref.id, meta.owner_id, version)
    sealed = keys.cipher.seal(address, payloads.encode_item_meta(meta), secret)
    epoch, at = keys.cipher.epoch, (meta.created_at, meta.updated_at)
    parts = (sealed.dek, sealed.meta, sealed.secret or b"")
    return ItemRow(ref.kind, ref.id, meta.owner_id, version, epoch, *at, identifier_index(keys, meta), *parts)


def identifier_index(keys: VaultKeys, meta: ItemMeta) -> bytes | None:
    """Return the blind index of an item's identifier code; an empty code never collides (contract 9, rule 9)."""
    code = meta.identifier_code
    return keys.index.identifier_code(meta.owner_id, code) if code else None


def subject_of(row: ItemRow | VersionRow, name: str) -> Subject:
    """Return what an audit entry says about a version of an item."""
    return Subject(row.kind, row.id, row.version, envelope_digest(row.dek, row.meta, row.secret), name)


def index_grants(acl: tuple[AclEntry, ...]) -> list[tuple[int, int]]:
    """Return the shares of an item as its index keeps them."""
    return [(entry.principal_type, entry.principal_id) for entry in acl]


def changed_meta(before: ItemMeta, after: ItemMeta) -> tuple[str, ...]:
    """Return the names of the fields in which two metas differ, as people know them."""
    pairs = zip(ItemMeta._fields, before, after, strict=True)
    return tuple(_SHOWN.get(name, name) for name, old, new in pairs if old != new and name not in _UNREMARKABLE)


def hold_content(blobs: BlobRows, payload: bytes, version: int) -> None:
    """Say that a new version of a file has the content that its payload names."""
    secret = payloads.decode_secret(Kind.FILE, payload)
    if isinstance(secret, FileSecret):
        blobs.hold(secret.blob_id, version)
