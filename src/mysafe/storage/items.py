# SPDX-License-Identifier: Apache-2.0
"""Items as rows: sealed parts and the clear columns that find them. Only the unit of work may write here."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, func, literal_column, select, text, union, update
from sqlalchemy import insert as insert_into

from mysafe.domain.errors import Busy
from mysafe.storage.engine import Transaction
from mysafe.storage.schema import grants_idx, group_members_idx, item_versions, items
from mysafe.storage.statements import Row, Statement, compile_statement, insert_all


class ItemRow(NamedTuple):
    """A row of `items`, in the table's order. `secret` is empty where it was not asked for.

    `ident_bidx` is the blind index of the identifier code, None without one; it is unique.
    """

    kind: str
    id: int
    owner_id: int
    version: int
    epoch: int
    created_at: int
    updated_at: int
    ident_bidx: bytes | None
    dek: bytes
    meta: bytes
    secret: bytes


OWNED_AT_ONCE = 100
"""Most items of an owner read at once."""

# Literals, not parameters: the planner of every database may know them. They are domain.sharing.PrincipalType.
_USER: ColumnElement[int] = literal_column("1")
_GROUP: ColumnElement[int] = literal_column("2")


def _candidates() -> Statement:
    """Return the query of `candidates`: by owner, by own grant, and by the grants of listed groups."""
    owned = select(items.c.id).where(items.c.kind == bindparam("kind"), items.c.owner_id == bindparam("user"))
    granted = select(grants_idx.c.item_id).where(
        grants_idx.c.principal_type == _USER,
        grants_idx.c.principal_id == bindparam("user"),
        grants_idx.c.kind == bindparam("kind"),
    )
    groups = select(group_members_idx.c.group_id).where(group_members_idx.c.user_id == bindparam("user"))
    by_group = select(grants_idx.c.item_id).where(
        grants_idx.c.principal_type == _GROUP,
        grants_idx.c.principal_id.in_(groups),
        grants_idx.c.kind == bindparam("kind"),
    )
    columns = [column for column in items.columns if column.name != "secret"]
    statement = (
        select(*columns)
        .where(
            items.c.kind == bindparam("kind"),
            items.c.id.in_(union(owned, granted, by_group)),
        )
        .order_by(items.c.id)
    )
    return compile_statement(statement, ("kind", "kind", "user", "user", "kind", "user", "kind"))


_REPLACED = tuple(column.name for column in items.columns if column.name not in {"kind", "id"})
_INSERT = insert_all(items)
_INSERT_GRANT = insert_all(grants_idx)
_FIND = compile_statement(
    select(items).where(items.c.kind == bindparam("kind"), items.c.id == bindparam("id")), ("kind", "id")
)
_REPLACE = compile_statement(
    update(items)
    .where(
        items.c.kind == bindparam("of_kind"),
        items.c.id == bindparam("of_id"),
        items.c.version == bindparam("of_version"),
    )
    .values({name: bindparam(f"new_{name}") for name in _REPLACED}),
    (*(f"new_{name}" for name in _REPLACED), "of_kind", "of_id", "of_version"),
)
_KEEP = compile_statement(
    insert_into(item_versions).from_select(
        [column.name for column in item_versions.columns],
        select(*(items.c[column.name] for column in item_versions.columns)).where(
            items.c.kind == bindparam("kind"), items.c.id == bindparam("id"), items.c.version == bindparam("version")
        ),
    ),
    ("kind", "id", "version"),
)._replace(failure=Busy)  # somebody else kept the same version just now
_DROP_GRANT = compile_statement(
    delete(grants_idx).where(*(column == bindparam(column.name) for column in grants_idx.columns)),
    tuple(column.name for column in grants_idx.columns),
)
_ERASE = compile_statement(
    delete(items).where(
        items.c.kind == bindparam("kind"), items.c.id == bindparam("id"), items.c.version == bindparam("version")
    ),
    ("kind", "id", "version"),
)
_OWNED = compile_statement(
    select(items)
    .where(items.c.kind == bindparam("kind"), items.c.owner_id == bindparam("owner"), items.c.id > bindparam("after"))
    .order_by(items.c.id)
    .suffix_with(text(f"LIMIT {OWNED_AT_ONCE}")),  # a bound limit spoils the plan on PostgreSQL
    ("kind", "owner", "after"),
)
_CODE = compile_statement(select(items.c.id).where(items.c.ident_bidx == bindparam("ident_bidx")), ("ident_bidx",))
_COUNT = compile_statement(select(func.count()).select_from(items), ())
_CANDIDATES = _candidates()


Grants = Collection[tuple[int, int]]
"""For the index: pairs of principal type and principal id."""


def insert(tx: Transaction, row: ItemRow, grants: Grants) -> None:
    """Store a new item and who it is shared with.

    Raises:
        UniqueClash: its identifier code is taken.
    """
    if row.ident_bidx is None:
        tx.write(_INSERT, *row)  # nothing it could clash with
    else:
        tx.execute(_INSERT, *row)
    if grants:
        tx.execute_many(_INSERT_GRANT, _grant_rows(row, grants))


def replace(tx: Transaction, row: ItemRow, before: Grants, after: Grants) -> bool:
    """Store the next version of an item and keep the one before; return False if the stored one is not that one.

    Args:
        row: the new version.
        before: who the version before was shared with.
        after: who this one is shared with.

    Raises:
        UniqueClash: its identifier code is taken.
    """
    tx.write(_KEEP, row.kind, row.id, row.version - 1)
    if not tx.execute(_REPLACE, *row[2:], row.kind, row.id, row.version - 1):
        return False
    dropped, added = set(before) - set(after), set(after) - set(before)
    # What the index has too much, whoever put it there, must not be in the way of what is added.
    if dropped or added:
        tx.execute_many(_DROP_GRANT, _grant_rows(row, dropped | added))
    if added:
        tx.execute_many(_INSERT_GRANT, _grant_rows(row, added))
    return True


def find(tx: Transaction, kind: str, item_id: int) -> ItemRow | None:
    """Return an item, or None."""
    row = tx.row(_FIND, kind, item_id)
    return None if row is None else _item_row(row)


def candidates(tx: Transaction, kind: str, user_id: int) -> list[ItemRow]:
    """Return the items the index tables connect with a user, ascending by id, without their secret part."""
    found = tx.rows(_CANDIDATES, kind, kind, user_id, user_id, kind, user_id, kind)
    return [_item_row((*row, b"")) for row in found]


def erase(tx: Transaction, row: ItemRow, grants: Grants) -> bool:
    """Remove an item and its entries of the index; return False if the stored one is not this version.

    The journal is emptied after the commit, so that the removed bytes are not in there either.
    """
    if not tx.execute(_ERASE, row.kind, row.id, row.version):
        return False
    if grants:
        tx.execute_many(_DROP_GRANT, _grant_rows(row, grants))
    tx.empty_journal_afterwards()
    return True


def owned_by(tx: Transaction, kind: str, owner_id: int, after: int) -> list[ItemRow]:
    """Return the items of an owner with larger ids than `after`, ascending, at most OWNED_AT_ONCE."""
    return [_item_row(row) for row in tx.rows(_OWNED, kind, owner_id, after)]


def is_code_taken(tx: Transaction, ident_bidx: bytes) -> bool:
    """Return whether an item has this blind index of an identifier code."""
    return tx.row(_CODE, ident_bidx) is not None


def count(tx: Transaction) -> int:
    """Return how many items there are."""
    (number,) = tx.rows(_COUNT)[0]
    return int(str(number))


def _grant_rows(row: ItemRow, grants: Grants) -> list[Row]:
    return [(*grant, row.kind, row.id) for grant in grants]


_item_row = ItemRow._make  # strict tables hold just these types
