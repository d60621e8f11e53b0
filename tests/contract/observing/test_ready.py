# SPDX-License-Identifier: Apache-2.0
"""Ready means that requests can be answered: the vault is open, its database answers, and nobody said to end."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mysafe import app
from mysafe.config import load_settings
from tests.support.server import FaultyEngine
from tests.support.watched import WatchedServer


@pytest.fixture
def running(tmp_path: Path) -> Iterator[WatchedServer]:
    server = WatchedServer(tmp_path)
    yield server
    server.close()


def ready(server: WatchedServer) -> tuple[int, str]:
    with server.client() as client:
        assert client.get("/health/live").json() == {"status": "ok"}
        answer = client.get("/health/ready")
    return answer.status_code, str(answer.json()["status"])


def until(server: WatchedServer, expected: tuple[int, str]) -> None:
    end = time.monotonic() + 20
    while ready(server) != expected:
        assert time.monotonic() < end, "it does not happen"


def test_an_open_vault_is_ready(running: WatchedServer) -> None:
    assert ready(running) == (200, "ok")


@pytest.mark.parametrize("fault", ["database-unreachable", "internal-error"])
def test_a_vault_whose_database_fails_is_not_ready_until_it_works_again(running: WatchedServer, fault: str) -> None:
    with running.fault(fault):
        until(running, (503, "database"))
    until(running, (200, "ok"))


def test_a_database_that_does_not_answer_is_noticed_within_a_second(running: WatchedServer) -> None:
    with running.fault("deadline-passed"):  # nothing is ever settled
        began = time.monotonic()
        assert ready(running) == (503, "database")
        assert 0.9 < time.monotonic() - began < 10
        began = time.monotonic()
        assert [ready(running) for _ in range(3)] == [(503, "database")] * 3
        assert time.monotonic() - began < 2.5, "it is not waited for again"


def test_the_database_is_asked_at_most_once_a_second(running: WatchedServer) -> None:
    engine, asked = running.engine, []
    real = FaultyEngine.enqueue_look

    def counting(unit: object) -> None:
        asked.append(time.monotonic())
        real(engine, unit)  # type: ignore[arg-type]  # it is passed on

    engine.enqueue_look = counting  # type: ignore[method-assign]
    began = time.monotonic()
    for _ in range(50):
        assert ready(running) == (200, "ok")
    assert 1 <= len(asked) <= 1 + (time.monotonic() - began)


def test_a_sealed_vault_is_not_ready(running: WatchedServer) -> None:
    running.gate.close(5)
    assert ready(running) == (503, "sealed")


def test_a_server_that_was_told_to_end_is_not_ready(tmp_path: Path, running: WatchedServer) -> None:
    settings = load_settings({"data": tmp_path / "data", "port": 0}, {}, None)
    server = app.web_server(running.gate, settings, on_ending=running.gate.prepare_to_end)
    assert ready(running) == (200, "ok")
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
    assert ready(running) == (503, "ending")


def test_what_else_is_asked_of_health_is_not_there(running: WatchedServer) -> None:
    with running.client() as client:
        answers: list[httpx.Response] = [client.post("/health/ready"), client.get("/health"), client.get("/health/x")]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert client.head("/health/ready").status_code == 200
