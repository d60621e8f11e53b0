# SPDX-License-Identifier: Apache-2.0
"""A database that came out of a backup is used only if it is one of ours."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from mysafe.storage.copies.sqlite import copy_database, is_sound
from mysafe.storage.engine import StorageRefused
from mysafe.storage.migrations import HEAD
from mysafe.storage.sqlite_lane import SqliteEngine

pytestmark = pytest.mark.sqlite("it is about files of SQLite")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    SqliteEngine.create(tmp_path / "vault.db").close()
    copy_database(tmp_path / "vault.db", tmp_path / "copy.db")
    return tmp_path / "copy.db"


def test_a_copy_is_sound(copy: Path) -> None:
    assert is_sound(copy, HEAD)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM audit; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE t USING fts5(x)",
        "CREATE /**/ VIRTUAL TABLE t USING fts5(x)",
        "CREATE TABLE t (x)",
        "CREATE UNIQUE INDEX t ON audit (actor_id)",
        "DROP INDEX items_by_owner",
        "DROP TABLE audit; CREATE TABLE audit (id INTEGER PRIMARY KEY, evil AS (1), UNIQUE (evil) ON CONFLICT IGNORE)",
        "ALTER TABLE users ADD COLUMN t TEXT",
    ],
)
def test_a_database_that_would_do_something_by_itself_is_not(copy: Path, statement: str) -> None:
    with closing(apsw.Connection(str(copy))) as connection:
        connection.execute(statement)
    assert not is_sound(copy, HEAD)
    with pytest.raises(StorageRefused, match="is not made as this version makes it"):
        SqliteEngine.open(copy)


def test_a_trigger_with_the_name_of_a_table_does_not_hide_behind_it(copy: Path) -> None:
    with closing(apsw.Connection(str(copy))) as connection:
        connection.execute("CREATE TRIGGER item_versions AFTER INSERT ON audit BEGIN DELETE FROM audit; END")
        connection.execute("PRAGMA writable_schema = ON")
        # Its line stands before that of the table now.
        connection.execute("UPDATE sqlite_master SET rowid = -1 WHERE type = 'trigger'")
    assert not is_sound(copy, HEAD)


def test_statistics_and_a_vacuum_are_no_damage(copy: Path) -> None:
    with closing(apsw.Connection(str(copy))) as connection:
        connection.execute("INSERT INTO vault VALUES (x'00', 1); ANALYZE; VACUUM; REINDEX")
    assert is_sound(copy, HEAD)
    SqliteEngine.open(copy).close()


def test_a_database_with_a_damaged_page_is_not(copy: Path) -> None:
    data = bytearray(copy.read_bytes())
    data[4096 : 4096 + 64] = bytes(range(64))
    copy.write_bytes(data)
    assert not is_sound(copy, HEAD)


def test_nothing_is_copied_over_a_file(copy: Path) -> None:
    with pytest.raises(StorageRefused):
        copy_database(copy.with_name("vault.db"), copy)
