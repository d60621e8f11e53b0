# SPDX-License-Identifier: Apache-2.0
"""Servers that may not be used, on a cluster that is made so (R-CFG-04). Each is used again when it is mended."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from mysafe.domain.errors import DatabaseUnreachable
from mysafe.storage import items
from mysafe.storage.engine import StorageRefused
from mysafe.storage.postgres.connection import connect
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.postgres.server_state import OLDEST_SERVER, ServerState
from private_postgres import Cluster, private_cluster

pytestmark = pytest.mark.postgres

GOOD = ServerState(OLDEST_SERVER, "15.0", "on", "on", "on", 0, "UTF8")
PASSWORD = "8jhfy@3789"


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster for the tests of this module, which leave it as it was."""
    with private_cluster() as cluster:
        PostgresEngine.create(cluster.address, connections=2).close()
        yield cluster


def tell(cluster: Cluster, *statements: str) -> None:
    with psycopg.connect(cluster.address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def shown(cluster: Cluster, name: str) -> str:
    with psycopg.connect(cluster.address, autocommit=True) as connection:
        return str(connection.execute(f"SHOW {name}".encode()).fetchall()[0][0])


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "the server does not take its new settings"


@contextmanager
def set_to(cluster: Cluster, name: str, value: str) -> Iterator[None]:
    """Change a setting of the whole server."""
    before = shown(cluster, name)
    tell(cluster, f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")
    wait_until(lambda: shown(cluster, name) == value)
    try:
        yield
    finally:
        tell(cluster, f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()")
        wait_until(lambda: shown(cluster, name) == before)


def serves(address: str, password: str | None = None) -> bool:
    """Return whether a database is opened and answers. Raises StorageRefused."""
    engine = PostgresEngine.open(address, password, connections=2)
    try:
        return engine.look(items.count).result(20) == 0
    finally:
        engine.close()


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_can_lose_what_was_acknowledged_is_refused(own: Cluster, name: str) -> None:
    with set_to(own, name, "off"), pytest.raises(StorageRefused, match=f"{name}=off .* set it to on"):
        PostgresEngine.open(own.address)
    assert serves(own.address)


@pytest.mark.parametrize("value", ["local", "remote_write", "remote_apply"])
def test_a_server_that_waits_for_its_disk_is_used(own: Cluster, value: str) -> None:
    with set_to(own, "synchronous_commit", value):
        assert serves(own.address)


def test_a_user_whose_commits_are_not_waited_for_is_refused(own: Cluster) -> None:
    tell(own, "ALTER ROLE mysafe SET synchronous_commit = off")
    with pytest.raises(StorageRefused, match="synchronous_commit=off"):
        PostgresEngine.open(own.address)
    tell(own, "ALTER ROLE mysafe RESET synchronous_commit")
    assert serves(own.address)


def test_a_server_that_becomes_unsafe_gets_no_new_connection_and_nothing_is_acknowledged(own: Cluster) -> None:
    engine = PostgresEngine.open(own.address, connections=2)
    with set_to(own, "fsync", "off"), pytest.raises(DatabaseUnreachable):
        engine.look(items.count).result(20)
    assert engine.look(items.count).result(20) == 0
    engine.close()


@contextmanager
def as_standby(cluster: Cluster) -> Iterator[None]:
    """Restart the server as the standby of nobody, and as what it was."""
    signal = cluster.data / "standby.signal"
    cluster.stop()
    signal.touch()
    cluster.start()
    try:
        yield
    finally:
        cluster.stop()
        signal.unlink()
        cluster.start()


def test_a_standby_is_refused(own: Cluster) -> None:
    with as_standby(own):
        with pytest.raises(StorageRefused, match="is a standby"):  # it is passed over
            PostgresEngine.open(own.address)
        with pytest.raises(StorageRefused, match="is a standby"):  # and it would not be used if it were not
            connect(f"{own.address}&target_session_attrs=any")
    assert serves(own.address)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_has_not_every_letter_is_refused(own: Cluster, encoding: str) -> None:
    tell(own, f"CREATE DATABASE narrow TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'")
    with pytest.raises(StorageRefused, match=f"encoding {encoding}"):
        PostgresEngine.open(own.address.replace("/postgres?", "/narrow?"))
    tell(own, "DROP DATABASE narrow")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (GOOD._replace(number=OLDEST_SERVER - 1, version="14.99"), "PostgreSQL 14.99 is too old: 15 or newer"),
        (GOOD._replace(number=90_624, version="9.6.24"), "PostgreSQL 9.6.24 is too old: 15 or newer"),
        (GOOD._replace(fsync="off"), "fsync=off"),
        (GOOD._replace(full_page_writes="off"), "full_page_writes=off"),
        (GOOD._replace(synchronous_commit="off"), "synchronous_commit=off"),
        (GOOD._replace(is_standby=1), "is a standby"),
        (GOOD._replace(encoding="EUC_JP"), "encoding EUC_JP"),
    ],
)
def test_each_fault_of_a_server_has_its_sentence(state: ServerState, words: str) -> None:
    assert words in str(state.complaint())
    assert GOOD.complaint() is None


# -- who is let in -----------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(own: Cluster) -> Iterator[str]:
    """The address of a user who needs a password, through loopback."""
    rules = own.data / "pg_hba.conf"
    before = rules.read_text()
    tell(own, f"CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
    tell(own, "SELECT pg_reload_conf()")
    address = own.loopback_address.replace("mysafe@", "guarded@")
    wait_until(lambda: not is_let_in(address))
    yield address
    rules.write_text(before)
    tell(own, "DROP ROLE guarded", "SELECT pg_reload_conf()")


def is_let_in(address: str) -> bool:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_right_password_is_let_in(guarded: str) -> None:
    assert serves(guarded, PASSWORD)


@pytest.mark.parametrize("password", [None, "wrong-8jhfy", f"{PASSWORD} "])
def test_a_wrong_password_is_refused_and_not_repeated(
    guarded: str, password: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StorageRefused, match="does not let this user in") as refused:
        PostgresEngine.open(guarded, password)
    assert "8jhfy" not in repr(refused.value) + "".join(capfd.readouterr())


def test_a_password_that_no_longer_holds_is_told_as_unreachable(own: Cluster, guarded: str) -> None:
    engine = PostgresEngine.open(guarded, PASSWORD, connections=2)
    tell(own, "ALTER ROLE guarded PASSWORD 'another'")
    with pytest.raises(DatabaseUnreachable):
        engine.look(items.count).result(20)
    tell(own, f"ALTER ROLE guarded PASSWORD '{PASSWORD}'")
    assert engine.look(items.count).result(20) == 0
    engine.close()


def test_nobody_answers_at_a_wrong_socket(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="cannot be reached"):
        PostgresEngine.open(f"postgresql://mysafe@/postgres?host={tmp_path}")
