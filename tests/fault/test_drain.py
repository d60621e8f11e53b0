# SPDX-License-Identifier: Apache-2.0
"""A server that is told to end: a load balancer notices before anybody is turned away; the service manager hears it."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.support.process import COMMAND, Installation, free_port

Serve = Callable[..., Installation]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[Installation] = []

    def start(**settings: str) -> Installation:
        environment = {f"MYSAFE_{name.upper()}": value for name, value in settings.items()}
        made.append(Installation(tmp_path, environment=environment))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.close()


def tell_to_end(installation: Installation) -> None:
    """Send SIGTERM, and wait until the server has noticed it."""
    os.kill(installation.pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while "serving for" not in installation.log.read_text() and "Shutting down" not in installation.log.read_text():
        assert time.monotonic() < until, "the signal is not noticed"
        time.sleep(0.01)


def call_for_a_second(installation: Installation) -> None:
    """Ask again and again; what goes wrong is raised."""
    until = time.monotonic() + 1
    while time.monotonic() < until:
        installation.call("GET", "/health/live")


def health(installation: Installation, what: str) -> tuple[int, object]:
    status, body = installation.call("GET", f"/health/{what}")
    return status, body["status"]


def test_a_draining_server_is_not_ready_and_still_serves(serve: Serve) -> None:
    installation = serve(drain_seconds="600")
    assert health(installation, "ready") == (200, "ok")
    tell_to_end(installation)
    assert health(installation, "ready") == (503, "ending")
    call_for_a_second(installation)
    assert installation.call("GET", "/api/mysafe/password")[0] == 401
    assert installation.stop() == 0  # a second signal, of the keyboard, ends the draining


def test_control_without_draining_nobody_is_served_after_the_signal(serve: Serve) -> None:
    installation = serve()
    tell_to_end(installation)
    with pytest.raises((OSError, HTTPException)):
        call_for_a_second(installation)
    assert installation.wait() == 0


def test_a_draining_server_serves_a_kept_connection_once_more_and_closes_it(serve: Serve) -> None:
    installation = serve(drain_seconds="600")
    connection = HTTPConnection("127.0.0.1", installation.port, timeout=20)
    seen = []
    for _ in range(2):
        connection.request("GET", "/api/mysafe/password")
        answer = connection.getresponse()
        answer.read()
        seen.append((answer.status, answer.headers["connection"]))
        if len(seen) == 1:
            tell_to_end(installation)
    assert seen == [(401, None), (401, "close")]
    connection.close()
    assert installation.stop() == 0


def test_a_draining_server_ends_by_itself_and_not_before_its_time(serve: Serve) -> None:
    installation = serve(drain_seconds="2")
    began = time.monotonic()
    tell_to_end(installation)
    assert installation.wait() == 0
    assert time.monotonic() - began > 2


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(20)
        yield end


def test_the_service_manager_hears_when_the_server_is_ready_and_when_it_stops(
    serve: Serve, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    installation = serve()
    assert manager.recv(100) == b"READY=1"
    installation.stop()
    assert manager.recv(100) == b"STOPPING=1"


def test_a_service_manager_that_is_gone_does_not_keep_the_server_from_serving(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    installation = serve()
    assert installation.stop() == 0
    warnings = [line for line in map(json.loads, installation.log.read_text().splitlines()) if line["level"] != "info"]
    assert [line["message"] for line in warnings] == [
        "the service manager was not told READY=1: No such file or directory",
        "the service manager was not told STOPPING=1: No such file or directory",
    ]


def listens_to(pid: int, number: int) -> bool:
    """Return whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_server_that_is_told_to_end_while_it_starts_ends(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    log = installation.log.open("ab")
    command = [*COMMAND, "serve", "--port", str(free_port())]
    with log, subprocess.Popen(command, env=installation.variables(), stdout=log, stderr=log) as process:
        try:
            while not listens_to(process.pid, signal.SIGTERM):
                assert process.poll() is None, "it ends by itself"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert "Traceback" not in installation.log.read_text(encoding="utf-8")
