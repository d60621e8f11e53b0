# SPDX-License-Identifier: Apache-2.0
"""The audit log as rows: appended in the transaction of the action, never changed."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, insert, select, text

from mysafe.domain.errors import AuditUnwritable, Unavailable
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.schema import audit
from mysafe.storage.statements import Row, compile_statement


class AuditRow(NamedTuple):
    """A row of `audit`, in the table's order. `id` is 0 until it is stored."""

    id: int
    at_ms: int
    node: str
    actor_id: int
    access_key_id: int
    action: str
    record_kind: str
    record_id: int
    new_version: int
    envelope_sha256: bytes
    result: str
    request_id: str
    details: bytes


_COLUMNS = tuple(column.name for column in audit.columns if column.name != "id")
_APPEND = compile_statement(insert(audit).values({name: bindparam(name) for name in _COLUMNS}), _COLUMNS)._replace(
    failure=AuditUnwritable
)
_LAST = compile_statement(select(func.max(audit.c.id)), ())
_COUNT = compile_statement(select(func.count()).select_from(audit), ())
_NEWEST = compile_statement(select(audit).order_by(audit.c.id.desc()).suffix_with(text("LIMIT :most")), ("most",))


def append(tx: Transaction, row: AuditRow) -> None:
    """Store a row. Raises AuditUnwritable if that is not possible, whatever the reason."""
    try:
        tx.write(_APPEND, *row[1:])
    except (Unavailable, UniqueClash) as error:
        raise AuditUnwritable from error


def newest(tx: Transaction, limit: int) -> list[AuditRow]:
    """Return the newest rows, at most `limit`, ascending by id."""
    return [_audit_row(row) for row in reversed(tx.rows(_NEWEST, limit))]


def count(tx: Transaction) -> int:
    """Return how many rows there are."""
    (number,) = tx.rows(_COUNT)[0]
    return int(str(number))


def last_id(tx: Transaction) -> int:
    """Return the id of the newest row, 0 without one. Cheap, unlike `count`."""
    (last,) = tx.rows(_LAST)[0]
    return int(str(last or 0))


def _audit_row(row: Row) -> AuditRow:
    return AuditRow._make(row)  # strict tables hold just these types
