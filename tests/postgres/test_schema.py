# SPDX-License-Identifier: Apache-2.0
"""T-SCHEMA on PostgreSQL: what the migrations make is what is declared, and what is not ours is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy.schema import CreateIndex, CreateTable

from mysafe.domain.ids import Kind
from mysafe.storage.engine import StorageRefused
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.postgres.texts import DIALECT
from mysafe.storage.schema import metadata, sequences
from tests.support.databases import empty_database, new_database

pytestmark = pytest.mark.postgres

_COLUMNS = (
    "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)"
    " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped"
)
_CONSTRAINTS = (
    "SELECT relname, contype::text, pg_get_constraintdef(pg_constraint.oid)"
    " FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE connamespace = 'public'::regnamespace"
)
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
_SEQUENCES = "SELECT sequencename, increment_by FROM pg_sequences WHERE schemaname = 'public'"

Shape = list[list[tuple[Any, ...]]]


def shape(address: str) -> Shape:
    """Return everything that matters of a schema: columns with their types, constraints, indexes."""
    with psycopg.connect(address) as connection:
        found = [connection.execute(query).fetchall() for query in (_COLUMNS, _CONSTRAINTS, _INDEXES)]
    return [sorted(row for row in rows if row[0] != "alembic_version") for rows in found]


def declare(address: str) -> None:
    with psycopg.connect(address) as connection:
        for table in metadata.sorted_tables:
            if table is sequences:  # PostgreSQL has sequences of its own
                continue
            connection.execute(str(CreateTable(table).compile(dialect=DIALECT)).encode())
            for index in table.indexes:
                connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)).encode())


def run(address: str, statement: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="module")
def declared() -> Shape:
    address = empty_database()
    declare(address)
    return shape(address)


@pytest.fixture
def migrated() -> str:
    address = empty_database()
    PostgresEngine.create(address).close()
    return address


def test_the_migrated_schema_is_the_declared_one(migrated: str, declared: Shape) -> None:
    assert len({row[0] for row in declared[0]}) == len(metadata.tables) - 1 > 10
    assert shape(migrated) == declared


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE items ADD COLUMN extra TEXT",
        "ALTER TABLE items ALTER COLUMN owner_id TYPE INTEGER",
        "ALTER TABLE items ALTER COLUMN owner_id DROP NOT NULL",
        "ALTER TABLE audit ALTER COLUMN id DROP DEFAULT",
        "ALTER TABLE group_members_idx DROP CONSTRAINT group_members_idx_group_id_fkey",
        "DROP INDEX items_by_owner",
        "DROP TABLE grants_idx",
    ],
)
def test_a_difference_between_the_two_is_seen(migrated: str, declared: Shape, change: str) -> None:
    run(migrated, change)
    assert shape(migrated) != declared


def test_there_is_a_sequence_for_all_that_has_ids(migrated: str) -> None:
    with psycopg.connect(migrated) as connection:
        found: dict[str, int] = dict(connection.execute(_SEQUENCES).fetchall())
    of_the_log = {"audit_id_seq": 1}
    records = ("users", "groups", "access_keys", "tokens", "transfers", "sessions", "factors", "links")
    assert found == {f"{name}_ids": 64 for name in (*Kind, *records)} | of_the_log


def test_opening_again_changes_nothing(migrated: str) -> None:
    before = shape(migrated)
    PostgresEngine.open(migrated).close()
    assert shape(migrated) == before


def test_a_newer_schema_is_refused() -> None:
    address = new_database()
    run(address, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageRefused, match="9999"):
        PostgresEngine.open(address)


def test_a_database_of_another_program_is_refused() -> None:
    address = empty_database()
    run(address, "CREATE TABLE notes (text TEXT)")
    with pytest.raises(StorageRefused, match="another program"):
        PostgresEngine.open(address)


def test_a_user_who_may_not_make_tables_is_refused_and_nothing_is_left() -> None:
    address = empty_database()
    run(address, "CREATE ROLE visitor LOGIN")
    try:
        with pytest.raises(StorageRefused, match="error 42501"):
            PostgresEngine.open(address.replace("mysafe@", "visitor@"))
    finally:
        run(address, "DROP ROLE visitor")
    assert shape(address) == [[], [], []]


def test_several_who_open_an_empty_database_at_once_all_succeed() -> None:
    address = empty_database()
    start = threading.Barrier(4)

    def migrate() -> None:
        start.wait(10)
        PostgresEngine.open(address, connections=2).close()

    with ThreadPoolExecutor(4) as pool:
        for run in [pool.submit(migrate) for _ in range(4)]:
            run.result(30)
    assert len(shape(address)[0]) > 50


_DROP = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (_DROP + "CREATE TRIGGER t BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION nothing()", "trigger t"),
        ("CREATE RULE r AS ON INSERT TO audit DO INSTEAD NOTHING", "rule r"),
        ("ALTER TABLE audit ENABLE ROW LEVEL SECURITY", "row security on audit"),
        ("ALTER TABLE audit RENAME TO hidden; CREATE VIEW audit AS SELECT * FROM hidden", "audit"),
        ("ALTER TABLE items ALTER version SET DEFAULT 7", "default of items.version"),
        ("CREATE TABLE child () INHERITS (audit)", "relation child"),
    ],
)
def test_what_would_do_something_by_itself_is_refused(statement: str, named: str) -> None:
    address = new_database()
    PostgresEngine.open(address).close()  # the control
    run(address, statement)
    with pytest.raises(StorageRefused, match=named):
        PostgresEngine.open(address)


def test_another_schema_with_the_name_of_the_user_hides_nothing() -> None:
    address = new_database()
    run(
        address,
        "CREATE SCHEMA AUTHORIZATION CURRENT_USER; CREATE TABLE mysafe.alembic_version AS TABLE alembic_version",
    )
    PostgresEngine.open(address).close()  # what is there is not looked at
    run(address, _DROP + "CREATE TRIGGER t BEFORE INSERT ON public.audit FOR EACH ROW EXECUTE FUNCTION nothing()")
    with pytest.raises(StorageRefused, match="trigger t"):
        PostgresEngine.open(address)
