# SPDX-License-Identifier: Apache-2.0
"""Sizes, times and counts of connections. Each limit comes with a server where it is higher and nothing is refused."""

import asyncio
import json
import socket
import threading
import time
from ipaddress import ip_network

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mysafe.server.limits import ConnectionLimits, limited_protocol
from tests.unit.server.wire import (
    HEAD,
    EchoApp,
    PiecesApp,
    Receive,
    Scope,
    Send,
    answer,
    read_answer,
    read_to_end,
    running,
)

GET = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def assert_refused(reply: bytes, expected: int, message: str) -> None:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert status(reply) == expected
    assert json.loads(body) == {"message": message}
    lines = head.lower().split(b"\r\n")
    assert b"connection: close" in lines
    assert b"cache-control: no-store" in lines
    assert b"content-type: application/json" in lines
    assert not any(line.startswith(b"server:") for line in lines)


def test_a_plain_request_is_answered() -> None:
    with running(EchoApp(), ConnectionLimits()) as server:
        reply = server.say(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"POST /x 2")


@pytest.mark.parametrize(
    "name", [b"Authorization", b"Content-Type", b"Referer", b"If-Match", b"MySafe-Fields", b"Range", b"If-Range"]
)
def test_a_header_we_read_is_not_given_twice(name: bytes) -> None:
    with running(EchoApp(), ConnectionLimits()) as server:
        once = server.say(GET + name + b": a\r\n\r\n")
        twice = server.say(GET + name + b": a\r\nX: y\r\n" + name.lower() + b": b\r\n\r\n")
    assert status(once) == 200
    assert_refused(twice, 400, "Invalid HTTP request.")


@pytest.mark.parametrize(
    ("head", "limits", "higher", "expected", "message"),
    [
        (
            b"X: " + b"v" * 16_400 + b"\r\n",
            ConnectionLimits(),
            ConnectionLimits(header_bytes=17_000),
            431,
            "Request headers are too large.",
        ),
        (
            b"".join(b"X-%d: v\r\n" % number for number in range(99)),
            ConnectionLimits(),
            ConnectionLimits(header_count=101),
            431,
            "Request headers are too large.",
        ),
    ],
    ids=["one long header", "101 headers"],
)
def test_a_large_header_block_is_refused_unless_the_limit_is_raised(
    head: bytes, limits: ConnectionLimits, higher: ConnectionLimits, expected: int, message: str
) -> None:
    app = EchoApp()
    with running(app, limits) as server:
        assert_refused(server.say(GET + head + b"\r\n"), expected, message)
    assert app.seen == []
    with running(app, higher) as server:
        assert status(server.say(GET + head + b"\r\n")) == 200


def test_a_hundred_headers_are_accepted() -> None:
    with running(EchoApp(), ConnectionLimits()) as server:
        head = b"".join(b"X-%d: v\r\n" % number for number in range(98))
        assert status(server.say(GET + head + b"\r\n")) == 200


def test_a_long_url_is_refused_unless_the_limit_is_raised() -> None:
    request = b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with running(EchoApp(), ConnectionLimits()) as server:
        assert_refused(server.say(request), 414, "Request URL is too long.")
        assert status(server.say(request.replace(b"aa", b"a", 1))) == 200
    with running(EchoApp(), ConnectionLimits(url_bytes=5000)) as server:
        assert status(server.say(request)) == 200


def test_a_megabyte_of_url_is_refused_and_the_answer_arrives() -> None:
    with running(EchoApp(), ConnectionLimits()) as server:
        assert_refused(server.say(b"GET /" + b"a" * 1_000_000), 414, "Request URL is too long.")


@pytest.mark.parametrize("count", [1, 40], ids=["in one piece", "in pieces"])
def test_a_header_without_an_end_is_refused_and_the_answer_arrives(count: int) -> None:
    with running(EchoApp(), ConnectionLimits()) as server:
        part = b"v" * (1_000_000 // count)
        assert_refused(server.say(GET + b"X: ", *[part] * count), 431, "Request headers are too large.")


def test_a_hundred_thousand_headers_are_refused() -> None:
    with running(EchoApp(), ConnectionLimits()) as server:
        head = b"".join(b"X-%d: v\r\n" % number for number in range(100_000))
        assert_refused(server.say(GET + head + b"\r\n"), 431, "Request headers are too large.")


def test_a_large_body_is_not_taken_for_a_large_head() -> None:
    body = b"b" * 1_000_000
    with running(EchoApp(), ConnectionLimits()) as server:
        reply = server.say(HEAD + b"Connection: close\r\nContent-Length: 1000000\r\n\r\n" + body)
    assert reply.endswith(b"POST /x 1000000")


def test_a_head_that_follows_a_large_body_is_not_taken_for_a_large_head() -> None:
    first = HEAD + b"Content-Length: 60000\r\n\r\n" + b"b" * 60_000
    with running(EchoApp(), ConnectionLimits()) as server, server.connect() as connection:
        connection.sendall(first + GET[:30])
        assert read_answer(connection).endswith(b"POST /x 60000")
        connection.sendall(GET[30:] + b"\r\n")
        assert read_to_end(connection).endswith(b"GET /x 0")


@pytest.mark.parametrize("sent", [b"", b"GET", GET, b"\r\n"], ids=["nothing", "a word", "half a head", "an empty line"])
def test_a_head_that_does_not_come_in_time_is_refused(sent: bytes) -> None:
    with running(EchoApp(), ConnectionLimits(header_seconds=0.2)) as server:
        assert_refused(server.say(sent), 408, "Request timeout.")


def test_a_slow_head_is_accepted_when_the_limit_is_higher() -> None:
    with running(EchoApp(), ConnectionLimits(header_seconds=10)) as server, server.connect() as connection:
        connection.sendall(GET)
        connection.settimeout(0.4)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        connection.sendall(b"\r\n")
        assert status(read_to_end(connection)) == 200


def test_a_byte_now_and_then_does_not_prolong_the_time_for_a_head() -> None:
    with running(EchoApp(), ConnectionLimits(header_seconds=0.4)) as server, server.connect() as connection:
        started = time.monotonic()
        connection.sendall(GET + b"X: ")
        connection.settimeout(0.05)
        reply = b""
        while not reply and time.monotonic() - started < 5:
            connection.sendall(b"v")
            try:
                reply = connection.recv(65_536)
            except TimeoutError:
                continue
        assert_refused(reply, 408, "Request timeout.")
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("sent", [b"\r\n", b"GET"], ids=["an empty line", "a word"])
def test_the_time_for_a_head_counts_again_for_the_next_request(sent: bytes) -> None:
    limits = ConnectionLimits(header_seconds=0.3, idle_seconds=30)
    with running(EchoApp(), limits) as server, server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        assert status(read_answer(connection)) == 200
        connection.sendall(sent)
        assert_refused(read_to_end(connection), 408, "Request timeout.")


def test_an_idle_connection_outlives_the_time_for_a_head_and_is_closed_without_a_word() -> None:
    limits = ConnectionLimits(header_seconds=0.2, idle_seconds=1)
    with running(EchoApp(), limits) as server, server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        assert status(read_answer(connection)) == 200
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        assert read_to_end(connection) == b""


def test_a_slow_answer_is_not_cut_by_the_time_for_a_head() -> None:
    class SlowApp(EchoApp):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await asyncio.sleep(0.5)
            await answer(send, b"late")

    with running(SlowApp(), ConnectionLimits(header_seconds=0.1)) as server:
        assert server.say(GET + b"\r\n").endswith(b"late")


def test_connections_above_the_limit_are_refused_and_places_are_given_back() -> None:
    with running(EchoApp(), ConnectionLimits(connections=2)) as server:
        held = [server.connect(), server.connect()]
        for connection in held:
            connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
            assert status(read_answer(connection)) == 200
        reply = server.say(GET + b"\r\n")
        assert_refused(reply, 503, "Service unavailable.")
        assert b"retry-after: 1\r\n" in reply
        for connection in held:
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection) == b""
            connection.close()
        assert status(server.say(GET + b"\r\n")) == 200
    with running(EchoApp(), ConnectionLimits(connections=3)) as server:
        held = [server.connect(), server.connect()]
        assert status(server.say(GET + b"\r\n")) == 200
        for connection in held:
            connection.close()


def hold(server_address: tuple[str, int], count: int, source: str) -> list[socket.socket]:
    held = []
    for _ in range(count):
        connection = socket.create_connection(server_address, 10, source_address=(source, 0))
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        held.append(connection)
    return held


def test_loopback_and_trusted_proxies_are_not_counted_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(EchoApp(), ConnectionLimits(connections_per_address=2)) as server:
        held = hold(server.address, 5, "127.0.0.1")
        assert [status(read_answer(connection)) for connection in held] == [200] * 5
        assert server.protocol.open_by_address == {}
        for connection in held:
            connection.close()
    # Every connection of a test comes from loopback, so the peer is renamed.
    monkeypatch.setattr("uvicorn.protocols.http.httptools_impl.get_remote_addr", lambda _: ("::ffff:192.0.2.7", 1))
    with running(EchoApp(), ConnectionLimits(connections_per_address=2)) as server:
        held = hold(server.address, 3, "127.0.0.1")
        assert [status(read_answer(connection)) for connection in held] == [200, 200, 429]
        assert server.protocol.open_by_address["192.0.2.7"] >= 2
        for connection in held:
            connection.close()
    assert server.protocol.open_by_address == {}
    trusted = (ip_network("192.0.2.0/24"),)
    with running(EchoApp(), ConnectionLimits(connections_per_address=2, uncounted=trusted)) as server:
        held = hold(server.address, 3, "127.0.0.1")
        assert [status(read_answer(connection)) for connection in held] == [200, 200, 200]
        for connection in held:
            connection.close()


def unread(server_address: tuple[str, int]) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(server_address)
    return connection


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"], ids=["kept alive", "to be closed"])
def test_a_client_that_does_not_read_its_answer_is_cut_off(close: bytes) -> None:
    limits = ConnectionLimits(write_seconds=0.3)
    with running(EchoApp(padding=20_000_000), limits) as server, unread(server.address) as connection:
        connection.sendall(HEAD + close + b"Content-Length: 0\r\n\r\n")
        assert connection.recv(1) == b"H"
        assert server.connection_lost.wait(10)
        assert len(read_to_end(connection)) < 20_000_000


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_client_that_reads_a_long_answer_slowly_gets_it_all(is_noticed: bool) -> None:
    """The second is the control: if nobody noticed that it reads on, it would be cut off."""
    limits = ConnectionLimits(write_seconds=0.5)

    class Forgetful(limited_protocol(limits)):  # type: ignore[misc]  # a class made at run time
        def resume_writing(self) -> None:
            HttpToolsProtocol.resume_writing(self)

    pause, got = threading.Event(), 0
    protocol = None if is_noticed else Forgetful
    with running(PiecesApp(250), limits, protocol) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131_072)
        connection.settimeout(10)
        connection.connect(server.address)
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        try:
            while part := connection.recv(400_000):
                got += len(part)
                pause.wait(0.02)
        except ConnectionResetError:
            pass
    assert (got > 250 * 65_536) == is_noticed


def test_a_client_that_reads_late_gets_its_answer_when_the_limit_is_higher() -> None:
    limits = ConnectionLimits(write_seconds=30)
    with running(EchoApp(padding=20_000_000), limits) as server, unread(server.address) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        assert connection.recv(1) == b"H"
        assert not server.connection_lost.wait(0.6)
        assert len(read_to_end(connection)) > 20_000_000


def test_requests_in_a_row_are_answered_in_order_up_to_the_limit() -> None:
    def burst(count: int) -> bytes:
        requests = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count)]
        return b"".join(requests)

    last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with running(EchoApp(), ConnectionLimits(queued_requests=4)) as server:
        reply = server.say(burst(4) + last)
        assert reply.count(b"HTTP/1.1 200 OK") == 5
        assert reply.endswith(b"GET /last 0")
        assert reply.index(b"GET /0") < reply.index(b"GET /1") < reply.index(b"GET /3")
        reply = server.say(burst(50) + last)
        assert reply.count(b"HTTP/1.1 200 OK") == 5
        assert b"400" not in reply
    with running(EchoApp(), ConnectionLimits(queued_requests=60)) as server:
        assert server.say(burst(50) + last).count(b"HTTP/1.1 200 OK") == 51


def test_the_rest_of_a_body_that_nobody_reads_may_not_take_for_ever() -> None:
    class HastyApp(EchoApp):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await answer(send, b"no")

    with running(HastyApp(), ConnectionLimits(idle_seconds=1)) as server, server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\nb")
        assert read_answer(connection).endswith(b"no")
        connection.settimeout(0.2)
        started, is_open = time.monotonic(), True
        while is_open and time.monotonic() - started < 8:
            try:
                connection.sendall(b"b")
                is_open = connection.recv(1) != b""
            except TimeoutError:
                continue
            except OSError:
                is_open = False
        assert not is_open
