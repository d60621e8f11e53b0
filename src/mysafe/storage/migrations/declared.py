# SPDX-License-Identifier: Apache-2.0
"""Whether a SQLite database is made of what schema.py declares, and of nothing else.

Triggers, views, virtual tables, generated columns and constraints of somebody else would run whenever the vault is
used, and could drop what it writes: the rows of the audit log, for one.
"""

from functools import cache
from typing import NamedTuple

import apsw
from sqlalchemy.schema import CreateIndex, CreateTable

from mysafe.storage import schema
from mysafe.storage.engine import StorageRefused
from mysafe.storage.migrations import HEAD, VERSION_TABLE, migrate_to
from mysafe.storage.statements import DIALECT


class _Object(NamedTuple):
    """A line of sqlite_master. `sql` is None for the index of a constraint."""

    kind: str
    name: str
    sql: str | None


_OBJECTS = "SELECT type, name, sql FROM sqlite_master"
_OF_SQLITE = {_Object("table", "sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)")}
_AUTOMATIC = "sqlite_autoindex_"
"""SQLite's own name for the index of a constraint; it has no text of its own."""

_STATISTICS = "sqlite_stat"
"""What SQLite's ANALYZE makes. Nobody else can make a table whose name begins like that, nor put anything on one."""


def check_declared(connection: apsw.Connection, revision: str = HEAD) -> None:
    """Return if a database holds exactly the tables and indexes of a revision. Raises StorageRefused."""
    try:
        found = [_Object(str(kind), str(name), sql) for kind, name, sql in connection.execute(_OBJECTS)]
    except apsw.Error as error:
        raise StorageRefused(f"the database cannot be read: {type(error).__name__}") from None
    own = sorted(one._replace(sql=_plain(one.sql or "")) for one in found if not _is_of_sqlite(one))
    wanted = sorted(_declared() if revision == HEAD else _made(revision))
    if own != wanted:  # lists: a trigger may have the name of a table
        foreign = sorted({one.name for one in set(own) ^ set(wanted)} or {one.name for one in own})
        raise StorageRefused(f"the database is not made as this version makes it: {foreign[0]:.60} is missing or other")


def _is_of_sqlite(one: _Object) -> bool:
    is_automatic = one.kind == "index" and one.sql is None and one.name.startswith(_AUTOMATIC)
    return is_automatic or (one.kind == "table" and one.name.startswith(_STATISTICS))


@cache
def _declared() -> list[_Object]:
    """Return each table and index of schema.py."""
    found = [*_OF_SQLITE, _Object("table", "alembic_version", VERSION_TABLE)]
    for table in schema.metadata.sorted_tables:
        found.append(_Object("table", str(table.name), str(CreateTable(table).compile(dialect=DIALECT))))
        for index in table.indexes:
            found.append(_Object("index", str(index.name), str(CreateIndex(index).compile(dialect=DIALECT))))
    return [one._replace(sql=_plain(one.sql or "")) for one in found]


def _made(revision: str) -> list[_Object]:
    """Return the same of an earlier revision, as its steps make it."""
    connection = apsw.Connection(":memory:")
    try:
        migrate_to(connection, revision)
        rows = connection.execute(_OBJECTS).fetchall()
    finally:
        connection.close()
    return [_Object(str(kind), str(name), _plain(str(sql))) for kind, name, sql in rows if sql is not None]


def _plain(text: str) -> str:
    return " ".join(text.split())
