# SPDX-License-Identifier: Apache-2.0
"""T-FAILOVER with Patroni: the deployed files are valid, and run: nothing acknowledged is lost when a node fails."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.deploy.database_nodes import EXAMPLE, PASSWORD, DatabaseNodes, Node, database_nodes, patroni_file, until
from tests.support.process import Installation
from tests.support.steadfast import Clients

pytestmark = pytest.mark.deploy

ELSEWHERE = ("restapi.connect_address", "postgresql.connect_address", "etcd3.hosts", "bootstrap.pg_hba")
"""Complaints about what the environment says and the check does not look for there. Our pg_hba is in the other of two
places, where it applies not only to the first start."""

CRASH_SECONDS = 20.0
MACHINE_SECONDS = 60.0
"""Most seconds until something is written again, on a busy machine: after a crash of the server; after the loss of its
machine, whose lock runs out after 20 (`ttl`)."""


def complaints_of_patroni(directory: Path, text: str) -> list[str]:
    """Return what Patroni finds wrong with a file, without what stands elsewhere."""
    path = directory / "config.yml"
    path.write_text(text, encoding="utf-8")
    own = {"PATRONI_NAME": "db1", "PATRONI_ETCD3_HOSTS": "'127.0.0.1:2379'"}
    command = ["patroni", "--validate-config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **own})
    return [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(ELSEWHERE)]


def complaints_of_haproxy(directory: Path, text: str) -> str:
    """Return what HAProxy says about a file, nothing if it is valid."""
    path, certificate = directory / "haproxy.cfg", directory / "ca.pem"
    path.write_text(text, encoding="utf-8")
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=a",
    ]
    subprocess.run([*make, "-keyout", "ca.key", "-out", "ca.pem"], cwd=directory, check=True, capture_output=True)
    command = ["haproxy", "-c", "-f", str(path)]
    own = {"DATABASE_CA_FILE": str(certificate)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **own})
    return done.stderr if done.returncode else ""


def test_patroni_accepts_its_file(tmp_path: Path) -> None:
    assert complaints_of_patroni(tmp_path, patroni_file(tmp_path)) == []


def test_control_patroni_refuses_a_word_in_place_of_a_number(tmp_path: Path) -> None:
    (complaint,) = complaints_of_patroni(tmp_path, patroni_file(tmp_path).replace("ttl: 20", "ttl: soon"))
    assert complaint.startswith("bootstrap.dcs.ttl")


def test_haproxy_accepts_its_file(tmp_path: Path) -> None:
    assert complaints_of_haproxy(tmp_path, (EXAMPLE / "haproxy.cfg").read_text(encoding="utf-8")) == ""


def test_control_haproxy_refuses_a_word_it_does_not_know(tmp_path: Path) -> None:
    text = (EXAMPLE / "haproxy.cfg").read_text(encoding="utf-8").replace("on-marked-down", "on-marked-gone")
    assert "on-marked-gone" in complaints_of_haproxy(tmp_path, text)


@contextmanager
def clients_of(directory: Path, servers: DatabaseNodes) -> Iterator[Clients]:
    """Clients of a vault on the nodes; they end with the block."""
    password = directory / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    own = {"MYSAFE_DATABASE": servers.address, "MYSAFE_DATABASE_PASSWORD_FILE": str(password)}
    installation = Installation(directory, environment=own, is_on_sqlite=True)
    installation.start()
    installation.command("user", "add", "alice")
    clients = Clients(installation.port, installation.token(installation.new_key("alice")))
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()
        installation.close()


def stored(servers: DatabaseNodes) -> set[str]:
    with psycopg.connect(servers.address, password=PASSWORD) as connection:
        return {str(number) for (number,) in connection.execute("SELECT id FROM items").fetchall()}


def fail_over(servers: DatabaseNodes, clients: Clients, disturb: Callable[[Node], None]) -> tuple[Node, float]:
    """Do something to the primary; return it, and the seconds until something is written again."""
    clients.wait_for_items(20)
    before = servers.primary
    assert before is not None
    began = time.monotonic()
    disturb(before)
    until(lambda: servers.primary not in {None, before}, "nobody takes over")
    return before, clients.wait_for_success(after=time.monotonic()) - began


@pytest.mark.timeout(400)
def test_a_crash_and_a_lost_machine_lose_nothing_and_who_comes_back_is_a_standby(tmp_path: Path) -> None:
    with database_nodes() as servers, clients_of(tmp_path, servers) as clients:
        _, after_crash = fail_over(servers, clients, Node.kill_postgres)
        servers.wait_until_complete()
        lost, after_loss = fail_over(servers, clients, Node.kill)
        lost.start_etcd(servers.nodes)
        lost.start_patroni(servers.nodes)
        servers.wait_until_complete()
        clients.wait_for_items(20)
        clients.stop()
        assert after_crash < CRASH_SECONDS
        assert after_loss < MACHINE_SECONDS
        assert lost.ask("replica")[0] == 200
        assert {status for status, _ in clients.failures} <= {502, 503}
        assert clients.wrong(stored(servers)) == set()
