# SPDX-License-Identifier: Apache-2.0
"""Replaced versions of items as rows. They are written by `storage.items.replace` and never change."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, text

from mysafe.storage.engine import Transaction
from mysafe.storage.schema import item_versions
from mysafe.storage.statements import Row, compile_statement

VERSIONS_AT_ONCE = 100
"""Most versions read or pruned at once."""


class VersionRow(NamedTuple):
    """A row of `item_versions`, in the table's order. `secret` is empty where it was not asked for."""

    kind: str
    id: int
    version: int
    owner_id: int
    epoch: int
    created_at: int
    updated_at: int
    dek: bytes
    meta: bytes
    secret: bytes


_LIMIT = text(f"LIMIT {VERSIONS_AT_ONCE}")  # a bound limit spoils the plan on PostgreSQL
_old = item_versions.c
_OF_ITEM = (_old.kind == bindparam("kind"), _old.id == bindparam("id"))
_BEFORE = compile_statement(
    select(*(column for column in item_versions.columns if column.name != "secret"))
    .where(*_OF_ITEM, _old.version < bindparam("before"))
    .order_by(_old.version.desc())
    .suffix_with(_LIMIT),
    ("kind", "id", "before"),
)
_FIND = compile_statement(
    select(item_versions).where(*_OF_ITEM, _old.version == bindparam("version")), ("kind", "id", "version")
)
_LAST_MADE_BY = compile_statement(
    select(func.max(_old.version)).where(*_OF_ITEM, _old.updated_at <= bindparam("until")), ("kind", "id", "until")
)
_OLDEST = (
    select(_old.version).where(*_OF_ITEM, _old.version < bindparam("before")).order_by(_old.version).suffix_with(_LIMIT)
)
_PRUNE = compile_statement(
    delete(item_versions).where(
        _old.kind == bindparam("of_kind"), _old.id == bindparam("of_id"), _old.version.in_(_OLDEST)
    ),
    ("of_kind", "of_id", "kind", "id", "before"),
)
_OLDEST_LEFT = compile_statement(select(func.min(_old.version)).where(*_OF_ITEM), ("kind", "id"))
_ERASE = compile_statement(delete(item_versions).where(*_OF_ITEM), ("kind", "id"))


def before(tx: Transaction, kind: str, item_id: int, version: int) -> list[VersionRow]:
    """Return the replaced versions before one, newest first, at most VERSIONS_AT_ONCE, without their secret part."""
    return [_version_row((*row, b"")) for row in tx.rows(_BEFORE, kind, item_id, version)]


def find(tx: Transaction, kind: str, item_id: int, version: int) -> VersionRow | None:
    """Return a replaced version, or None."""
    row = tx.row(_FIND, kind, item_id, version)
    return None if row is None else _version_row(row)


def prune(tx: Transaction, kind: str, item_id: int, until: int) -> int:
    """Remove versions that were replaced by a time, at most VERSIONS_AT_ONCE, oldest first; return how many.

    A version was replaced when the next one was made: all before the last that was made by then.
    """
    row = tx.row(_LAST_MADE_BY, kind, item_id, until)
    if row is None or row[0] is None:
        return 0
    return tx.execute(_PRUNE, kind, item_id, kind, item_id, row[0])


def oldest(tx: Transaction, kind: str, item_id: int) -> int | None:
    """Return the number of the oldest replaced version of an item, None if there is none."""
    row = tx.row(_OLDEST_LEFT, kind, item_id)
    return None if row is None or row[0] is None else int(str(row[0]))


def erase(tx: Transaction, kind: str, item_id: int) -> int:
    """Remove all replaced versions of an item; return how many."""
    return tx.execute(_ERASE, kind, item_id)


def _version_row(row: Row) -> VersionRow:
    return VersionRow._make(row)  # strict tables hold just these types
