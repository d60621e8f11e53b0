# SPDX-License-Identifier: Apache-2.0
"""Requests that two readers could take for different ones (T-SMUGGLE). None of them may reach the application."""

import asyncio
from collections.abc import Iterator

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mysafe.server.limits import ConnectionLimits
from tests.unit.server.test_limits import assert_refused, status
from tests.unit.server.wire import (
    HEAD,
    EchoApp,
    Receive,
    Running,
    Scope,
    Send,
    answer,
    read_answer,
    read_to_end,
    running,
)

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

BAD_HEADS = {
    "length and chunked": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "the same length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\nhi",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\nhi",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\nhi",
    "a hexadecimal length": HEAD + b"Content-Length: 0x2\r\n\r\nhi",
    "an empty length": HEAD + b"Content-Length:\r\n\r\nhi",
    "a length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
    "a space before the colon": HEAD + b"Content-Length : 2\r\n\r\nhi",
    "a folded header": HEAD + b"X: a\r\n b\r\n\r\n",
    "a header folded with a tab": HEAD + b"X: a\r\n\tb\r\n\r\n",
    "a folded first header": b"GET /x HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare line feeds": b"GET /x HTTP/1.1\nHost: a\n\n",
    "one bare line feed": b"GET /x HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "a bare carriage return": b"GET /x HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "NUL in a header": b"GET /x HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a second coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an empty coding": HEAD + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET /x HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "HTTP/2.0": b"GET /x HTTP/2.0\r\nHost: a\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a fragment": b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tunnel": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "an upgrade with a body": HEAD + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
    "an upgrade with chunks": CHUNKED + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n0\r\n\r\n",
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

BAD_BODIES = {
    "a size that is no number": b"zz\r\n\r\n",
    "a size with a prefix": b"0x2\r\nhi\r\n0\r\n\r\n",
    "a negative size": b"-2\r\nhi\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"fffffffffffffffff\r\nhi\r\n0\r\n\r\n",
    "a space after the size": b"2 \r\nhi\r\n0\r\n\r\n",
    "a line feed after the size": b"2\nhi\r\n0\r\n\r\n",
    "no end of a chunk": b"2\r\nhi0\r\n\r\n",
    "a line feed in an extension": b"2;a\nhi\r\n0\r\n\r\n",
    "a trailer": b"2\r\nhi\r\n0\r\nX: y\r\n\r\n",
    "an extension without an end": b"2;" + b"a" * 200_000,
}


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[EchoApp, Running]]:
    app = EchoApp()
    with running(app, ConnectionLimits()) as server:
        yield app, server


@pytest.mark.parametrize("request_bytes", BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_an_ambiguous_head_is_refused_and_what_follows_is_not_read(
    request_bytes: bytes, shared: tuple[EchoApp, Running]
) -> None:
    app, server = shared
    app.seen.clear()
    assert server.say(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi").endswith(b"POST /x 2")
    assert_refused(server.say(request_bytes, HIDDEN), 400, "Invalid HTTP request.")
    assert len(app.seen) == 1


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_an_ambiguous_body_is_refused_and_the_application_hears_of_it(
    body: bytes, shared: tuple[EchoApp, Running]
) -> None:
    app, server = shared
    app.seen.clear()
    app.was_abandoned.clear()
    assert_refused(server.say(CHUNKED + b"\r\n" + body, HIDDEN), 400, "Invalid HTTP request.")
    assert app.was_abandoned.wait(5)
    assert len(app.seen) == 1


OURS = (
    "a second coding",
    "chunked in HTTP/1.0",
    "no host",
    "two hosts",
    "HTTP/0.9",
    "HTTP/2.0",
    "a fragment",
    "an upgrade with a body",
    "an upgrade with chunks",
)
"""What the parser lets pass, so that only our own checks stand in the way."""


@pytest.mark.parametrize("name", OURS)
def test_without_our_checks_an_ambiguous_head_would_reach_the_application(name: str) -> None:
    app = EchoApp()
    with running(app, ConnectionLimits(), HttpToolsProtocol) as server, server.connect() as connection:
        connection.sendall(BAD_HEADS[name])
        assert status(read_answer(connection)) == 200
    assert len(app.seen) == 1


def test_without_our_checks_a_trailer_would_become_a_header() -> None:
    app = EchoApp()
    with running(app, ConnectionLimits(), HttpToolsProtocol) as server, server.connect() as connection:
        connection.sendall(CHUNKED + b"\r\n" + BAD_BODIES["a trailer"])
        assert status(read_answer(connection)) == 200
    assert (b"x", b"y") in app.seen[0]["headers"]


def test_plain_chunks_with_an_extension_are_accepted() -> None:
    with running(EchoApp(), ConnectionLimits()) as server, server.connect() as connection:
        connection.sendall(CHUNKED + b"\r\n2;a=b\r\nhi\r\n1\r\n!\r\n0\r\n\r\n")
        assert read_answer(connection).endswith(b"POST /x 3")
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        assert read_to_end(connection).endswith(b"POST /x 0")


def test_an_upgrade_without_a_body_is_answered_and_what_follows_is_not_read() -> None:
    app = EchoApp()
    with running(app, ConnectionLimits()) as server:
        asks = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        reply = server.say(asks + HIDDEN)
    assert reply.endswith(b"GET /x 0")
    assert len(app.seen) == 1


def test_what_follows_a_last_request_is_not_read() -> None:
    app = EchoApp()
    with running(app, ConnectionLimits()) as server:
        reply = server.say(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + HIDDEN)
    assert reply.endswith(b"GET /x 0")
    assert len(app.seen) == 1


class PatientApp:
    """Answer when told to."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope["path"])
        await receive()
        await asyncio.sleep(0.2)
        await answer(send, b"whole answer to " + scope["path"].encode())


@pytest.mark.parametrize("noise", [b"\x00\x00", b"GET /b HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", b"GET /b#c HTTP"])
def test_noise_behind_a_request_does_not_spoil_its_answer(noise: bytes) -> None:
    app = PatientApp()
    with running(app, ConnectionLimits(header_seconds=0.1)) as server:
        reply = server.say(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" + noise)
    assert reply.endswith(b"whole answer to /a")
    assert reply.count(b"HTTP/1.1 ") == 1
    assert app.seen == ["/a"]


def test_a_broken_body_behind_a_request_ends_the_connection_without_a_second_answer() -> None:
    app = PatientApp()
    with running(app, ConnectionLimits()) as server:
        reply = server.say(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" + CHUNKED + b"\r\nzz\r\n")
    assert reply.count(b"HTTP/1.1 ") <= 1
    assert app.seen == ["/a"]


def test_a_broken_body_after_an_early_answer_closes_without_a_second_answer() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"early")

    with running(early, ConnectionLimits()) as server, server.connect() as connection:
        connection.sendall(CHUNKED + b"\r\n2\r\n")
        assert status(read_answer(connection)) == 200
        connection.sendall(b"hizz\r\n")
        assert read_to_end(connection) == b""
