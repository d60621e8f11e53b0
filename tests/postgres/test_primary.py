# SPDX-License-Identifier: Apache-2.0
"""Rights are decided on the primary only, and on none that another one has followed (R-REL-06)."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import psycopg
import pytest

from mysafe.domain.errors import DatabaseUnreachable
from mysafe.services import health
from mysafe.storage import audit_log
from mysafe.storage.engine import StorageRefused, Transaction
from mysafe.storage.postgres.address import connection_text
from mysafe.storage.postgres.connection import Connection, connect
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.postgres.history import Past, Point, complaint_about
from mysafe.storage.postgres.leadership import LeadershipByLock
from mysafe.storage.postgres.server_state import ServerState
from mysafe.storage.statements import Statement
from private_postgres import Cluster
from tests.support.rows import audit_row
from tests.support.standby import Pair, ask, pair, until

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS = 20
_PORT = Statement("SELECT current_setting('port')")
_LEADERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
LONG_AGO = Point("", 0, 0)
_STUCK = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
def servers() -> Iterator[Pair]:
    with pair() as own:
        yield own


def append(tx: Transaction) -> None:
    audit_log.append(tx, audit_row())


def port(tx: Transaction) -> int:
    return int(str(tx.rows(_PORT)[0][0]))


def addresses(*clusters: Cluster) -> str:
    hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in clusters)
    return f"postgresql://mysafe@{hosts}/postgres"


def open_to_any(cluster: Cluster) -> str:
    """Return what leads the driver to a server, whatever it is."""
    return f"host=127.0.0.1 port={cluster.port} user=mysafe dbname=postgres target_session_attrs=any"


def make_standby(cluster: Cluster) -> None:
    """Let a server that is stopped begin again as a standby, although nobody sends it anything."""
    (cluster.data / "standby.signal").touch()
    cluster.start()


def test_an_address_that_names_only_a_standby_is_refused_with_a_sentence(servers: Pair) -> None:
    PostgresEngine.create(addresses(servers.primary)).close()
    with pytest.raises(StorageRefused, match="is a standby or read-only: rights are only decided on the primary"):
        PostgresEngine.open(addresses(servers.standby))


def test_a_standby_that_the_driver_lets_through_is_refused_as_well(servers: Pair) -> None:
    with pytest.raises(StorageRefused, match="is a standby"):
        connect(open_to_any(servers.standby))


def test_control_a_standby_that_is_not_asked_would_answer(servers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    PostgresEngine.create(addresses(servers.primary)).close()
    monkeypatch.setattr(ServerState, "complaint", lambda self: None)
    engine = PostgresEngine(open_to_any(servers.standby), connections=1)
    assert engine.look(audit_log.count).result(PATIENCE_SECONDS) == 0
    engine.close()


def test_an_address_that_nobody_answers_is_not_taken_for_a_standby(cluster: Cluster) -> None:
    cluster.stop()
    with pytest.raises(StorageRefused, match="cannot be reached"):
        PostgresEngine.open(cluster.loopback_address)


def test_a_primary_that_comes_back_as_a_standby_decides_nothing_until_it_is_promoted(cluster: Cluster) -> None:
    engine = PostgresEngine.create(cluster.address, connections=2)
    cluster.stop()
    make_standby(cluster)
    assert isinstance(engine.submit(append).exception(PATIENCE_SECONDS), DatabaseUnreachable)
    assert isinstance(engine.look(audit_log.count).exception(PATIENCE_SECONDS), DatabaseUnreachable)
    cluster.promote()
    engine.submit(append).result(PATIENCE_SECONDS)
    assert engine.look(audit_log.count).result(PATIENCE_SECONDS) == 1
    engine.close()


def after_a_failover(servers: Pair) -> tuple[PostgresEngine, str]:
    """Return an engine that has seen a new primary, when only the old one runs: as a primary, which nobody forbade."""
    address = addresses(servers.primary, servers.standby)
    engine = PostgresEngine.create(address, connections=2)
    engine.submit(append).result(PATIENCE_SECONDS)
    servers.primary.kill()
    servers.promote()
    engine.look(audit_log.count).result(PATIENCE_SECONDS)  # it meets the lost connection: a write would be in doubt
    engine.submit(append).result(PATIENCE_SECONDS)
    servers.primary.stop()
    servers.standby.start()
    return engine, address


def test_an_old_primary_that_comes_back_is_not_used(servers: Pair, caplog: pytest.LogCaptureFixture) -> None:
    engine, _ = after_a_failover(servers)
    with caplog.at_level(logging.ERROR):
        assert isinstance(engine.look(audit_log.count).exception(PATIENCE_SECONDS), DatabaseUnreachable)
    assert "was the primary once and is not any more" in caplog.text
    engine.close()


def test_control_whoever_did_not_see_the_new_primary_takes_the_old_one(servers: Pair) -> None:
    engine, address = after_a_failover(servers)
    engine.close()
    newcomer = PostgresEngine.open(address)
    assert newcomer.look(audit_log.count).result(PATIENCE_SECONDS) == 1
    newcomer.close()


def ports_in_use(servers: Pair) -> set[int]:
    """Let both servers be primaries at once, each known to one connection; return which then answer."""
    engine = PostgresEngine.create(addresses(servers.standby, servers.primary), connections=2)
    is_held, release = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> int:
        found = port(tx)
        is_held.set()
        release.wait(PATIENCE_SECONDS)
        return found

    first = engine.look(hold)
    assert is_held.wait(PATIENCE_SECONDS)
    servers.promote()
    assert engine.look(port).result(PATIENCE_SECONDS) == servers.primary.port
    release.set()
    assert first.result(PATIENCE_SECONDS) == servers.standby.port
    both = threading.Barrier(2)
    looks: list[Future[int]] = [engine.look(lambda tx: (both.wait(PATIENCE_SECONDS), port(tx))[1]) for _ in range(2)]
    found = {look.result(PATIENCE_SECONDS) for look in looks}
    engine.close()
    return found


def test_once_a_new_primary_is_known_no_connection_asks_the_old_one(servers: Pair) -> None:
    found = ports_in_use(servers)
    assert found == {servers.primary.port}


def test_control_connections_to_both_stay_when_nobody_compares(servers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Past, "is_over", lambda self, point: False)
    assert ports_in_use(servers) == {servers.primary.port, servers.standby.port}


def locks_on_the_old_primary(servers: Pair) -> int:
    """Let who leads learn of a new primary while the old one goes on; return how many then lead at the old one."""
    text = connection_text(addresses(servers.standby, servers.primary), None)
    past = Past()
    leader = LeadershipByLock(text, past)
    until(leader.is_held)
    servers.promote()
    connect(text, past).close()
    until(lambda: (leader.is_held() and ask(servers.primary, _LEADERS) == 1) or not past.is_over(LONG_AGO))
    found = int(str(ask(servers.standby, _LEADERS)))
    leader.close()
    return found


def test_nobody_leads_at_an_old_primary_once_a_new_one_is_known(servers: Pair) -> None:
    assert locks_on_the_old_primary(servers) == 0


def test_control_who_does_not_compare_leads_on_at_the_old_one(servers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Past, "is_over", lambda self, point: False)
    assert locks_on_the_old_primary(servers) == 1


def test_without_its_standby_a_primary_acknowledges_nothing_and_goes_on_when_it_is_back(servers: Pair) -> None:
    engine = PostgresEngine.create(addresses(servers.primary), connections=1)
    servers.standby.stop()
    assert isinstance(engine.submit(append).exception(2 * PATIENCE_SECONDS), DatabaseUnreachable)
    servers.standby.start()
    engine.submit(append).result(PATIENCE_SECONDS)
    engine.close()


def cancelled_wait(servers: Pair) -> "Future[None]":
    """Return a change whose wait for the standby an operator has ended."""
    engine = PostgresEngine.create(addresses(servers.primary))
    servers.standby.stop()
    change = engine.submit(append)
    until(lambda: ask(servers.primary, _STUCK) is not None)
    ask(servers.primary, f"SELECT pg_cancel_backend(pid) FROM ({_STUCK}) AS stuck")
    change.exception(PATIENCE_SECONDS)
    engine.close()
    return change


def test_a_commit_whose_wait_for_the_standby_was_ended_is_not_acknowledged(servers: Pair) -> None:
    assert isinstance(cancelled_wait(servers).exception(0), DatabaseUnreachable)


def test_control_the_driver_alone_takes_such_a_commit_for_a_success(
    servers: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "_hear", lambda self, notice: None)
    assert cancelled_wait(servers).exception(0) is None
    with psycopg.connect(servers.primary.address) as primary:
        (written,) = primary.execute("SELECT count(*) FROM audit").fetchone() or (0,)
    servers.primary.kill()
    servers.standby.start()
    assert (written, ask(servers.standby, "SELECT count(*) FROM audit")) == (1, 0)


def warnings_about_standbys(address: str) -> list[str]:
    engine = PostgresEngine.create(address)
    found = [f"{one.state} {one.text}" for one in health.database(engine) if one.subject == "standbys"]
    engine.close()
    return found


def test_the_doctor_warns_of_a_standby_that_nobody_waits_for() -> None:
    with pair(is_synchronous=False) as servers:
        (found,) = warnings_about_standbys(addresses(servers.primary))
    assert found.startswith("warn commits do not wait for the standby")


def test_the_doctor_is_content_with_one_that_is_waited_for(servers: Pair) -> None:
    assert warnings_about_standbys(addresses(servers.primary)) == ["ok 1 connected"]


@pytest.mark.parametrize(
    ("point", "complaint"),
    [
        (Point("a", 2, 100), None),
        (Point("a", 2, 101), None),
        (Point("a", 3, 50), None),
        (Point("a", 2, 99), "went back to an earlier time"),
        (Point("a", 1, 200), "was the primary once"),
        (Point("b", 2, 100), "in another cluster"),
    ],
)
def test_a_server_that_has_not_come_as_far_is_not_used(point: Point, complaint: str | None) -> None:
    found = complaint_about(point, Point("a", 2, 100))
    assert (found is None) if complaint is None else (found is not None and complaint in found)


def test_a_primary_that_waits_for_nobody_is_refused_beside_a_standby(servers: Pair, tmp_path: Path) -> None:
    ask(servers.primary, "ALTER SYSTEM SET synchronous_commit = 'local'")
    ask(servers.primary, "SELECT pg_reload_conf()")
    until(lambda: ask(servers.primary, "SHOW synchronous_commit") == "local")
    with pytest.raises(StorageRefused, match="synchronous_commit=local"):
        PostgresEngine.create(addresses(servers.primary))
