# SPDX-License-Identifier: Apache-2.0
"""Open every record of a vault, to know that all of it can be read. Nothing of what is opened is kept or shown."""

from collections.abc import Callable
from typing import NamedTuple

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress
from mysafe.services import payloads
from mysafe.services.custody.sealed_items import check_opens
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads import PayloadUnknown
from mysafe.services.recording import open_row
from mysafe.services.sign_in import payloads as sign_in
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
    """How many records opened, how many did not, and the first of those by table and key."""

    records: int
    broken: int
    named: tuple[str, ...]


def open_everything(tx: Transaction, keys: VaultKeys) -> Opened:
    """Open every sealed record: items, their versions, users, groups, access keys, tokens, transfers, the audit log."""
    records = broken = 0
    named: list[str] = []
    for table in _OPENERS:
        for row in rows_of(tx, table):
            records += 1
            if not _opens(keys, table, row):
                broken += 1
                named.append(" ".join([table, *map(str, row[: _KEY_COLUMNS.get(table, 1)])]))
    return Opened(records, broken, tuple(named[:MOST_NAMED]))


def _opens(keys: VaultKeys, table: str, row: Row) -> bool:
    try:
        _OPENERS[table](keys, row)
    except (SealBroken, PayloadUnknown, ValueError):
        return False
    return True


def _open_item(keys: VaultKeys, row: Row) -> None:
    check_opens(keys, ItemRow._make(row))


def _open_version(keys: VaultKeys, row: Row) -> None:
    check_opens(keys, VersionRow._make(row))


def _open_audit(keys: VaultKeys, row: Row) -> None:
    open_row(keys, AuditRow._make(row))


def _record(table: str, decode: Callable[[bytes, int, int, int], object]) -> Callable[[VaultKeys, Row], None]:
    def open_one(keys: VaultKeys, row: Row) -> None:
        record = RecordRow._make(row)
        key = keys.cipher.unwrap(RecordAddress(table, table, record.id, record.owner_id, record.version), record.dek)
        decode(key.open_meta(record.meta), record.id, record.version, record.created_at)
        if record.secret is not None:
            key.open_secret(record.secret)

    return open_one


_OPENERS: dict[str, Callable[[VaultKeys, Row], None]] = {
    "users": _record("users", payloads.decode_user),
    "groups": _record("groups", payloads.decode_group),
    "access_keys": _record("access_keys", payloads.decode_access_key),
    "tokens": _record("tokens", payloads.decode_token),
    "transfers": _record("transfers", payloads.decode_transfer),
    "sessions": _record("sessions", sign_in.decode_session),
    "factors": _record("factors", sign_in.decode_factor),
    "links": _record("links", sign_in.decode_link),
    "items": _open_item,
    "item_versions": _open_version,
    "audit": _open_audit,
}
"""Every table with a sealed part, and how a row of it opens. A test compares it with the schema."""
