# SPDX-License-Identifier: Apache-2.0
"""Bring a database to the schema of this version (docs/decisions/0003).

Alembic renders each step to SQL, and the driver runs it: a second SQLite library in the process would break the
locks of the first. Alembic is imported only when there is something to do.
"""

import io
from pathlib import Path

import apsw

from mysafe.storage.engine import StorageRefused

HEAD = "0001"
"""The revision of this version's schema; a test compares it with the newest step."""

KNOWN = ("0001",)
"""All revisions, oldest first."""


VERSION_TABLE = "CREATE TABLE alembic_version (version_num TEXT NOT NULL) STRICT"


def migrate(connection: apsw.Connection) -> None:
    """Bring the database to HEAD, in one transaction under the write lock.

    Raises:
        StorageRefused: the schema is newer than this program, or of another program.
    """
    migrate_to(connection, HEAD)


def migrate_to(connection: apsw.Connection, revision: str) -> None:
    """Bring the database to a known revision, as `migrate` does."""
    if schema_revision(connection) == revision:
        return
    with connection:  # the statement below makes it a write transaction at once
        connection.execute(VERSION_TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        current = schema_revision(connection)
        if current is not None and current not in KNOWN:
            raise StorageRefused(f"the database has the schema {current}, which this version does not know: upgrade")
        connection.execute(render(current, "sqlite", revision))
        connection.execute("DELETE FROM alembic_version")
        connection.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (revision,))


def schema_revision(connection: apsw.Connection) -> str | None:
    """Return the revision of a database, None if it is empty. Raises StorageRefused if it is no database of ours."""
    try:
        tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "alembic_version" not in tables:
            if tables:
                raise StorageRefused("the database belongs to another program")
            return None
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except apsw.Error as error:
        raise StorageRefused(f"the database cannot be read: {type(error).__name__}") from None
    return str(rows[0][0]) if rows else None


def render(current: str | None, dialect: str, revision: str = HEAD) -> str:
    """Return the SQL of all steps after `current`, up to a revision, for "sqlite" or "postgresql"."""
    from alembic.operations import Operations  # noqa: PLC0415  # costs start-up time, and is rarely needed
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    script = ScriptDirectory(str(Path(__file__).parent))
    sql = io.StringIO()
    context = MigrationContext.configure(dialect_name=dialect, opts={"as_sql": True, "output_buffer": sql})
    with Operations.context(context):
        for step in reversed(list(script.iterate_revisions(revision, current or "base"))):
            step.module.upgrade()
    return sql.getvalue()
