# SPDX-License-Identifier: Apache-2.0
"""Every table of a vault, whatever is in it: counted, and read row by row in the order of its primary key."""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Table, bindparam, delete, func, select, text, tuple_

from mysafe.storage import schema
from mysafe.storage.engine import Transaction
from mysafe.storage.statements import Row, Statement, compile_statement

ROWS_AT_ONCE = 500

TABLES = tuple(table for table in schema.metadata.sorted_tables if table is not schema.sequences)
"""All tables with records, those that others refer to first. What counts the ids is not a record."""


class AuditHead(NamedTuple):
    """The newest row of the audit log: its id, and the SHA-256 of all its columns; 0 and "" for an empty log."""

    id: int
    digest: str


class KeptBlob(NamedTuple):
    """The content of a file that an item has: the blob's id, and its length as it is stored."""

    id: str
    stored_bytes: int


def _key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _first(table: Table) -> Statement:
    columns = [table.c[name] for name in _key(table)]
    return compile_statement(select(table).order_by(*columns).suffix_with(text(f"LIMIT {ROWS_AT_ONCE}")), ())


def _next(table: Table) -> Statement:
    names = _key(table)
    columns = [table.c[name] for name in names]
    after = tuple_(*columns) > tuple_(*(bindparam(f"after_{name}") for name in names))
    following = select(table).where(after).order_by(*columns).suffix_with(text(f"LIMIT {ROWS_AT_ONCE}"))
    return compile_statement(following, tuple(f"after_{name}" for name in names))


_COUNTS = {table.name: compile_statement(select(func.count()).select_from(table), ()) for table in TABLES}
_FIRST = {table.name: _first(table) for table in TABLES}
_NEXT = {table.name: _next(table) for table in TABLES}
_PLACES = {table.name: [list(table.c.keys()).index(name) for name in _key(table)] for table in TABLES}
_NEWEST = compile_statement(
    select(schema.audit).order_by(schema.audit.c.id.desc()).suffix_with(text("LIMIT 1")),
    (),
)
_KEPT = compile_statement(
    select(schema.blobs.c.id, schema.blobs.c.stored_bytes)
    .where(schema.blobs.c.state == text("'kept'"))
    .order_by(schema.blobs.c.id),
    (),
)
_DROP_CREDENTIALS = tuple(
    compile_statement(delete(table), (), changes_remembered=True)
    for table in (schema.tokens, schema.sessions, schema.links)
)


def counts(tx: Transaction) -> dict[str, int]:
    """Return how many rows each table has, by its name."""
    return {name: int(str(tx.rows(statement)[0][0])) for name, statement in _COUNTS.items()}


def rows_of(tx: Transaction, table: str) -> Iterator[Row]:
    """Return all rows of a table, ascending by its primary key."""
    rows = tx.rows(_FIRST[table])
    while rows:
        yield from rows
        last = rows[-1]
        rows = tx.rows(_NEXT[table], *(last[place] for place in _PLACES[table]))


def audit_head(tx: Transaction) -> AuditHead:
    """Return the newest row of the audit log in short."""
    rows = tx.rows(_NEWEST)
    if not rows:
        return AuditHead(0, "")
    fields = [value if isinstance(value, bytes) else str(value).encode() for value in rows[0]]
    framed = b"".join(len(field).to_bytes(4) + field for field in fields)
    return AuditHead(int(str(rows[0][0])), sha256(framed).hexdigest())


def kept_blobs(tx: Transaction) -> list[KeptBlob]:
    """Return the contents that items have, ascending by id."""
    return [KeptBlob(str(blob_id), int(str(size))) for blob_id, size in tx.rows(_KEPT)]


def drop_credentials(tx: Transaction) -> int:
    """Remove every access token, session and link, and return how many there were."""
    return sum(tx.execute(statement) for statement in _DROP_CREDENTIALS)
