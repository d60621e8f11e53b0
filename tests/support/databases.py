# SPDX-License-Identifier: Apache-2.0
"""Which database the tests run on: SQLite, or the PostgreSQL cluster of the environment, each vault in one of its own.

On PostgreSQL a vault is made in a copy of an empty database that has the schema already. Here is also how a test gets
at the rows beside the server, as somebody with the database would.
"""

import atexit
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import apsw
import psycopg
from psycopg import conninfo

from mysafe.config import Settings
from mysafe.storage.engine import Engine
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.sqlite_lane import SqliteEngine

CLUSTER = os.environ.get("TEST_DATABASE")
"""Address of the database `postgres` of a cluster that is there for these tests alone. None: SQLite."""

IS_ON_POSTGRESQL = CLUSTER is not None

_ZEROBLOB = (
    "CREATE FUNCTION zeroblob(size int) RETURNS bytea LANGUAGE sql IMMUTABLE"
    " AS $$ SELECT decode(repeat('00', size), 'hex') $$"
)
_BLOCK = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
    "CREATE TRIGGER full_log BEFORE INSERT ON audit EXECUTE FUNCTION refuse()"
)

_numbers = itertools.count(1)
_made: list[str] = []


def chosen() -> dict[str, object]:
    """Return the settings that put a new vault onto the database under test."""
    return {"database": new_database()} if IS_ON_POSTGRESQL else {}


def new_database() -> str:
    """Return the address of a new database with the schema and no vault. Old ones are dropped at the end."""
    return empty_database(f"TEMPLATE {_template()}")


def empty_database(options: str = "") -> str:
    """Return the address of a new database without a schema, made with `options`. It is dropped at the end."""
    name = f"vault_{os.getpid()}_{next(_numbers)}"
    _make(name, options)
    return address_of(name)


def copied(settings: Settings, directory: Path) -> str:
    """Return the address of a copy of a database that nobody uses. On SQLite it lies in a directory."""
    if settings.is_on_postgresql:
        return empty_database(f"TEMPLATE {conninfo.conninfo_to_dict(str(settings.database))['dbname']}")
    shutil.copy(settings.data / "vault.db", directory / "copy.db")
    return f"sqlite:///{directory / 'copy.db'}"


def address_of(name: str) -> str:
    """Return the address of a database of the cluster."""
    return str(CLUSTER).replace("/postgres?", f"/{name}?")


def new_engine(directory: Path) -> Engine:
    """Return a new database of the kind under test."""
    return PostgresEngine.open(new_database()) if IS_ON_POSTGRESQL else SqliteEngine.create(directory / "vault.db")


@cache
def _template() -> str:
    name = f"template_{os.getpid()}"
    _make(name, "")
    PostgresEngine.create(address_of(name), connections=2).close()
    with psycopg.connect(address_of(name), autocommit=True) as connection:
        connection.execute(_ZEROBLOB)
    return name


def _make(name: str, options: str) -> None:
    with _cluster() as cluster:
        cluster.execute(f"CREATE DATABASE {name} {options}")
    if not _made and "TEST_DATABASE_GOES" not in os.environ:
        atexit.register(_drop_all)
    _made.append(name)


def _drop_all() -> None:
    """Leave the cluster as it was: it may serve several runs."""
    with _cluster() as cluster:
        for name in _made:
            cluster.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def _cluster() -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    with psycopg.connect(str(CLUSTER), autocommit=True) as connection:
        yield connection


class Beside(Protocol):
    """A connection beside the server's. Values stand at question marks."""

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; it is committed at once."""

    def changes(self) -> int:
        """Return how many rows the last statement changed."""


class _Sqlite:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(statement, tuple(values)))

    def changes(self) -> int:
        return self._connection.changes()


class _Postgres:
    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
        self._connection = connection
        self._changes = 0

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.replace("?", "%s"), tuple(values) or None)
        self._changes = cursor.rowcount
        return cursor.fetchall() if cursor.description else []

    def changes(self) -> int:
        return self._changes


@contextmanager
def beside(settings: Settings) -> Iterator[Beside]:
    """Open the database of a vault beside its server."""
    if settings.is_on_postgresql:
        with psycopg.connect(str(settings.database), autocommit=True) as postgres:
            yield _Postgres(postgres)
        return
    with closing(apsw.Connection(str(settings.data / "vault.db"))) as sqlite:
        sqlite.set_busy_timeout(5000)
        yield _Sqlite(sqlite)


@contextmanager
def audit_log_blocked(settings: Settings) -> Iterator[None]:
    """Let the database refuse every new row of the audit log."""
    with beside(settings) as connection:
        if settings.is_on_postgresql:
            connection.execute(_BLOCK)
            yield
            connection.execute("DROP FUNCTION refuse CASCADE")
            return
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
        yield
        connection.execute("DROP TRIGGER full")
