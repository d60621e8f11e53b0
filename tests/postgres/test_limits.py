# SPDX-License-Identifier: Apache-2.0
"""What a statement, a silent server and a number of connections are bounded by, and that it goes on afterwards."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from mysafe.domain.errors import Busy, DatabaseUnreachable
from mysafe.storage.engine import Engine, StorageRefused, Transaction
from mysafe.storage.postgres import connection as module
from mysafe.storage.postgres import lane
from mysafe.storage.postgres.address import connection_text
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.statements import Statement
from tests.support import databases

pytestmark = pytest.mark.postgres

_LONG = Statement("SELECT pg_sleep(1.5)::text")
_LIMITS = Statement(
    "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
    " current_setting('idle_in_transaction_session_timeout')"
)
_PROCESS = Statement("SELECT pg_backend_pid()::bigint")


@pytest.fixture
def address() -> str:
    return databases.new_database()


@contextmanager
def limited(monkeypatch: pytest.MonkeyPatch, *limits: int) -> Iterator[None]:
    """Let new connections have other limits, in milliseconds: of a statement, for a lock, between two statements."""
    monkeypatch.setattr(module, "_SESSION", Statement(module._PREPARE_SESSION.format(*limits)))
    yield


def opened(address: str, connections: int = 1) -> PostgresEngine:
    return PostgresEngine.open(address, connections=connections)


def test_every_connection_has_the_limits(address: str) -> None:
    engine = opened(address)
    assert engine.look(lambda tx: tx.rows(_LIMITS)).result(20) == [("10s", "400ms", "30s")]
    assert engine.submit(lambda tx: tx.rows(_LIMITS)).result(20) == [("10s", "400ms", "30s")]
    engine.close()


@pytest.mark.parametrize("is_look", [False, True])
def test_a_statement_that_takes_too_long_is_ended_and_the_connection_goes_on(
    address: str, monkeypatch: pytest.MonkeyPatch, is_look: bool
) -> None:
    with limited(monkeypatch, 200, 400, 30_000):
        engine = opened(address)
        process = engine.look(lambda tx: tx.rows(_PROCESS)).result(20)
        began = time.monotonic()
        with pytest.raises(Busy):
            (engine.look if is_look else engine.submit)(lambda tx: tx.rows(_LONG)).result(20)
        assert time.monotonic() - began < 1.4
        assert engine.look(lambda tx: tx.rows(_PROCESS)).result(20) == process
        engine.close()


def test_control_without_the_limit_it_takes_as_long_as_it_takes(address: str) -> None:
    engine = opened(address)
    began = time.monotonic()
    engine.submit(lambda tx: tx.rows(_LONG)).result(20)
    assert time.monotonic() - began > 1.4
    engine.close()


class Dawdler:
    """A unit that takes a row, and the first time waits until the server has lost patience, or for two seconds."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.runs = 0
        self.was_let_go = False

    def __call__(self, tx: Transaction) -> None:
        tx.execute(Statement("UPDATE keyring SET created_at = created_at + 1"))
        self.runs += 1
        until = time.monotonic() + 2
        while self.runs == 1 and not self.was_let_go and time.monotonic() < until:
            threading.Event().wait(0.02)
            with psycopg.connect(self.address, autocommit=True) as beside:
                query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = %s"
                name = beside.info.dbname
                self.was_let_go = beside.execute(query, (name,)).fetchall() == [(0,)]
        tx.rows(_PROCESS)


def test_a_transaction_that_is_left_idle_is_ended_by_the_server_and_run_again(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with limited(monkeypatch, 10_000, 400, 200):
        engine = opened(address)
        unit = Dawdler(address)
        engine.submit(unit).result(20)
        assert (unit.was_let_go, unit.runs) == (True, 2)
        engine.close()


def test_control_without_the_limit_it_keeps_what_it_holds(address: str) -> None:
    engine = opened(address)
    unit = Dawdler(address)
    engine.submit(unit).result(20)
    assert (unit.was_let_go, unit.runs) == (False, 1)
    engine.close()


@contextmanager
def silenced(engine: Engine) -> Iterator[None]:
    """Stop the server's process of the only connection: it says nothing more, and nothing closes."""
    ((process,),) = engine.look(lambda tx: tx.rows(_PROCESS)).result(20)
    os.kill(int(str(process)), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(int(str(process)), signal.SIGCONT)


def test_a_server_that_falls_silent_is_left_for_a_new_connection(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    engine = opened(address)
    with silenced(engine):
        assert engine.look(lambda tx: tx.rows(_PROCESS)).result(20)
    engine.close()


def test_control_with_more_patience_it_still_waits(address: str) -> None:
    engine = opened(address)
    with silenced(engine):
        future: Future[object] = engine.look(lambda tx: tx.rows(_PROCESS))
        with pytest.raises(TimeoutError):
            future.result(1)
    assert future.result(20)
    engine.close()


# -- connections -------------------------------------------------------------------------------------------------------


def connected(address: str) -> int:
    with psycopg.connect(address, autocommit=True) as beside:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'mysafe'"
        return int(beside.execute(query, (beside.info.dbname,)).fetchall()[0][0])


@pytest.mark.parametrize("connections", [2, 5])
def test_there_are_never_more_connections_than_the_setting_says(address: str, connections: int) -> None:
    engine = opened(address, connections)
    futures = [engine.look(lambda tx: tx.rows(Statement("SELECT pg_sleep(0.05)::text"))) for _ in range(40)]
    seen = []
    while not all(future.done() for future in futures):
        seen.append(connected(address))
    assert max(seen) == connections
    assert all(future.exception() is None for future in futures)
    engine.close()


def test_more_connections_than_the_server_allows_are_refused_at_the_start(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as beside:
        ((most,),) = beside.execute(
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        ).fetchall()
    with pytest.raises(StorageRefused, match=f"is {most + 1}, and the database server allows this user {most}:"):
        opened(address, most + 1)
    opened(address, most).close()


@pytest.mark.parametrize("whose", ["ROLE mysafe", "DATABASE {}"])
def test_the_limit_of_a_user_or_database_counts_as_well(address: str, whose: str) -> None:
    with psycopg.connect(address, autocommit=True) as beside:
        whose = whose.format(beside.info.dbname)
        beside.execute(f"ALTER {whose} CONNECTION LIMIT 7".encode())
        try:
            with pytest.raises(StorageRefused, match="is 8, and the database server allows this user 7:"):
                opened(address, 8)
            opened(address, 7).close()
        finally:
            beside.execute(f"ALTER {whose} CONNECTION LIMIT -1".encode())


@contextmanager
def crowded(address: str, others: int) -> Iterator[str]:
    """Let a user have five connections, of which somebody else has some."""
    with psycopg.connect(address, autocommit=True) as beside:
        name = f"crowd_{beside.info.dbname}"
        beside.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 5".encode())
        beside.execute(f"GRANT pg_monitor TO {name}".encode())
        of_user = address.replace("mysafe@", f"{name}@")
        try:
            with ExitStack() as stack:
                for _ in range(others):
                    stack.enter_context(psycopg.connect(of_user))
                yield of_user
        finally:
            beside.execute(f"DROP ROLE {name}".encode())


def served(address: str, others: int) -> set[type[BaseException] | None]:
    """Let an engine that may have five connections serve many callers; return which errors they saw."""
    with crowded(address, others) as of_user:
        engine = PostgresEngine(connection_text(of_user, None), connections=5)
        futures = [engine.look(lambda tx: tx.rows(Statement("SELECT pg_sleep(0.02)::text"))) for _ in range(40)]
        errors = [future.exception(20) for future in futures]
        engine.close()
    return {type(error) if error else None for error in errors}


def test_where_others_have_some_of_the_connections_the_rest_serves_everybody(address: str) -> None:
    assert served(address, 3) == {None}


def test_where_others_have_all_connections_callers_are_told_at_once(address: str) -> None:
    assert served(address, 5) == {DatabaseUnreachable}


def test_control_a_lane_that_takes_work_without_a_connection_is_found_out(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane.Lane, "_can_serve", lambda self: True)
    assert served(address, 3) == {None, DatabaseUnreachable}
