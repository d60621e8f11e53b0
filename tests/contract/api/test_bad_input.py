# SPDX-License-Identifier: Apache-2.0
"""Bad input over real HTTP: a clear documented error, nothing stored, never a 500, and the server goes on."""

import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mysafe.server.api import body as body_module
from tests.support.server import RunningServer, authorization

GOOD = {"name": "n", "username": "u", "password": "p"}
NOT_JSON = "1001: Request body is not valid JSON"
MISSING_NAME = "1001: Parameter 'name' was not informed!"

BODIES: list[tuple[str, bytes, str]] = [
    ("cut short", b'{"name": "n"', NOT_JSON),
    ("trailing text", b'{"name": "n"} x', NOT_JSON),
    ("an array", b"[]", NOT_JSON),
    ("a string", b'"name"', NOT_JSON),
    ("null", b"null", NOT_JSON),
    ("duplicate keys", b'{"name": "a", "username": "u", "password": "p", "name": "b"}', NOT_JSON),
    ("duplicate keys below", b'{"name": "a", "users_allowed": [{"username": "x", "username": "y"}]}', NOT_JSON),
    ("NaN", b'{"name": NaN}', NOT_JSON),
    ("Infinity", b'{"name": -Infinity}', NOT_JSON),
    ("invalid UTF-8", b'{"name": "\xff"}', NOT_JSON),
    ("a lone surrogate", b'{"name": "\\ud800", "username": "u", "password": "p"}', NOT_JSON),
    ("deep arrays", b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", NOT_JSON),
    ("deep objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, NOT_JSON),
    ("empty", b"", MISSING_NAME),
    ("blank", b"  \r\n", MISSING_NAME),
    ("an empty object", b"{}", MISSING_NAME),
    ("a blank name", b'{"name": "  ", "username": "u", "password": "p"}', MISSING_NAME),
    ("a boolean name", b'{"name": true, "username": "u", "password": "p"}', "1001: Parameter 'name' is invalid!"),
    ("an object as url", b'{"name": "n", "username": "u", "password": "p", "url": {}}',
     "1001: Parameter 'url' is invalid!"),
    ("a NUL", b'{"name": "a\\u0000b", "username": "u", "password": "p"}', "1001: Parameter 'name' is invalid!"),
    ("sharing that is no list", b'{"name": "n", "username": "u", "password": "p", "users_allowed": "pduarte"}',
     "1001: Parameter 'users_allowed' is invalid!"),
    ("a seed that is not base32", b'{"name": "n", "username": "u", "password": "p", "secret_key": "0189"}',
     "1001: Parameter 'secret_key' must be encoded in base32"),
    ("a long name", json.dumps({**GOOD, "name": "x" * 256}).encode(), "1001: Parameter name limited to 255 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "text"), BODIES, ids=[row[0] for row in BODIES])
def test_a_bad_body_is_answered_400_and_stores_nothing(
    server: RunningServer, what: str, body: bytes, text: str
) -> None:
    token = server.new_token(server.new_actor())
    headers = {**authorization(token), "Content-Type": "application/json"}
    with server.client() as client:
        answer = client.post("/api/mysafe/password", content=body, headers=headers)
        assert (answer.status_code, answer.json()["response"]["message"]) == (400, text), what
        assert client.get("/api/mysafe/password", headers=headers).json()["password_on_list"] == []
        assert client.post("/api/mysafe/password", json=GOOD, headers=headers).status_code == 201


def test_the_same_bad_body_without_a_token_is_401_because_the_caller_comes_first(server: RunningServer) -> None:
    with server.client() as client:
        assert client.post("/api/mysafe/password", content=b"{").status_code == 401
        assert client.post("/api/mysafe/password", content=b"{", headers=authorization("mst_x")).status_code == 401


FORM = "application/x-www-form-urlencoded"
FORM_BODY = b"name=n&username=u&password=p%26%3D+%2B"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (FORM, FORM_BODY, 201),
        (f"{FORM}; charset=utf-8", FORM_BODY, 201),
        (None, FORM_BODY, 201),
        ("text/plain", FORM_BODY, 201),
        ("text/plain", json.dumps(GOOD).encode(), 201),
        ("application/json; charset=utf-8", json.dumps(GOOD).encode(), 201),
        ("APPLICATION/JSON", json.dumps(GOOD).encode(), 201),
        ("application/json", FORM_BODY, 400),
        (FORM, b"name=%FF", 400),
        (FORM, b"name=a&name=b", 400),
        ("multipart/form-data", b"\x00\xff", 400),
    ],
)
def test_json_and_forms_are_taken_and_other_types_are_tried_as_both(
    server: RunningServer, content_type: str | None, body: bytes, status: int
) -> None:
    token = server.new_token(server.new_actor())
    headers = authorization(token) | ({"Content-Type": content_type} if content_type else {})
    with server.client() as client:
        answer = client.post("/api/mysafe/password", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 201 and body is FORM_BODY:
        identifier = answer.json()["password_entity"]["identifier"]
        assert server.read(token, identifier).json()["password_entity"]["password"] == "p&= +"


def test_lists_in_a_form_come_as_brackets_or_as_json(server: RunningServer) -> None:
    friend = server.new_actor()
    token = server.new_token(server.new_actor())
    with server.client() as client:
        for sharing in (
            {"users_allowed[0][username]": friend, "users_allowed[0][can_edit]": "true"},
            {"users_allowed": json.dumps([{"username": friend, "can_edit": True}])},
        ):
            answer = client.post("/api/mysafe/password", data={**GOOD, **sharing}, headers=authorization(token))
            assert answer.json()["password_entity"]["users_allowed"] == [{"username": friend, "can_edit": True}]


TEXTS = [
    "<script>alert(1)</script>", "&amp; &lt;", "' OR 1=1 --", "\t tab and \n newline ", "\u202e right to left",
    "\U0001f511 key",
    "e\u0301 is not \u00e9", "\ufeff mark", "\x7f\x80\x9f", "\ud7ff\ue000\uffff", "  ends  ", "\\u0000", "%00",
    "0", "null",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_byte_for_byte(server: RunningServer, text: str) -> None:
    token = server.new_token(server.new_actor())
    sent = {"name": f"n{text}", "username": f"u{text}", "password": text, "url": text, "notes": text}
    identifier = server.create(token, "password", sent)
    entity = server.read(token, identifier).json()["password_entity"]
    assert {key: entity[key] for key in sent} == sent


def test_a_body_of_two_mebibytes_is_413_and_the_server_goes_on(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    body = json.dumps({**GOOD, "notes": "x" * 2 * 1024 * 1024}).encode()
    with server.client() as client:
        answer = client.post("/api/mysafe/password", content=body, headers=authorization(token))
        assert answer.status_code == 413
        chunked = client.post("/api/mysafe/password", content=iter([body]), headers=authorization(token))
        assert chunked.status_code == 413
    assert server.create(token, "password", GOOD)


def raw(server: RunningServer, head: str, *parts: bytes, pause: float = 0) -> bytes:
    """Send a request by hand and return the whole answer."""
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        for part in parts:
            time.sleep(pause)
            with suppress(ConnectionError):  # answered and closed already
                connection.sendall(part)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_a_body_that_stalls_is_408_and_holds_nobody_else_up(tmp_path: Path) -> None:
    fresh_server = RunningServer(tmp_path, header_seconds=0.3)
    token = fresh_server.new_token(fresh_server.new_actor())
    head = f"POST /api/mysafe/password HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\nContent-Length: 100\n\n"
    began = time.monotonic()
    answer = raw(fresh_server, head, b'{"name": ')
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 5
    assert fresh_server.create(token, "password", GOOD)
    fresh_server.close()


def test_a_body_that_trickles_is_408(fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "GRACE_SECONDS", 0.3)
    token = fresh_server.new_token(fresh_server.new_actor())
    head = f"POST /api/mysafe/password HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\nContent-Length: 100\n\n"
    assert raw(fresh_server, head, *[b" "] * 6, pause=0.1).startswith(b"HTTP/1.1 408")


def test_a_client_that_hangs_up_in_its_body_stores_nothing(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        head = f"POST /api/mysafe/password HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\nContent-Length: 60\n\n"
        connection.sendall(head.replace("\n", "\r\n").encode() + json.dumps(GOOD).encode())
    with server.client() as client:
        assert client.get("/api/mysafe/password", headers=authorization(token)).json()["password_on_list"] == []


@pytest.mark.parametrize(
    "path",
    ["/api/mysafe/password/../password", "/api/mysafe//password", "/api/mysafe/password/%31", "/api/mysafe/password;x",
     "/api/mysafe/passwor%64", "/api/mysafe/password/1/2", "/api", "/iso", "/", "/api/mysafe/password/1%00"],
)  # fmt: skip
def test_an_odd_path_is_no_route(server: RunningServer, path: str) -> None:
    token = server.new_token(server.new_actor())
    answer = raw(server, f"GET {path} HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"No route matched with those values." in answer


@pytest.mark.parametrize("path", ["/api/mysafe/password/", "/iso/mysafe/password", "/api/iso/mysafe/password/"])
def test_aliases_and_a_trailing_slash_lead_to_the_same_route(server: RunningServer, path: str) -> None:
    token = server.new_token(server.new_actor())
    with server.client() as client:
        assert client.get(path, headers=authorization(token)).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PATCH", "PUT", "TRACE"])
def test_other_methods_are_no_route(server: RunningServer, method: str) -> None:
    with server.client() as client:
        assert client.request(method, "/api/mysafe/password").status_code == 404


def test_answers_are_not_stored_and_carry_no_server_header(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    for answer in (server.read(token, "1"), server.read(token, "abc"), server.read("bad", "1")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Server" not in answer.headers
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Request-Id"]


def test_an_unexpected_fault_is_answered_without_internals(
    fresh_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    token = fresh_server.new_token(fresh_server.new_actor())
    with fresh_server.fault("internal-error"):
        answer = fresh_server.read(token, "1")
    assert answer.status_code == 500
    assert "8jhfy" not in answer.text
    assert "8jhfy" not in caplog.text
    (record,) = [record for record in caplog.records if record.name == "mysafe.server"]
    assert record.__dict__["request_id"] == answer.headers["X-Request-Id"]
    assert "8jhfy" not in str(record.__dict__)


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f511"])
def test_a_note_of_the_longest_setting_is_kept(tmp_path: Path, letter: str) -> None:
    server = RunningServer(tmp_path, notes_max_characters=1_048_576)
    try:
        token = server.new_token(server.new_actor())
        note = letter * 1_048_576
        identifier = server.create(token, "note", {"name": "n", "note": note})
        assert server.read(token, identifier, "note").json()["note_entity"]["note"] == note
    finally:
        server.close()
