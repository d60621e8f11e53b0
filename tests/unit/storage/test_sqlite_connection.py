# SPDX-License-Identifier: Apache-2.0
"""A database is opened only if it is safe: private, recent, durable, and one at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from mysafe.domain.errors import Busy, DatabaseUnreachable, NoSpace, Unavailable
from mysafe.storage import sqlite_connection
from mysafe.storage.durability import read_durability
from mysafe.storage.engine import StorageRefused, UniqueClash
from mysafe.storage.sqlite_connection import check_sqlite_version, connect, is_failed_sync, translated
from mysafe.storage.sqlite_lane import SqliteEngine
from mysafe.storage.statements import Statement

pytestmark = pytest.mark.sqlite("it opens files of SQLite")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "vault.db"
    SqliteEngine.create(path).close()
    return path


def test_a_new_database_is_for_its_owner_only_and_its_companions_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        engine = SqliteEngine.create(tmp_path / "vault.db")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        engine.close()
    finally:
        os.umask(before)
    assert modes == {"vault.db": 0o600, "vault.db-wal": 0o600, "vault.db-shm": 0o600}


def test_a_database_is_not_made_over_anything(database: Path) -> None:
    before = database.read_bytes()
    with pytest.raises(StorageRefused, match="exists"):
        SqliteEngine.create(database)
    assert database.read_bytes() == before


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "readable by the group": (lambda path: path.chmod(0o640), "chmod 600"),
    "readable by all": (lambda path: path.chmod(0o604), "chmod 600"),
    "missing": (lambda path: path.unlink(), "cannot be opened"),
    "a directory": (directory, "regular file"),
    "text": (lambda path: path.write_text("no database " * 1000, encoding="ascii"), "cannot be opened"),
}


@pytest.mark.parametrize(("spoil", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_database_that_is_not_safe_is_refused_with_one_sentence(
    database: Path, spoil: Callable[[Path], object], words: str
) -> None:
    SqliteEngine.open(database).close()
    spoil(database)
    with pytest.raises(StorageRefused, match=words) as refused:
        SqliteEngine.open(database)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("version", "is_safe"), [("3.51.2", False), ("3.40.1", False), ("3.51.3", True), ("4.0", True)]
)
def test_a_sqlite_that_can_corrupt_the_database_is_refused(version: str, is_safe: bool) -> None:
    if is_safe:
        check_sqlite_version(version)
        return
    with pytest.raises(StorageRefused, match=version):
        check_sqlite_version(version)


def test_every_connection_is_durable_and_strict(database: Path) -> None:
    engine = SqliteEngine.open(database)
    for run in (engine.submit, engine.look):
        answer = run(read_durability).result()
        assert (answer.is_durable, answer.is_sqlite_recent, answer.is_schema_current) == (True, True, True)
        for pragma, value in (("foreign_keys", 1), ("secure_delete", 1), ("busy_timeout", 5000)):
            statement = Statement(f"PRAGMA {pragma}")
            assert run(lambda tx, statement=statement: tx.row(statement)).result() == (value,)  # type: ignore[misc]
    engine.close()


@pytest.mark.parametrize("weaker", ["PRAGMA synchronous = NORMAL", "PRAGMA synchronous = OFF"])
def test_a_database_that_does_not_wait_for_the_disk_is_refused(
    database: Path, weaker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(database).close()
    monkeypatch.setattr(sqlite_connection, "_PRAGMAS", ("PRAGMA journal_mode = WAL", weaker))
    with pytest.raises(StorageRefused, match="not durable"):
        connect(database)


def test_a_database_that_cannot_have_a_write_ahead_log_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "_PRAGMAS", ("PRAGMA journal_mode = DELETE", "PRAGMA synchronous = FULL"))
    with pytest.raises(StorageRefused, match="journal delete"):
        connect(database)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (apsw.SQLITE_BUSY, Busy),
        (apsw.SQLITE_BUSY_SNAPSHOT, Busy),
        (apsw.SQLITE_LOCKED, Busy),
        (apsw.SQLITE_FULL, NoSpace),
        (apsw.SQLITE_READONLY, Unavailable),
        (apsw.SQLITE_IOERR_WRITE, Unavailable),
        (apsw.SQLITE_IOERR_READ, DatabaseUnreachable),
        (apsw.SQLITE_IOERR_FSYNC, DatabaseUnreachable),
        (apsw.SQLITE_CORRUPT, DatabaseUnreachable),
        (apsw.SQLITE_NOTADB, DatabaseUnreachable),
        (apsw.SQLITE_CANTOPEN, DatabaseUnreachable),
        (apsw.SQLITE_CONSTRAINT_UNIQUE, UniqueClash),
        (apsw.SQLITE_CONSTRAINT_PRIMARYKEY, UniqueClash),
    ],
)
def test_errors_of_the_driver_are_said_in_words_of_the_domain(code: int, expected: type[Exception]) -> None:
    error = apsw.exception_for(code)
    assert isinstance(error, apsw.Error)
    assert type(translated(error)) is expected
    assert translated(error).args == ()


def test_only_a_failed_sync_is_a_failed_sync() -> None:
    codes = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC, apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_FULL)
    errors = [error for code in codes if isinstance(error := apsw.exception_for(code), apsw.Error)]
    assert [is_failed_sync(error) for error in errors] == [True, True, False, False]
