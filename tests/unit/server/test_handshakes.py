# SPDX-License-Identifier: Apache-2.0
"""Who connects to a TLS server and says nothing is hung up on in time, and keeps nobody else out."""

import asyncio
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from mysafe.server.handshakes import Handshakes, PatientServer
from mysafe.server.limits import ConnectionLimits, ConnectionTally, limited_protocol
from tests.contract.api.test_certificates import Authority

PLACES = 8
Start = Callable[..., "Running"]


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Running:
    """A TLS server in a thread."""

    def __init__(
        self, directory: Path, limits: ConnectionLimits, kind: type[uvicorn.Server], *, is_given: bool
    ) -> None:
        authority = Authority(directory, "authority")
        pair = authority.issue("server")
        self.tally = ConnectionTally()
        config = uvicorn.Config(
            application,
            port=0,
            http=limited_protocol(limits, self.tally),
            lifespan="off",
            log_config=None,
            ssl_certfile=pair.certificate,
            ssl_keyfile=pair.key,
        )
        self.server = kind(config)
        self.sockets = [socket.create_server(("127.0.0.1", 0))] if is_given else None
        self._thread = threading.Thread(target=self.server.run, args=(self.sockets,), daemon=True)
        self._thread.start()
        until(lambda: self.server.started and bool(self.server.servers))
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self._context = ssl.create_default_context(cafile=str(authority.file))

    def status(self) -> int:
        with httpx.Client(verify=self._context, trust_env=False, timeout=20) as client:
            return client.get(f"https://127.0.0.1:{self.port}/").status_code

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def close(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "it does not happen"
        threading.Event().wait(0.01)


def cut(ends: list[socket.socket]) -> list[socket.socket]:
    """Return those that the server hung up on."""
    return select.select(ends, [], [], 0)[0]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Running] = []

    def run(limits: ConnectionLimits, kind: type[uvicorn.Server] = PatientServer, *, is_given: bool = False) -> Running:
        made.append(Running(tmp_path, limits, kind, is_given=is_given))
        return made[-1]

    yield run
    for one in made:
        one.close()


@pytest.mark.parametrize("is_given", [False, True], ids=["own socket", "given socket"])
def test_a_connection_that_begins_no_handshake_ends_in_time(start: Start, *, is_given: bool) -> None:
    running = start(ConnectionLimits(header_seconds=0.3), is_given=is_given)
    with running.connect() as silent, running.connect() as hesitant:
        hesitant.send(b"\x16\x03\x01")  # the first bytes of a handshake
        began = time.monotonic()
        assert silent.recv(1) == b""
        assert hesitant.recv(1) == b""
        assert time.monotonic() - began < 10
    assert running.status() == 200


def test_those_who_say_nothing_take_few_places_and_keep_nobody_out(start: Start) -> None:
    running = start(ConnectionLimits(header_seconds=120, connections=PLACES))
    assert running.status() == 200
    before = descriptors()
    silent = [running.connect() for _ in range(5 * PLACES)]
    try:
        until(lambda: len(cut(silent)) == 4 * PLACES)
        assert cut(silent) == silent[: 4 * PLACES], "the oldest have to go"
        assert descriptors() <= before + len(silent) + PLACES
        assert running.status() == 200
        assert running.tally.refused["full"] >= 4 * PLACES
    finally:
        for one in silent:
            one.close()
    until(lambda: descriptors() <= before)


def test_a_server_that_does_not_bound_handshakes_is_found(start: Start) -> None:
    running = start(ConnectionLimits(header_seconds=0.3, connections=PLACES), uvicorn.Server)
    silent = [running.connect() for _ in range(2 * PLACES)]
    threading.Event().wait(1)
    assert cut(silent) == []
    for one in silent:
        one.close()


def test_what_is_no_handshake_is_hung_up_on_and_others_are_served(start: Start) -> None:
    running = start(ConnectionLimits())
    with running.connect() as end:
        end.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: bool(cut([end])))
        assert not end.recv(100).startswith(b"HTTP")
    assert running.status() == 200


def test_a_server_ends_while_handshakes_are_under_way(start: Start) -> None:
    running = start(ConnectionLimits(header_seconds=120))
    with running.connect() as silent:
        assert running.status() == 200
        running.close()
        assert silent.recv(1) == b""


def test_one_address_has_as_many_handshakes_under_way_as_it_may_have_connections() -> None:
    async def count() -> tuple[list[bool], list[bool], int]:
        tally = ConnectionTally()
        handshakes = Handshakes(ConnectionLimits(connections_per_address=2), tally)

        def begin(host: str) -> bool:
            if has_place := handshakes.has_place_for(host):
                handshakes.add(asyncio.create_task(asyncio.sleep(3600)), host)
            return has_place

        first = [begin(host) for host in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", *["127.0.0.1"] * 5)]
        await handshakes.end()
        return first, [begin("192.0.2.1")], tally.refused["address"]

    assert asyncio.run(count()) == ([True, True, False, True, *[True] * 5], [True], 1)
