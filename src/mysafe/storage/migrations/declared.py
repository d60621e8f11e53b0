# SPDX-License-Identifier: Apache-2.0
"""Whether a SQLite database is made of what schema.py declares, and of nothing else.

Triggers, views, virtual tables, generated columns and constraints of somebody else would run whenever the vault is
used, and could drop what it writes: the rows of the audit log, for one.
"""

from functools import cache

import apsw
from sqlalchemy.schema import CreateIndex, CreateTable

from mysafe.storage import schema
from mysafe.storage.engine import StorageRefused
from mysafe.storage.migrations import HEAD, VERSION_TABLE, migrate_to
from mysafe.storage.statements import DIALECT

_OBJECTS = "SELECT name, sql FROM sqlite_master ORDER BY name"
_OF_SQLITE = {"sqlite_sequence": "CREATE TABLE sqlite_sequence(name,seq)"}
_AUTOMATIC = "sqlite_autoindex_"
"""SQLite's own name for the index of a constraint; it has no text of its own."""


def check_declared(connection: apsw.Connection, revision: str = HEAD) -> None:
    """Return if a database holds exactly the tables and indexes of a revision. Raises StorageRefused."""
    try:
        found = {str(name): sql for name, sql in connection.execute(_OBJECTS)}
    except apsw.Error as error:
        raise StorageRefused(f"the database cannot be read: {type(error).__name__}") from None
    own = {name: _plain(str(sql)) for name, sql in found.items() if sql is not None or not name.startswith(_AUTOMATIC)}
    wanted = _declared() if revision == HEAD else _made(revision)
    foreign = sorted(name for name in own.keys() | wanted.keys() if own.get(name) != wanted.get(name))
    if foreign:
        raise StorageRefused(f"the database is not made as this version makes it: {foreign[0]:.60} is missing or other")


@cache
def _declared() -> dict[str, str]:
    """Return the text of each table and index of schema.py by its name."""
    texts = {**_OF_SQLITE, "alembic_version": VERSION_TABLE}
    for table in schema.metadata.sorted_tables:
        texts[str(table.name)] = str(CreateTable(table).compile(dialect=DIALECT))
        for index in table.indexes:
            texts[str(index.name)] = str(CreateIndex(index).compile(dialect=DIALECT))
    return {name: _plain(text) for name, text in texts.items()}


def _made(revision: str) -> dict[str, str]:
    """Return the same of an earlier revision, as its steps make it."""
    connection = apsw.Connection(":memory:")
    try:
        migrate_to(connection, revision)
        rows = connection.execute(_OBJECTS).fetchall()
    finally:
        connection.close()
    return {str(name): _plain(str(sql)) for name, sql in rows if sql is not None}


def _plain(text: str) -> str:
    return " ".join(text.split())
