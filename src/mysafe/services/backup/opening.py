# SPDX-License-Identifier: Apache-2.0
"""Open every record of a vault, to know that all of it can be read. Nothing of what is opened is shown.

A record may open and yet be an old one: `mysafe.services.audit_tree.scrubbing` compares them with the audit log.
"""

from collections.abc import Callable, Container
from contextlib import closing
from functools import partial
from typing import NamedTuple

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress
from mysafe.domain.errors import Unavailable
from mysafe.domain.files import FileContent
from mysafe.services.custody.sealed_items import check_opens
from mysafe.services.files.shelf import Reading, Shelf
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads import principals as payloads
from mysafe.services.payloads import sign_in
from mysafe.services.payloads.envelope import PayloadUnknown
from mysafe.services.recording import open_row
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.copies.tables import rows_of
from mysafe.storage.engine import Transaction
from mysafe.storage.item_versions import VersionRow
from mysafe.storage.items import ItemRow
from mysafe.storage.principals import RecordRow
from mysafe.storage.statements import Row

_KEY_COLUMNS = {"items": 2, "item_versions": 3}

MOST_NAMED = 20
"""How many broken records are named; the others are only counted."""


class Opened(NamedTuple):
    """How many records there are, how many of them do not open, and the first of those by table and key.

    `contents` are the contents of files that the records name, by the ids of their blobs.
    """

    records: int
    broken: int
    named: tuple[str, ...]
    contents: dict[str, FileContent]


def open_everything(tx: Transaction, keys: VaultKeys) -> Opened:
    """Open every sealed record of every table."""
    records, broken, contents = 0, list[str](), dict[str, FileContent]()
    for table, open_one in _OPENERS.items():
        for row in rows_of(tx, table):
            records += 1
            try:
                opened = open_one(keys, row)
            except (SealBroken, PayloadUnknown, ValueError):
                broken.append(" ".join([table, *map(str, row[: _KEY_COLUMNS.get(table, 1)])]))
                continue
            if isinstance(opened, FileContent):
                contents[opened.blob_id] = opened
    return Opened(records, len(broken), tuple(broken[:MOST_NAMED]), contents)


def open_contents(shelf: Shelf, contents: dict[str, FileContent], missing: Container[str]) -> tuple[str, ...]:
    """Open the content of every file but those that are known to be missing; return the files that do not open."""
    present = (content for blob_id, content in contents.items() if blob_id not in missing)
    return tuple(f"content of file {content.ref.id}" for content in present if not _is_readable(shelf, content))


def _is_readable(shelf: Shelf, content: FileContent) -> bool:
    try:
        with closing(shelf.read(content)) as reading:
            _read_through(reading, content.size_bytes)
    except (SealBroken, Unavailable):
        return False
    return True


def _read_through(reading: Reading, size_bytes: int) -> None:
    at = 0
    while (fetched := reading.fetch(at, size_bytes)) is not None:
        for _ in reading.open(fetched):
            pass
        at = fetched.stop


def _open_item(keys: VaultKeys, row: Row) -> object:
    return check_opens(keys, ItemRow._make(row))


def _open_version(keys: VaultKeys, row: Row) -> object:
    return check_opens(keys, VersionRow._make(row))


def _open_audit(keys: VaultKeys, row: Row) -> object:
    return open_row(keys, AuditRow._make(row))


def _open_record(table: str, decode: Callable[[bytes, int, int, int], object], keys: VaultKeys, row: Row) -> object:
    record = RecordRow._make(row)
    key = keys.cipher.unwrap(RecordAddress(table, table, record.id, record.owner_id, record.version), record.dek)
    if record.secret is not None:
        key.open_secret(record.secret)
    return decode(key.open_meta(record.meta), record.id, record.version, record.created_at)


_DECODERS: dict[str, Callable[[bytes, int, int, int], object]] = {
    "users": payloads.decode_user,
    "groups": payloads.decode_group,
    "access_keys": payloads.decode_access_key,
    "tokens": payloads.decode_token,
    "transfers": payloads.decode_transfer,
    "sessions": sign_in.decode_session,
    "factors": sign_in.decode_factor,
    "links": sign_in.decode_link,
}

_OPENERS: dict[str, Callable[[VaultKeys, Row], object]] = {
    "audit": _open_audit,
    **{table: partial(_open_record, table, decode) for table, decode in _DECODERS.items()},
    "items": _open_item,
    "item_versions": _open_version,
}
"""Every table with a sealed part, and how a row of it opens. A test compares it with the schema."""
