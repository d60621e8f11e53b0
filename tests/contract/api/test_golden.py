# SPDX-License-Identifier: Apache-2.0
"""Play the golden cases against a real server over HTTP and compare every answer with the documented one."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.golden import Case, Facts, Json, cases, differences, manifest, parse, read

PREFIXES = ("password", "note", "secretapi", "oauth2", "gateway", "auth")
CASES = cases(PREFIXES)
MISSING = "999999999"
PAST_ITS_LIFETIME = 3601
FENCE = ("127.0.0.9",)

Key = tuple[str, str]


class Server(Protocol):
    """What a server under test offers besides its HTTP door."""

    url: str

    def client(self, source: str = ...) -> httpx.Client: ...
    def new_actor(self) -> str: ...
    def new_key(self, owner: str, addresses: tuple[str, ...] = ()) -> Key: ...
    def new_encrypting_key(self, owner: str) -> Key: ...
    def token(self, key: Key, source: str = ...) -> str: ...
    def create(self, owner_token: str, kind: str, body: Mapping[str, Json]) -> str: ...
    def deactivate(self, owner_token: str, kind: str, identifier: str) -> None: ...
    def revoke(self, client_id: str) -> None: ...
    def set_addresses(self, client_id: str, addresses: tuple[str, ...]) -> None: ...
    def advance_clock(self, seconds: int) -> None: ...
    def fault(self, name: str) -> AbstractContextManager[object]: ...
    def ensure_user(self, username: str) -> None: ...
    def ensure_group(self, name: str, members: list[str]) -> None: ...


class Played(NamedTuple):
    """What came back, and what the comparison must know about the call."""

    response: httpx.Response
    facts: Facts

    def body(self) -> Json:
        """Return the parsed body."""
        return parse(self.response.content)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_there_are_cases_for_every_part_that_is_built(prefix: str) -> None:
    assert any(case.id.startswith(prefix) for case in CASES)


def test_all_cases_are_played() -> None:
    assert {entry["id"] for entry in manifest()["cases"]} == {case.id for case in CASES}
    assert len(CASES) > 90


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_answer_is_the_golden_one(case: Case, server: Server) -> None:
    played = _play(case, server)
    assert played.response.status_code == case.status, played.response.text
    assert played.response.headers["Content-Type"] == "application/json"
    for name, value in case.response_headers.items():
        assert played.response.headers[name] == value
    assert differences(case.expectation(), played.body(), played.facts) == []


def test_a_renamed_key_in_the_expectation_is_noticed(server: Server) -> None:
    (case,) = (case for case in CASES if case.id == "password.create")
    played, wanted = _play(case, server), case.expectation()
    assert differences(wanted, played.body(), played.facts) == []
    assert isinstance(wanted, dict)
    renamed = {("entity" if name == "password_entity" else name): value for name, value in wanted.items()}
    assert len(differences(renamed, played.body(), played.facts)) == 1


def _play(case: Case, server: Server) -> Played:
    """Set up the state of a case, make its call and return the answer."""
    _ensure_principals(server)
    new_key = server.new_encrypting_key if case.key == "encrypting" else server.new_key
    key = new_key(server.new_actor())
    token = server.token(key)
    identifiers = {need.item: "" for need in case.needs}
    for need in case.needs:
        kind, body = _fixture(need.item)
        owner = token if need.owner == "acting" else server.token(server.new_key(need.owner))
        identifiers[need.item] = server.create(owner, kind, body)
        if not need.active:
            server.deactivate(owner, kind, identifiers[need.item])
    if case.key == "fenced":
        server.set_addresses(key[0], FENCE)
        token = server.token(key, FENCE[0])  # the change ended the one before
    if case.auth == "revoked":
        server.revoke(key[0])
    with server.client() as client, _later(server, case), server.fault(case.fault) if case.fault else nullcontext():
        began_at = time.time()
        response = client.send(_request(case, server.url, key, token, identifiers))
        facts = Facts(next(iter(_named_in(case.path, identifiers)), None), began_at, time.time())
    return Played(response, facts)


def _ensure_principals(server: Server) -> None:
    fixtures = manifest()["fixtures"]
    for name, user in fixtures["users"].items():
        if not user.get("fresh_per_case"):
            server.ensure_user(name)
    for name, group in fixtures["groups"].items():
        server.ensure_group(name, group["members"])


def _fixture(name: str) -> tuple[str, dict[str, Json]]:
    item = manifest()["fixtures"]["items"][name]
    body = item["body"] if "body" in item else read(item["body_file"])
    assert isinstance(body, dict)
    return str(item["type"]), body


@contextmanager
def _later(server: Server, case: Case) -> Iterator[None]:
    """Let the token of an `expired` case die of old age, and come back to the present afterwards."""
    if case.auth != "expired":
        yield
        return
    server.advance_clock(PAST_ITS_LIFETIME)
    try:
        yield
    finally:
        server.advance_clock(-PAST_ITS_LIFETIME)


def _request(case: Case, url: str, key: Key, token: str, identifiers: Mapping[str, str]) -> httpx.Request:
    secrets = {"client_id": key[0], "client_secret": key[1]}
    path = re.sub(r"\{([^}]+)\}", lambda braces: {**identifiers, "missing": MISSING}[braces[1]], case.path)
    query = {name: value.format(**secrets) for name, value in case.query.items()}
    headers = dict(case.headers) | _authorization(case, key, token)
    return httpx.Request(case.method, url + path, params=query, headers=headers, content=_content(case, secrets))


def _authorization(case: Case, key: Key, token: str) -> dict[str, str]:
    match case.auth:
        case "none":
            return {}
        case "invalid":
            return {"Authorization": "Bearer not-a-token"}
        case "basic":
            basic = next(httpx.BasicAuth(*key).auth_flow(httpx.Request("GET", "http://localhost")))
            return {"Authorization": basic.headers["Authorization"]}
        case "bearer" | "expired" | "revoked":
            return {"Authorization": f"Bearer {token}"}
        case other:
            raise ValueError(f"no such way to authenticate: {other}")


def _content(case: Case, secrets: Mapping[str, str]) -> bytes | None:
    if case.request is None:
        return None
    fields = case.fields() | {name: value.format(**secrets) for name, value in case.replace.items()}
    return urlencode(fields).encode() if case.request_encoding == "form" else json.dumps(fields).encode()


def _named_in(path: str, identifiers: Mapping[str, str]) -> list[str]:
    return [identifier for name, identifier in identifiers.items() if f"{{{name}}}" in path]
