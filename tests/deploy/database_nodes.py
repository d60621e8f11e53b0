# SPDX-License-Identifier: Apache-2.0
"""Three database nodes on loopback, run by etcd, Patroni and HAProxy from the files that are deployed.

What is changed in them: places of files and ports, and that there is no watchdog. A server that refuses to run as root
runs as `postgres`, as Debian's packages do it.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from private_postgres import UNPRIVILEGED, find_binaries
from tests.support.process import free_port

EXAMPLE = Path(__file__).parents[2] / "deploy/patroni"
NODES = ("db1", "db2", "db3")
PASSWORD = "a password of loopback"  # it protects nothing
PASSWORDS = ("SUPERUSER", "REPLICATION", "REWIND", "RESTAPI")
READY_SECONDS = 120.0


def until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while not is_so():
        assert time.monotonic() < end, what
        threading.Event().wait(0.1)


def variables(name: str) -> dict[str, str]:
    """Return the variables of an example file."""
    lines = (EXAMPLE / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def patroni_file(directory: Path) -> str:
    """Return the file of Patroni with places in a directory, and without a watchdog."""
    text = (EXAMPLE / "patroni.yml").read_text(encoding="utf-8")
    places = {
        "/etc/patroni/tls": str(directory / "tls"),
        "/var/lib/postgresql/15/mysafe": str(directory / "data"),
        "/usr/lib/postgresql/15/bin": str(find_binaries()),
        "/run/patroni/pgpass": str(directory / "pgpass"),
        "/var/run/postgresql": str(directory),
        "mode: required": 'mode: "off"',
    }
    for before, after in places.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


class Node:
    """A machine with etcd, Patroni and PostgreSQL."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.directory = directory / name
        self.directory.mkdir(0o700)
        shutil.copytree(directory / "tls", self.directory / "tls")
        self.database, self.rest, self.client, self.peer = (free_port() for _ in range(4))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log = self.directory / "log"
        self._prefix: list[str] = []
        (self.directory / "config.yml").write_text(patroni_file(self.directory), encoding="utf-8")
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            self._prefix = [
                "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"
            ]  # fmt: skip
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)

    def start_etcd(self, nodes: "list[Node]") -> None:
        own = variables("etcd.env.example")
        own |= {name: value.replace("/etc/etcd", str(self.directory)) for name, value in own.items()}
        client, peer = f"https://127.0.0.1:{self.client}", f"https://127.0.0.1:{self.peer}"
        own |= {
            "ETCD_NAME": self.name,
            "ETCD_DATA_DIR": str(self.directory / "etcd"),
            "ETCD_LISTEN_CLIENT_URLS": client,
            "ETCD_ADVERTISE_CLIENT_URLS": client,
            "ETCD_LISTEN_PEER_URLS": peer,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer,
            "ETCD_INITIAL_CLUSTER": ",".join(f"{node.name}=https://127.0.0.1:{node.peer}" for node in nodes),
        }
        self._start("etcd", ["etcd"], own)

    def start_patroni(self, nodes: "list[Node]") -> None:
        own = variables("patroni.env.example")
        own |= {f"PATRONI_{name}_PASSWORD": PASSWORD for name in PASSWORDS}
        own |= {
            "PATRONI_NAME": self.name,
            "PATRONI_RESTAPI_LISTEN": f"127.0.0.1:{self.rest}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"127.0.0.1:{self.rest}",
            "PATRONI_POSTGRESQL_LISTEN": f"127.0.0.1:{self.database}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"127.0.0.1:{self.database}",
            "PATRONI_ETCD3_HOSTS": ",".join(f"'127.0.0.1:{node.client}'" for node in nodes),
        }
        self._start("patroni", ["patroni", str(self.directory / "config.yml")], own)

    def ask(self, what: str) -> tuple[int, dict[str, object]]:
        """Ask Patroni about its node; return the status, 0 if it does not answer, and what it says."""
        command = ["curl", "--silent", "--max-time", "2", "--cacert", str(self.directory / "tls/ca.pem")]
        command += ["--write-out", "\n%{http_code}", f"https://127.0.0.1:{self.rest}/{what}"]
        body, _, status = subprocess.run(command, capture_output=True, text=True, check=False).stdout.rpartition("\n")
        return int(status or 0), json.loads(body or "{}")

    @property
    def postgres(self) -> int:
        """The process of the database server."""
        return int((self.directory / "data/postmaster.pid").read_text().splitlines()[0])

    def kill_postgres(self) -> None:
        os.kill(self.postgres, signal.SIGKILL)

    def kill(self) -> None:
        """End everything at once, as if the machine lost its power."""
        for process in self._processes.values():
            process.kill()
        try:
            self.kill_postgres()
        except (OSError, ValueError):
            pass  # it did not run
        for process in self._processes.values():
            process.wait(READY_SECONDS)
        self._processes.clear()

    def _start(self, name: str, command: list[str], own: dict[str, str]) -> None:
        environ = {**os.environ, "HOME": str(self.directory), **own}
        with self.log.open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*self._prefix, *command], env=environ, stdout=log, stderr=log, cwd=self.directory
            )


class DatabaseNodes:
    """Three nodes and the HAProxy of a mysafe node: `address` leads to the primary, whichever it is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._make_certificates()
        self.nodes = [Node(directory, name) for name in NODES]
        for node in self.nodes:
            node.start_etcd(self.nodes)
        self.nodes[0].start_patroni(self.nodes)
        until(lambda: self.primary is not None, "there is no primary")
        for node in self.nodes[1:]:
            node.start_patroni(self.nodes)
        self.wait_until_complete()
        self._make_database()
        self.port = free_port()
        self._proxy = self._start_proxy()
        until(self._is_known_to_proxy, "the proxy does not find the primary")

    @property
    def ca_file(self) -> Path:
        return self._directory / "tls/ca.pem"

    @property
    def address(self) -> str:
        own = f"hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={self.ca_file}"
        return f"postgresql://mysafe@localhost:{self.port}/mysafe?{own}"

    @property
    def primary(self) -> Node | None:
        """The node that says it is the primary."""
        return next((node for node in self.nodes if node.ask("primary")[0] == 200), None)

    def wait_until_complete(self) -> None:
        """Wait until there is a primary with a synchronous standby and another one."""
        until(self._is_complete, "the standbys do not come up")

    def close(self) -> None:
        self._proxy.kill()
        self._proxy.wait(READY_SECONDS)
        for node in self.nodes:
            node.kill()

    def _is_complete(self) -> bool:
        there = [node.ask(what)[0] == 200 for what in ("primary", "synchronous", "replica") for node in self.nodes]
        return sum(there[:3]) == 1 and sum(there[3:6]) == 1 and sum(there[6:]) == 2

    def _is_known_to_proxy(self) -> bool:
        """Return whether the proxy leads to the primary each time: before its first question it takes any node."""
        try:
            for _ in NODES:
                psycopg.connect(self.address, password=PASSWORD, target_session_attrs="read-write").close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_database(self) -> None:
        primary = self.primary
        assert primary is not None
        address = f"host=127.0.0.1 port={primary.database} dbname=postgres user=postgres password='{PASSWORD}'"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE mysafe LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute("CREATE DATABASE mysafe OWNER mysafe")

    def _start_proxy(self) -> "subprocess.Popen[bytes]":
        own = {"DATABASE_BIND": f"127.0.0.1:{self.port}", "DATABASE_CA_FILE": str(self.ca_file)}
        for number, node in enumerate(self.nodes, 1):
            own |= {f"DATABASE_{number}": f"127.0.0.1:{node.database}", f"PATRONI_{number}": str(node.rest)}
        with (self._directory / "haproxy.log").open("wb") as log:
            command = ["haproxy", "-db", "-f", str(EXAMPLE / "haproxy.cfg")]
            return subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)

    def _make_certificates(self) -> None:
        """Make an authority and a certificate of all nodes; on real machines each has its own."""
        place = self._directory / "tls"
        place.mkdir()
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        ca = ["-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"]
        _openssl(place, "req", "-x509", *curve, *ca)
        _openssl(place, "req", *curve, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
        (place / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        signed = ["-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "names", "-out", "server.pem"]
        _openssl(place, "x509", "-req", "-CAcreateserial", *signed)
        (place / "server.key").chmod(0o600)


def _openssl(place: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)


@contextmanager
def database_nodes() -> Iterator[DatabaseNodes]:
    """Running nodes. Their directory is short, because the path of a socket may not be long."""
    with TemporaryDirectory(prefix="ha.", dir="/tmp") as directory:  # of this name and mode 0700
        Path(directory).chmod(0o711)
        own = DatabaseNodes(Path(directory))
        try:
            yield own
        finally:
            own.close()
