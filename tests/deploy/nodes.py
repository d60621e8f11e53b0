# SPDX-License-Identifier: Apache-2.0
"""Two nodes on one vault, set up as in compose.yaml, and HAProxy in front of them with the file that is deployed."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Protocol, Self

from tests.deploy.files import PROXY, compose
from tests.support.process import COMMAND, UNTHROTTLED, Installation, exchange, free_port

CLIENTS = 4
NOTED = ("MYSAFE_DRAIN_SECONDS", "MYSAFE_SHUTDOWN_SECONDS", "MYSAFE_BEHIND_PROXY")
"""Settings that the nodes here share with those of the compose file."""


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


class Node:
    """A server of an installation's vault, with a data directory of its own; contents of files are shared."""

    def __init__(self, vault: Installation, directory: Path) -> None:
        directory.mkdir()
        (directory / "data").mkdir(mode=0o700)
        (vault.data / "blobs").mkdir(mode=0o700, exist_ok=True)
        (directory / "data/blobs").symlink_to(vault.data / "blobs")
        deployed = compose()["services"]["node1"]["environment"]
        self._log = directory / "server.log"
        self.port = free_port()
        self._environ = {
            **os.environ,
            **UNTHROTTLED,
            **{name: deployed[name] for name in NOTED},
            "MYSAFE_TRUSTED_PROXIES": "127.0.0.1",
            "MYSAFE_DATA": str(directory / "data"),
            "MYSAFE_DATABASE": str(vault.settings.database),
            "MYSAFE_KEY_FILE": str(vault.data.with_name("data.key")),
            "MYSAFE_PORT": str(self.port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, **changes: str) -> None:
        """Start serving; `changes` are settings that differ this time."""
        environ = self._environ | {f"MYSAFE_{name.upper()}": value for name, value in changes.items()}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*COMMAND, "serve"], env=environ, stdout=log, stderr=log)

    def is_listening(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
        except OSError:
            return False
        return True

    def tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> None:
        assert self._process is not None
        self._process.wait(timeout=60)

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        self.tell(number)
        self.wait()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)


class Addressed(Protocol):
    """What a proxy can have as a node."""

    @property
    def address(self) -> str: ...


class Proxy:
    """HAProxy with the deployed file; `change` is made to its text first."""

    def __init__(self, directory: Path, nodes: Sequence[Addressed], change: Callable[[str], str] = str) -> None:
        self.port = free_port()
        self._certificate = directory / "certificate.pem"
        self._config = directory / "haproxy.cfg"
        self._log = directory / "haproxy.log"
        self._config.write_text(change(PROXY.read_text(encoding="utf-8")), encoding="utf-8")
        addresses = {f"NODE_{number}": node.address for number, node in enumerate(nodes, 1)}
        files = {"TLS_FILE": str(_make_certificate(directory, self._certificate)), "BIND": f"127.0.0.1:{self.port}"}
        with self._log.open("wb") as log:
            command = ["haproxy", "-db", "-f", str(self._config)]
            environ = {**os.environ, **addresses, **files}
            self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def connect(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._certificate))
        return HTTPSConnection("localhost", self.port, timeout=20, context=context)

    def call(self, method: str, path: str, body: object = None, token: str | None = None) -> tuple[int, object]:
        connection = self.connect()
        try:
            return exchange(connection, method, path, body, token)
        finally:
            connection.close()

    def state(self, number: int) -> str:
        """Return how a node was seen last: `UP` or `DOWN`. What never was seen as anything else is up."""
        seen = re.findall(rf"Server nodes/node{number} is (UP|DOWN)", self.log)
        return seen[-1] if seen else "UP"

    def wait_for(self, number: int, state: str) -> None:
        until(lambda: self.state(number) == state, 60)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=20)


def _make_certificate(directory: Path, certificate: Path) -> Path:
    key, both = directory / "key.pem", directory / "both.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", *curve, *name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(certificate.read_text() + key.read_text())
    return both


class Load:
    """Clients who make items without a pause, and never twice, and remember what was not answered as it should be."""

    def __init__(self, proxy: Proxy, token: str) -> None:
        self._proxy = proxy
        self._token = token
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        self.failures: list[tuple[float, str]] = []
        self.done = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.more()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def more(self, count: int = 40) -> None:
        """Wait for so many more answers."""
        wanted = self.done + count
        until(lambda: self.done >= wanted)

    def _run(self) -> None:
        connection = self._proxy.connect()
        body = {"name": "n", "username": "u", "password": "a secret"}
        while not self._is_over.wait(0.02):
            try:
                status, answer = exchange(connection, "POST", "/api/mysafe/password", body, self._token)
                wrong = "" if status == 201 else f"{status} {json.dumps(answer)}"
            except (OSError, HTTPException, ValueError) as error:
                wrong = type(error).__name__
                connection.close()
            if wrong:
                self.failures.append((time.monotonic(), wrong))
            else:
                self.done += 1
        connection.close()
