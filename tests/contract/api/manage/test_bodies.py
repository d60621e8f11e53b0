# SPDX-License-Identifier: Apache-2.0
"""T-JSON for the management API: the JSON cases, and odd values in every field, at every route that takes a body.

No body has a route fail, hang, or repeat what was sent. The routes share one reader, so each gets a part of the cases,
another one each, and all of them together get every case several times. The control is the standard library's reader.
"""

import json
from collections.abc import Callable, Collection, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mysafe.protocol import body as body_module
from mysafe.server.api.manage.problems import PROBLEMS, TABLE
from mysafe.server.routes import OPERATIONS
from tests.contract.api.manage.scene import NOTE, Person, Scene
from tests.contract.api.test_json_conformance import connected
from tests.support.json_cases import CASES, Case, Verdict
from tests.support.server import RunningServer

Endpoint = tuple[str, str]

SHARE = 5
"""Each route gets one case in this many."""

CODES = {(problem.status, problem.code) for problem in TABLE.values()}
CANARY = "CANARY7Q2X"


class Work(NamedTuple):
    """Who may call a route, the identifier in its path, and a body it can use."""

    person: Person
    identifier: str
    body: dict[str, Any]


def _person_and(identify: Callable[[Person], str], body: dict[str, Any]) -> Callable[[Scene], Work]:
    def make(scene: Scene) -> Work:
        person = scene.person()
        return Work(person, identify(person), body)

    return make


def _made(person: Person, path: str, body: dict[str, Any]) -> str:
    answer = person.ask("POST", path, body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return str(made.get("access_key", made)["id"])


def _nothing(person: Person) -> str:
    return ""


def _key(person: Person) -> str:
    return _made(person, "/access-keys", {"name": "k"})


def _private_group(person: Person) -> str:
    return _made(person, "/private-groups", {"name": "g"})


def _secret(scene: Scene) -> Work:
    person = scene.of(scene.server.new_person("the one that this person has"))
    return Work(person, _key(person), {"password": "another one"})


def _administrator(path: str, body: dict[str, Any]) -> Callable[[Scene], Work]:
    """Return how to make an administrator and, unless `path` is "", a record of their own making."""

    def make(scene: Scene) -> Work:
        person = scene.administrator()
        new = {"/groups": {"name": f"g of {person.name}"}, "/users": {"username": f"u of {person.name}"}}
        return Work(person, _made(person, path, new[path]) if path else "", body)

    return make


def _transfer(scene: Scene) -> Work:
    leaver, heir = scene.person(), scene.person()
    scene.server.set_user_active(leaver.name, is_active=False)
    return Work(scene.administrator(), "", {"from": leaver.name, "to": heir.name})


def _batch(scene: Scene) -> Work:
    person, friend = scene.person(), scene.person()
    items = [{"kind": "note", "identifier": person.create("note", NOTE)}]
    shares = {"users": [{"username": friend.name, "can_edit": True}], "groups": [{"name": "g", "can_edit": False}]}
    return Work(person, "", {"action": "share", "items": items, **shares, "mode": "add"})


_PASSWORDS = {"current_password": "none that anybody has", "new_password": "nor this one, as it happens"}
_NEW_KEY: dict[str, Any] = {
    "name": "n", "description": "d", "tags": "t", "addresses": ["10.0.0.0/8"], "referers": ["https://a.example/"],
    "fingerprint": "ab" * 32, "items": [{"kind": "note", "id": "2"}], "expires_at": "2100-01-01T00:00:00Z",
    "is_encrypting": False,
}  # fmt: skip
_NEW_GROUP = {"name": "new", "description": "d", "usernames": []}

WORKS: dict[Endpoint, Callable[[Scene], Work]] = {
    ("POST", "/me/password"): _person_and(_nothing, _PASSWORDS),
    ("POST", "/access-keys"): _person_and(_nothing, _NEW_KEY),
    ("PATCH", "/access-keys/{identifier}"): _person_and(_key, _NEW_KEY),
    ("POST", "/access-keys/{identifier}/secret"): _secret,
    ("POST", "/access-keys/{identifier}/decryption-key"): _secret,
    ("POST", "/users"): _administrator("", {"username": "new", "name": "n", "email": "e@example.org"}),
    ("PATCH", "/users/{identifier}"): _administrator("/users", {"name": "n", "email": "e", "is_admin": False}),
    ("POST", "/groups"): _administrator("", _NEW_GROUP),
    ("PATCH", "/groups/{identifier}"): _administrator("/groups", {"name": "new name", "description": "d"}),
    ("POST", "/groups/{identifier}/members/add"): _administrator("/groups", {"usernames": []}),
    ("POST", "/groups/{identifier}/members/remove"): _administrator("/groups", {"usernames": []}),
    ("POST", "/private-groups"): _person_and(_nothing, {**_NEW_GROUP, "are_members_visible": True}),
    ("PATCH", "/private-groups/{identifier}"): _person_and(_private_group, {"name": "n", "are_members_visible": True}),
    ("POST", "/private-groups/{identifier}/members/add"): _person_and(_private_group, {"usernames": []}),
    ("POST", "/private-groups/{identifier}/members/remove"): _person_and(_private_group, {"usernames": []}),
    ("POST", "/items/batch"): _batch,
    ("POST", "/transfers"): _transfer,
}
"""Every route that takes a body, and how to get to the point where it would use it."""

ENDPOINTS = sorted(WORKS)

_GOOD_ENDS = {(409, "conflict"), (409, "wrong_state"), (403, "wrong_password"), (429, "too_many")}
"""How a good body may end besides success: its name is taken by the time it comes again, or its password is wrong."""


class Sender:
    """Sends bodies to one route over one connection."""

    def __init__(self, connection: HTTPConnection, endpoint: Endpoint, work: Work) -> None:
        self._connection = connection
        self._method = endpoint[0]
        self._path = "/api/manage" + endpoint[1].replace("{identifier}", work.identifier)
        self._headers = {"Authorization": f"Bearer {work.person.token}", "Content-Type": "application/json"}

    def send(self, body: bytes) -> tuple[int, str, bytes]:
        """Return status, code of the problem ("" for none) and body of the answer."""
        self._connection.request(self._method, self._path, body, self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status < 400:
            return answer.status, "", data
        assert answer.headers["Content-Type"] == "application/problem+json", data
        return answer.status, str(json.loads(data)["code"]), data


def verdict(status: int, code: str) -> Verdict | str:
    """Return what an answer says of the JSON of a body: an unknown field was read, and a broken text was not."""
    if (status, code) == (400, "bad_body"):
        return Verdict.REFUSE
    is_read = status < 300 or (status, code) == (400, "invalid_field") or (status, code) in _GOOD_ENDS
    return Verdict.ACCEPT if is_read else f"{status} {code}"


def complaints(sender: Sender, good: bytes, cases: Collection[Case]) -> list[str]:
    """Return a line for each case that is not answered as its verdict says."""
    wrong: list[str] = []
    for case in cases:
        try:
            status, code, data = sender.send(case.change(good))
        except TimeoutError:
            return [*wrong, f"{case.name}: no answer"]
        got = verdict(status, code)
        if got is not case.verdict and not (case.verdict is Verdict.EITHER and isinstance(got, Verdict)):
            wrong.append(f"{case.name}: {case.verdict.value}, but {got}: {data[:200]!r}")
    return wrong


def cases_of(endpoint: Endpoint) -> tuple[Case, ...]:
    return CASES[ENDPOINTS.index(endpoint) % SHARE :: SHARE]


def test_every_route_that_takes_a_body_is_here_and_every_case_is_sent() -> None:
    taking = {
        (one.method, one.path.removeprefix("/api/manage"))
        for one in OPERATIONS
        if one.door is PROBLEMS and one.about is not None and one.about.request is not None
    }
    assert taking == set(WORKS)
    assert {case.name for endpoint in WORKS for case in cases_of(endpoint)} == {case.name for case in CASES}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=" ".join)
def test_a_route_reads_what_is_json_and_refuses_what_is_not(scene: Scene, endpoint: Endpoint) -> None:
    work = WORKS[endpoint](scene)
    with connected(scene.server) as connection:
        sender = Sender(connection, endpoint, work)
        assert complaints(sender, json.dumps(work.body).encode(), cases_of(endpoint)) == []


# -- odd values --------------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63 - 1, 0.5, "", " ", CANARY,
    f"{CANARY}\0", f"{CANARY}\n", f"\u202e{CANARY}\U0001f511",
    CANARY * 2000, [], [CANARY], [[CANARY]], [None], [1], {}, {"k": CANARY}, {"a": {"b": [CANARY]}}, [{"k": CANARY}],
    [CANARY] * 600,
)  # fmt: skip
"""The canary is in values only: an answer names the unknown field, so that a misspelt one is found."""


def odd_bodies(good: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the body with an odd value in one field, on the first and on the second level, and without the field."""
    for name, value in good.items():
        yield {other: good[other] for other in good if other != name}
        yield from ({**good, name: odd} for odd in ODD)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for inner in value[0]:
                yield from ({**good, name: [{**value[0], inner: odd}]} for odd in ODD)


def unfit(sender: Sender, bodies: Iterator[dict[str, Any]]) -> list[str]:
    """Return a line for each body with an undocumented answer, or one that repeats what was refused."""
    wrong = []
    for body in bodies:
        status, code, data = sender.send(json.dumps(body).encode())
        is_documented = status < 300 or (status, code) in CODES
        if not is_documented or (status >= 400 and CANARY.lower().encode() in data.lower()):
            wrong.append(f"{json.dumps(body)[:300]}: {status} {data[:300]!r}")
    return wrong


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=" ".join)
def test_an_odd_value_in_a_field_is_used_or_refused_and_never_repeated(scene: Scene, endpoint: Endpoint) -> None:
    work = WORKS[endpoint](scene)
    with connected(scene.server) as connection:
        assert unfit(Sender(connection, endpoint, work), odd_bodies(work.body)) == []


# -- controls ----------------------------------------------------------------------------------------------------------


def test_a_server_with_the_standard_reader_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "parse_json", json.loads)
    endpoint = ("PATCH", "/private-groups/{identifier}")
    server = RunningServer(tmp_path)
    try:
        with server.client() as client, connected(server) as connection:
            work = WORKS[endpoint](Scene(server, client))
            wrong = complaints(Sender(connection, endpoint, work), json.dumps(work.body).encode(), CASES)
    finally:
        server.close()
    assert any(line.startswith("no number: NaN: refuse, but Verdict.ACCEPT") for line in wrong)
    assert any("but 500" in line for line in wrong)


def test_an_answer_that_repeats_a_value_or_fails_is_found_out(scene: Scene) -> None:
    work = WORKS["POST", "/users"](scene)
    said = [(400, "invalid_field", f"not {CANARY.lower()}".encode()), (500, "unexpected", b""), (201, "", b"{}")]
    with connected(scene.server) as connection:
        sender = Sender(connection, ("POST", "/users"), work)
        vars(sender)["send"] = lambda body: said.pop(0)
        found = unfit(sender, iter([{}, {}, {}]))
    assert [line.partition(" ")[2].partition(" ")[0] for line in found] == ["400", "500"]
