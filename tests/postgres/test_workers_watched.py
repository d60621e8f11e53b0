# SPDX-License-Identifier: Apache-2.0
"""Metrics of several workers: each shows its own, at a port of its own, and together they are all there is."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.postgres.test_workers import WORKERS, Served, until
from tests.support.process import free_port
from tests.support.server import authorization
from tests.support.watched import TOKEN, Samples, metrics_settings, parse

pytestmark = pytest.mark.postgres

NUMBER = int(WORKERS)
HEALTH = ("mysafe_requests_total", frozenset({"method": "GET", "route": "/health/ready", "status": "200"}.items()))


def free_ports() -> int:
    """Return the first of NUMBER ports in a row that are free."""
    while True:
        first = free_port()
        with ExitStack() as probes:
            try:
                for port in range(first, first + NUMBER):
                    probes.enter_context(socket.create_server(("127.0.0.1", port)))
            except (OSError, OverflowError):
                continue
        return first


class Watched(Served):
    """An installation whose workers show their metrics."""

    def __init__(self, directory: Path) -> None:
        self.first = free_ports()
        given = metrics_settings(directory, address=f"127.0.0.1:{self.first}")
        super().__init__(directory, **{f"MYSAFE_{name.upper()}": str(value) for name, value in given.items()})

    def scrape(self, number: int) -> Samples | None:
        """Return what a worker shows, None while it shows nothing."""
        with httpx.Client(trust_env=False, timeout=20) as client:
            try:
                answer = client.get(f"http://127.0.0.1:{self.first + number}/metrics", headers=authorization(TOKEN))
            except httpx.TransportError:
                return None
        assert answer.status_code == 200, answer.text
        return parse(answer.text)

    def answered(self) -> float:
        """Return how many requests for readiness all workers answered."""
        return sum((self.scrape(number) or {}).get(HEALTH, 0) for number in range(NUMBER))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    one = Watched(tmp_path)
    one.start()
    yield one
    one.close()


def test_the_workers_together_count_every_request(watched: Watched) -> None:
    before = watched.answered()
    for _ in range(20):
        assert watched.installation.call("GET", "/health/ready")[0] == 200
    assert watched.answered() == before + 20
    assert watched.scrape(NUMBER) is None, "there is no further one"


def test_the_replacement_of_a_worker_shows_its_metrics_at_the_same_port(watched: Watched) -> None:
    workers = watched.workers()
    os.kill(min(workers), signal.SIGKILL)
    until(lambda: len(watched.workers() - workers) == 1)
    until(lambda: all(watched.scrape(number) for number in range(NUMBER)))
    assert len(watched.workers()) == NUMBER
