# SPDX-License-Identifier: Apache-2.0
"""Bring a PostgreSQL database to the schema of this version, one process at a time."""

from psycopg import pq
from psycopg.pq.abc import PGconn

from mysafe.storage.engine import StorageRefused
from mysafe.storage.migrations import HEAD, KNOWN, render

LOCK = 0x6D79_7361_6665
"""Number of the advisory lock: the bytes of the product's name."""

_TABLES = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() LIMIT 1"
_OURS = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'alembic_version'"


def migrate(link: PGconn) -> None:
    """Bring the database to HEAD, in one transaction under a lock.

    Raises:
        StorageRefused: the schema is newer than this program, or of another program, or cannot be changed.
    """
    if schema_revision(link) == HEAD:
        return
    _run(link, "BEGIN")
    _run(link, f"SELECT pg_advisory_xact_lock({LOCK})")
    current = schema_revision(link)
    if current is not None and current not in KNOWN:
        raise StorageRefused(f"the database has the schema {current}, which this version does not know: upgrade")
    if current != HEAD:
        _run(link, "CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT NOT NULL)")
        _run(link, render(current, "postgresql"))
        _run(link, "DELETE FROM alembic_version")
        _run(link, f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")  # noqa: S608  # ours
    _run(link, "COMMIT")


def has_vault(link: PGconn) -> bool:
    """Return whether there is a vault in a database that has our schema."""
    return bool(_run(link, "SELECT 1 FROM vault"))


def schema_revision(link: PGconn) -> str | None:
    """Return the revision of a database, None if it is empty. Raises StorageRefused if it is no database of ours."""
    if not _run(link, _OURS):
        if _run(link, _TABLES):
            raise StorageRefused("the database belongs to another program")
        return None
    rows = _run(link, "SELECT version_num FROM alembic_version")
    return rows[0] if rows else None


def _run(link: PGconn, sql: str) -> list[str]:
    """Run SQL and return the first column of the rows. Raises StorageRefused."""
    result = link.exec_(sql.encode())
    if result.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"no answer").decode()
        raise StorageRefused(f"the database cannot be brought to this version's schema: error {state}")
    return [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]
