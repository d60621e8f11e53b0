# SPDX-License-Identifier: Apache-2.0
"""The wrapped data keys of all tables: find those of other epochs, replace one, count them.

The epoch is read from the wrapped key itself, not only from the column beside it: a key is destroyed on the word of
this count, and a column that is wrong must not cost the row.
"""

import struct
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, bindparam, func, literal_column, or_, select, text, tuple_, update

from mysafe.storage import schema
from mysafe.storage.engine import Transaction
from mysafe.storage.statements import Row, Value, compile_statement

BATCH = 500
"""Most rows found at once, and rewrapped in one transaction."""

_EPOCH_AT, _EPOCH_BYTES = 5, 4
"""Where the epoch stands in a wrapped key, counted from 1 (docs/formats/record.md)."""

_epoch_bytes = struct.Struct(">I").pack


class WrappedKey(NamedTuple):
    """A data key as it lies in a row. `table` and `kind` are those of the record's address."""

    kind: str
    id: int
    version: int
    dek: bytes


class WrappedKeys:
    """The wrapped keys of one table. `sealed_as` is the table in the addresses of its records."""

    def __init__(self, table: Table, key: tuple[str, ...], sealed_as: str) -> None:
        self.name = str(table.name)
        self.sealed_as = sealed_as
        self._key = key
        columns = table.c
        kind: ColumnElement[str] = columns.kind if "kind" in columns else literal_column(f"'{table.name}'")
        in_header = func.substr(columns.dek, literal_column(f"{_EPOCH_AT}"), literal_column(f"{_EPOCH_BYTES}"))
        is_other = or_(columns.epoch != bindparam("epoch"), in_header != bindparam("header"))
        following = tuple_(*(columns[name] for name in key)) > tuple_(*(bindparam(f"after_{name}") for name in key))
        found = select(kind, columns.id, columns.version, columns.dek)
        self._others = compile_statement(
            found.where(following, is_other)
            .order_by(*(columns[name] for name in key))
            .suffix_with(text(f"LIMIT {BATCH}")),  # a bound limit spoils the plan on PostgreSQL
            (*(f"after_{name}" for name in key), "epoch", "header"),
        )
        names = tuple(dict.fromkeys((*key, "version")))
        self._replace = compile_statement(
            update(table)
            .where(*(columns[name] == bindparam(f"of_{name}") for name in names), columns.dek == bindparam("old"))
            .values(epoch=bindparam("new_epoch"), dek=bindparam("new_dek")),
            ("new_epoch", "new_dek", *(f"of_{name}" for name in names), "old"),
            changes_remembered=True,
        )
        self._names = names
        self._count = compile_statement(select(func.count()).select_from(table).where(is_other), ("epoch", "header"))
        self._uses = compile_statement(
            select(columns.epoch, func.count()).group_by(columns.epoch).order_by(columns.epoch), ()
        )

    def others(self, tx: Transaction, epoch: int, after: WrappedKey | None) -> list[WrappedKey]:
        """Return keys that are not wrapped under an epoch, behind `after` in the order of the table, at most BATCH."""
        start: Row = tuple(-1 if name != "kind" else "" for name in self._key)
        if after is not None:
            start = self._values(after, self._key)
        return [WrappedKey._make(row) for row in tx.rows(self._others, *start, epoch, _epoch_bytes(epoch))]

    def replace(self, tx: Transaction, found: WrappedKey, epoch: int, dek: bytes) -> bool:
        """Replace a wrapped key; return False if the row does not hold the one that was found any more."""
        return tx.execute(self._replace, epoch, dek, *self._values(found, self._names), found.dek) > 0

    def count_others(self, tx: Transaction, epoch: int) -> int:
        """Return how many keys are not wrapped under an epoch."""
        (number,) = tx.rows(self._count, epoch, _epoch_bytes(epoch))[0]
        return int(str(number))

    def uses(self, tx: Transaction) -> dict[int, int]:
        """Return how many rows each epoch has, as their columns say."""
        return {int(str(epoch)): int(str(number)) for epoch, number in tx.rows(self._uses)}

    def _values(self, found: WrappedKey, names: tuple[str, ...]) -> tuple[Value, ...]:
        fields = found._asdict()
        return tuple(fields[name] for name in names)


# Items first: an update moves the row before it, as it is, to the versions.
ALL_WRAPPED = (
    WrappedKeys(schema.items, ("kind", "id"), "items"),
    WrappedKeys(schema.item_versions, ("kind", "id", "version"), "items"),
    *(
        WrappedKeys(table, ("id",), str(table.name))
        for table in (
            *(schema.users, schema.groups, schema.access_keys, schema.tokens, schema.transfers),
            *(schema.sessions, schema.factors, schema.links),
        )
    ),
)
"""Every table that holds wrapped data keys."""
