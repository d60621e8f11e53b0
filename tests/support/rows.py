# SPDX-License-Identifier: Apache-2.0
"""Rows as storage keeps them, with contents that mean nothing: storage has no keys and asks for no sense."""

from mysafe.storage.audit_log import AuditRow
from mysafe.storage.items import ItemRow
from mysafe.storage.principals import RecordRow


def audit_row(number: int = 1, details: bytes = b"details") -> AuditRow:
    return AuditRow(
        0, 1_700_000_000_000, "node", number, 2, "item.read", "password", number, 1, bytes(32), "allowed", "r", details
    )


def item_row(
    item_id: int, owner_id: int = 1, version: int = 1, kind: str = "password", ident_bidx: bytes | None = None
) -> ItemRow:
    at = (1_700_000_000, 1_700_000_001)
    return ItemRow(kind, item_id, owner_id, version, 1, *at, ident_bidx, b"dek", b"meta", b"secret")


def record_row(record_id: int, bidx: bytes | None = None, expires_at: int | None = None) -> RecordRow:
    index = bidx if bidx is not None else record_id.to_bytes(16)
    return RecordRow(record_id, 0, 1, 1, index, 1_700_000_000, 1_700_000_001, expires_at, b"dek", b"meta", None)
