# SPDX-License-Identifier: Apache-2.0
"""T-JSON over real HTTP: every case at every route that takes JSON; never a 500, never a wait (contract 9, rule 19).

The control puts the standard library's reader in the place of ours, and must be found out by the same check.
"""

import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from mysafe.protocol import body as body_module
from tests.support.file_client import upload
from tests.support.json_cases import CASES, Case, Verdict
from tests.support.server import RunningServer

SLOWEST_SECONDS = 5
"""Far above what a case needs (a few milliseconds), far below what a reader that is quadratic or worse would take."""

BODIES = {
    "password": {"name": "n", "username": "u", "password": "p"},
    "note": {"name": "n", "note": "c"},
    "secretapi": {"name": "n", "url": "l", "client_id": "i"},
}
ROUTES = ["token", *(f"{method} {kind}" for kind in BODIES for method in ("create", "PUT", "POST")), "PUT file"]

NOT_JSON = "1001: Request body is not valid JSON"


class Route(NamedTuple):
    """Where a body is sent, a good one, and what is answered to it and to a bad one."""

    method: str
    path: str
    good: bytes
    token: str
    accepted: int
    refusal: str


def route(server: RunningServer, name: str, owner: str) -> Route:
    if name == "token":
        client_id, secret = server.new_key(owner)
        request = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        hint = "Check the `grant_type` parameter"
        return Route("POST", "/api/oauth2/token", json.dumps(request).encode(), "", 200, hint)
    method, kind = name.split()
    token = server.new_token(owner)
    if kind == "file":
        path = f"/api/mysafe/file/update/{upload(server, token, b'content')}"
        return Route(method, path, b'{"name": "n", "notes": "c"}', token, 200, NOT_JSON)
    good = json.dumps(BODIES[kind]).encode()
    if method == "create":
        return Route("POST", f"/api/mysafe/{kind}", good, token, 201, NOT_JSON)
    path = f"/api/mysafe/{kind}/update/{server.create(token, kind, BODIES[kind])}"
    return Route(method, path, good, token, 200, NOT_JSON)


@contextmanager
def connected(server: RunningServer) -> Iterator[HTTPConnection]:
    address = urlsplit(server.url)
    connection = HTTPConnection(str(address.hostname), int(address.port or 0), timeout=SLOWEST_SECONDS)
    try:
        yield connection
    finally:
        connection.close()


def exchange(connection: HTTPConnection, to: Route, body: bytes) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {to.token}"} if to.token else {})
    connection.request(to.method, to.path, body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["response"]["message"] if "response" in answer else answer["hint"])


def outcome(connection: HTTPConnection, to: Route, body: bytes) -> Verdict | str:
    """Return what came of a body: accepted or refused as documented, or a word on what is wrong with the answer."""
    began = time.monotonic()
    try:
        status, answer = exchange(connection, to, body)
    except TimeoutError:
        connection.close()
        return "no answer"
    if time.monotonic() - began > SLOWEST_SECONDS:
        return "too slow"
    if status == to.accepted:
        return Verdict.ACCEPT
    if (status, text_of(answer) if status == 400 else "") == (400, to.refusal):
        return Verdict.REFUSE
    return f"{status} {answer}"


def complaints(server: RunningServer, to: Route, cases: Collection[Case]) -> tuple[list[str], int]:
    """Return a line for each case that is not answered as its verdict says, and how many were accepted."""
    wrong, accepted = [], 0
    with connected(server) as connection:
        for case in cases:
            got = outcome(connection, to, case.change(to.good))
            accepted += got is Verdict.ACCEPT
            is_right = got is case.verdict or (case.verdict is Verdict.EITHER and isinstance(got, Verdict))
            if not is_right:
                wrong.append(f"{case.name}: {case.verdict.value}, but {got}")
    return wrong, accepted


def stored(server: RunningServer, to: Route) -> int:
    """Return how many items the route's user has."""
    with connected(server) as connection:
        _, answer = exchange(connection, to._replace(method="GET"), b"")
    (lines,) = (value for key, value in answer.items() if key.endswith("_on_list"))
    return len(lines)


def test_there_are_many_cases_and_each_verdict_has_its_share() -> None:
    verdicts = [case.verdict for case in CASES]
    assert len(verdicts) >= 250
    assert len({case.name for case in CASES}) == len(CASES)
    assert min(verdicts.count(Verdict.ACCEPT), verdicts.count(Verdict.REFUSE)) >= 100


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_accepts_what_is_json_and_refuses_what_is_not(server: RunningServer, name: str) -> None:
    to = route(server, name, server.new_actor())
    wrong, accepted = complaints(server, to, CASES)
    assert wrong == []
    assert accepted >= sum(case.verdict is Verdict.ACCEPT for case in CASES)
    if name.startswith("create"):
        assert stored(server, to) == accepted


@pytest.mark.parametrize("empty", [b"", b" ", b"\r\n\t ", b"\n" * 100_000])
@pytest.mark.parametrize("name", ROUTES)
def test_an_empty_body_is_no_broken_one(server: RunningServer, name: str, empty: bytes) -> None:
    to = route(server, name, server.new_actor())
    with connected(server) as connection:
        status, answer = exchange(connection, to, empty)
    if name.startswith("create"):
        assert (status, text_of(answer)) == (400, "1001: Parameter 'name' was not informed!")
    elif name == "token":
        assert (status, text_of(answer)) == (400, to.refusal)
    else:
        assert status == 200


@pytest.mark.parametrize("content_type", [None, "APPLICATION/JSON; charset=utf-16"])
def test_another_content_type_makes_no_other_json(server: RunningServer, content_type: str | None) -> None:
    to = route(server, "create note", server.new_actor())
    headers = {"Authorization": f"Bearer {to.token}"} | ({"Content-Type": content_type} if content_type else {})
    with connected(server) as connection:
        for case in CASES:
            body = case.change(to.good)
            connection.request(to.method, to.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 400 or (answer.status == 201 and case.verdict is not Verdict.REFUSE), case.name


# -- the control -------------------------------------------------------------------------------------------------------


def test_the_standard_reader_accepts_what_we_refuse() -> None:
    good = json.dumps(BODIES["note"]).encode()
    kind = [case.name for case in CASES if case.verdict is Verdict.REFUSE and reads(case.change(good))]
    assert len(kind) >= 3
    assert {"no number: NaN", "no number: -Infinity", 'a key twice: {"a":1,"a":1}'} <= set(kind)


def reads(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def test_a_server_with_the_standard_reader_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "parse_json", json.loads)
    server = RunningServer(tmp_path)
    try:
        wrong, _ = complaints(server, route(server, "create note", server.new_actor()), CASES)
    finally:
        server.close()
    assert any(line.startswith("no number: NaN: refuse, but Verdict.ACCEPT") for line in wrong)
    assert any("but 500" in line for line in wrong)
