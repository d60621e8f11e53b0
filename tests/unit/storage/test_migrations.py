# SPDX-License-Identifier: Apache-2.0
"""Migrations: they end in the one definition, and refuse what is newer or not ours."""

import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex, CreateTable

from mysafe.storage import migrations
from mysafe.storage.engine import StorageRefused
from mysafe.storage.schema import metadata
from mysafe.storage.sqlite_connection import connect, create_file
from mysafe.storage.sqlite_lane import SqliteEngine
from mysafe.storage.statements import DIALECT

pytestmark = pytest.mark.sqlite("it opens files of SQLite")

Shape = dict[str, object]


def shape(connection: apsw.Connection) -> Shape:
    """Return everything that matters of a schema: tables, columns, keys, strictness, indexes."""
    found: Shape = {}
    tables = connection.execute("PRAGMA table_list").fetchall()
    for _, name, kind, columns, without_rowid, strict in tables:
        if kind == "table" and not str(name).startswith(("sqlite_", "alembic_")):
            indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
            found[str(name)] = (
                (columns, without_rowid, strict),
                connection.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                connection.execute(f"PRAGMA foreign_key_list({name})").fetchall(),
                sorted(
                    (row[2], row[3], connection.execute(f"PRAGMA index_xinfo({row[1]})").fetchall()) for row in indexes
                ),
            )
    return found


def declared() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    for table in metadata.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=DIALECT)))
        for index in table.indexes:
            connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)))
    return connection


def migrated(path: Path) -> apsw.Connection:
    create_file(path)
    connection = connect(path)
    migrations.migrate(connection)
    return connection


def test_the_migrated_schema_is_the_declared_one(tmp_path: Path) -> None:
    connection = migrated(tmp_path / "vault.db")
    assert len(shape(connection)) == len(metadata.tables) > 10
    assert shape(connection) == shape(declared())


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE items ADD COLUMN extra TEXT", "DROP INDEX items_by_owner", "DROP TABLE grants_idx"],
)
def test_a_difference_between_the_two_is_seen(tmp_path: Path, change: str) -> None:
    connection = migrated(tmp_path / "vault.db")
    connection.execute(change)
    assert shape(connection) != shape(declared())


def test_the_head_is_the_newest_step() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == [migrations.HEAD]
    assert tuple(step.revision for step in reversed(list(script.walk_revisions()))) == migrations.KNOWN


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    connection = migrated(tmp_path / "vault.db")
    connection.execute("INSERT INTO sequences (name, next) VALUES ('x', 7)")
    migrations.migrate(connection)
    assert connection.execute("SELECT next FROM sequences").fetchall() == [(7,)]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    connection = migrated(tmp_path / "vault.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageRefused, match="9999"):
        migrations.migrate(connection)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    create_file(tmp_path / "other.db")
    connection = connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE notes (text TEXT)")
    with pytest.raises(StorageRefused, match="another program"):
        migrations.migrate(connection)


def test_two_who_open_a_new_file_at_once_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    create_file(path)
    failures: list[Exception] = []
    start = threading.Barrier(2)

    def migrate() -> None:
        try:
            connection = connect(path)
            start.wait()
            migrations.migrate(connection)
        except Exception as error:  # noqa: BLE001  # every failure counts
            failures.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_up_to_date_database_opens_without_alembic(tmp_path: Path) -> None:
    SqliteEngine.create(tmp_path / "vault.db").close()
    program = (
        "import sys; from pathlib import Path; from mysafe.storage.sqlite_lane import SqliteEngine;"
        "SqliteEngine.open(Path(sys.argv[1])).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "vault.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
