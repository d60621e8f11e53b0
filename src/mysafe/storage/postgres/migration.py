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


_FOREIGN = """
SELECT 'the trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
 WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'the rule ' || rulename FROM pg_rules WHERE schemaname = current_schema()
UNION ALL SELECT 'row security on ' || relname FROM pg_class
 WHERE relrowsecurity AND relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'the relation ' || relname FROM pg_class
 WHERE relkind NOT IN ('r', 'i', 'S', 't', 'c') AND relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'the relation ' || relname FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid
 WHERE relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'the default of ' || relname || '.' || attname FROM pg_attrdef
 JOIN pg_class ON pg_class.oid = adrelid JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
 WHERE relnamespace = current_schema()::regnamespace
 AND NOT (relname = 'audit' AND attname = 'id' AND attgenerated = ''
          AND pg_get_expr(adbin, adrelid) = 'nextval(''audit_id_seq''::regclass)')
LIMIT 1
"""
"""What would run or apply by itself when our tables are used, and is not ours."""


def check_nothing_foreign(link: PGconn) -> None:
    """Return if nothing in the schema would do something by itself, and so drop or change what is written.

    Raises:
        StorageRefused: there is a trigger, a rule, a policy, a view or a default that this version does not make.
    """
    found = _run(link, _FOREIGN)
    if found:
        raise StorageRefused(f"the database is not made as this version makes it: {found[0]:.80} is not ours")


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
