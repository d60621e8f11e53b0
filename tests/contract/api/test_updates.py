# SPDX-License-Identifier: Apache-2.0
"""Updates of every kind over real HTTP (contract 4.4, 5.4, 6.4; contract 9, rules 7, 9 to 11, 18 and 25)."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from mysafe.domain.actions import Action
from mysafe.services import audit_trail
from tests.support.server import RunningServer, authorization

BODIES: dict[str, dict[str, Any]] = {
    "password": {
        "name": "n", "username": "u", "password": "p", "url": "l", "secret_key": "JBSWY3DPEHPK3PXP",
        "notes": "o", "tags": "t",
    },
    "note": {"name": "n", "note": "c", "tags": "t"},
    "secretapi": {
        "name": "n", "url": "l", "client_id": "i", "client_secret": "s", "identifier_code": "", "method": "get",
        "tags": "t", "notes": "o",
    },
}  # fmt: skip
REQUIRED = {
    "password": {"name", "username", "password"},
    "note": {"name", "note"},
    "secretapi": {"name", "url", "client_id"},
}
FRIEND_MAY_EDIT = {"users_allowed": [{"username": "friend", "can_edit": True}]}


class Scene:
    """An owner, a friend, and calls about items."""

    def __init__(self, server: RunningServer, client: httpx.Client) -> None:
        self.server = server
        self._client = client
        self.owner = server.new_token(server.new_actor())
        for name in ("friend", "other friend"):
            server.ensure_user(name)
        server.ensure_group("Team", ["friend"])
        self.friend = server.new_token("friend")

    def create(self, kind: str, **fields: Any) -> str:
        return self.server.create(self.owner, kind, {**BODIES[kind], **fields})

    def update(
        self, kind: str, identifier: str, body: object, *, token: str = "", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = {**authorization(token or self.owner), **(headers or {})}
        return self._client.put(f"/api/mysafe/{kind}/update/{identifier}", json=body, headers=sent)

    def read(self, kind: str, identifier: str, token: str = "") -> httpx.Response:
        return self._client.get(f"/api/mysafe/{kind}/{identifier}", headers=authorization(token or self.owner))

    def entity(self, kind: str, identifier: str) -> dict[str, Any]:
        (found,) = (value for key, value in self.read(kind, identifier).json().items() if key.endswith("_entity"))
        assert isinstance(found, dict)
        return found

    def switch(self, kind: str, word: str, identifier: str) -> httpx.Response:
        return self._client.post(f"/api/mysafe/{kind}/{word}/{identifier}", headers=authorization(self.owner))


@pytest.fixture
def scene(server: RunningServer) -> Iterator[Scene]:
    with server.client() as client:
        yield Scene(server, client)


def text_of(answer: httpx.Response) -> str:
    return str(answer.json()["response"]["message"])


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, body in BODIES.items() for field in body])
def test_one_field_changes_and_the_others_stay(scene: Scene, kind: str, field: str) -> None:
    identifier = scene.create(kind)
    before = scene.entity(kind, identifier)
    new = "KRSXG5DTMVSWI4TB" if field == "secret_key" else f"new {field}"
    assert scene.update(kind, identifier, {field: new}).status_code == 200
    after = scene.entity(kind, identifier)
    assert after[field] == new
    changed = {field, "token"} if field == "secret_key" else {field}
    assert {key for key in before if before[key] != after[key]} == changed


@pytest.mark.parametrize("kind", BODIES)
def test_an_empty_text_clears_an_optional_field_and_is_missing_in_a_required_one(scene: Scene, kind: str) -> None:
    identifier = scene.create(kind)
    before = scene.entity(kind, identifier)
    for field in REQUIRED[kind]:
        answer = scene.update(kind, identifier, {field: ""})
        assert text_of(answer) == f"1001: Parameter '{field}' was not informed!"
    assert scene.entity(kind, identifier) == before
    optional = dict.fromkeys(set(BODIES[kind]) - REQUIRED[kind], "")
    assert scene.update(kind, identifier, optional).status_code == 200
    after = scene.entity(kind, identifier)
    assert {after[field] for field in optional} <= {"", None}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("body", [{}, {"name": None, "tags": None, "users_allowed": None}, {"colour": "red"}])
def test_what_names_nothing_changes_nothing_and_is_recorded(scene: Scene, kind: str, body: dict[str, Any]) -> None:
    identifier = scene.create(kind, **FRIEND_MAY_EDIT)
    before = scene.read(kind, identifier)
    assert scene.update(kind, identifier, body).status_code == 200
    after = scene.read(kind, identifier)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])
    entries = scene.server.operate(partial(audit_trail.tail, limit=3))
    assert [entry.action for entry in entries] == [Action.ITEM_READ, Action.ITEM_UPDATE, Action.ITEM_READ]


def test_an_empty_body_changes_nothing(scene: Scene) -> None:
    identifier = scene.create("note")
    with scene.server.client() as client:
        answer = client.put(f"/api/mysafe/note/update/{identifier}", headers=authorization(scene.owner))
    assert (answer.status_code, text_of(answer)) == (200, "Note successfully update")


@pytest.mark.parametrize("kind", BODIES)
def test_an_empty_list_removes_the_sharing_and_an_absent_one_keeps_it(scene: Scene, kind: str) -> None:
    identifier = scene.create(kind, **FRIEND_MAY_EDIT, groups_allowed=[{"name": "Team"}])
    answer = scene.update(kind, identifier, {"users_allowed": []})
    (entity,) = (value for key, value in answer.json().items() if key.endswith("_entity"))
    assert (entity["users_allowed"], entity["groups_allowed"]) == ([], [{"name": "Team", "can_edit": False}])
    assert scene.update(kind, identifier, {"name": "x"}, token=scene.friend).status_code == 400  # may only view now
    assert scene.read(kind, identifier, scene.friend).status_code == 200
    assert scene.update(kind, identifier, {"groups_allowed": []}).status_code == 200
    assert text_of(scene.read(kind, identifier, scene.friend)) == "1006: User does not have access"


def test_an_editor_changes_everything_but_the_owner(scene: Scene) -> None:
    identifier = scene.create("password", **FRIEND_MAY_EDIT)
    body = {"password": "new", "users_allowed": [{"username": "other friend"}]}
    assert scene.update("password", identifier, body, token=scene.friend).status_code == 200
    assert scene.entity("password", identifier)["password"] == "new"
    assert text_of(scene.read("password", identifier, scene.friend)) == "1006: User does not have access"


def test_names_that_cannot_be_shared_with_are_reported_by_an_update(scene: Scene) -> None:
    identifier = scene.create("password")
    answer = scene.update("password", identifier, {"users_allowed": [{"username": "ghost"}, {"username": "friend"}]})
    entity = answer.json()["password_entity"]
    assert entity["users_allowed"] == [{"username": "friend", "can_edit": False}]
    assert entity["shared_error"] == [{"username": "ghost", "message": "User not found"}]


def test_an_inactive_item_can_be_changed_and_still_not_read(scene: Scene) -> None:
    identifier = scene.create("note")
    scene.switch("note", "inactive", identifier)
    assert scene.update("note", identifier, {"name": "changed"}).status_code == 200
    assert text_of(scene.read("note", identifier)) == "1009: Inactive note"
    scene.switch("note", "active", identifier)
    assert scene.entity("note", identifier)["name"] == "changed"


def test_the_caller_comes_before_the_body(scene: Scene) -> None:
    identifier = scene.create("password")
    bad = {"name": True}
    assert text_of(scene.update("password", "999999999", bad)) == "1005: Password not found"
    assert text_of(scene.update("password", "x", bad)) == "1010: Unexpected identifier type"
    assert text_of(scene.update("password", identifier, bad, token=scene.friend)) == "1006: User does not have access"
    assert text_of(scene.update("password", identifier, bad)) == "1001: Parameter 'name' is invalid!"


def test_a_kind_does_not_know_the_numbers_of_another(scene: Scene) -> None:
    newest_note = int(scene.create("note"))
    password = scene.create("password")
    while int(password) <= newest_note:
        password = scene.create("password")
    assert text_of(scene.read("note", password)) == "1005: Note not found"
    assert text_of(scene.update("note", password, {"name": "x"})) == "1005: Note not found"


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1"', 200),
        ("*", 200),
        ('"7", "1"', 200),
        (',"1" ,', 200),
        ('"2"', 412),
        ('W/"1"', 412),
        ("1", 412),
        ('"1" 1', 412),
        ('""', 412),
        ("", 412),
    ],
)
def test_a_condition_on_the_version_is_honoured(scene: Scene, condition: str, status: int) -> None:
    identifier = scene.create("password")
    answer = scene.update("password", identifier, {"name": "new"}, headers={"If-Match": condition})
    assert answer.status_code == status
    assert scene.read("password", identifier).headers["ETag"] == ('"2"' if status == 200 else '"1"')


def test_no_update_is_lost_among_writers_who_name_the_version(scene: Scene) -> None:
    identifier = scene.create("note", note="0")
    done: list[int] = []

    def add_one() -> None:
        with scene.server.client() as client:
            added = 0
            while added < 5:
                seen = client.get(f"/api/mysafe/note/{identifier}", headers=authorization(scene.owner))
                number = int(seen.json()["note_entity"]["note"]) + 1
                headers = {**authorization(scene.owner), "If-Match": seen.headers["ETag"]}
                body = {"note": str(number)}
                answer = client.put(f"/api/mysafe/note/update/{identifier}", json=body, headers=headers)
                assert answer.status_code in {200, 412}
                added += answer.status_code == 200
            done.append(added)

    writers = [threading.Thread(target=add_one) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert done == [5] * 4
    after = scene.read("note", identifier)
    assert (after.json()["note_entity"]["note"], after.headers["ETag"]) == ("20", '"21"')


# -- identifier codes ------------------------------------------------------------------------------------------------

TAKEN = "1001: Identifier already found in another API key of this user"


def test_of_fifty_creates_with_one_code_one_succeeds(scene: Scene) -> None:
    answers: list[httpx.Response] = []

    def create() -> None:
        with scene.server.client() as client:
            body = {**BODIES["secretapi"], "identifier_code": "code"}
            answers.append(client.post("/api/mysafe/secretapi", json=body, headers=authorization(scene.owner)))

    writers = [threading.Thread(target=create) for _ in range(50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert sorted(answer.status_code for answer in answers) == [201, *[400] * 49]
    assert {text_of(answer) for answer in answers if answer.status_code == 400} == {TAKEN}


def test_a_code_is_taken_within_one_owner_and_an_item_keeps_its_own(scene: Scene) -> None:
    first = scene.create("secretapi", identifier_code="one")
    second = scene.create("secretapi", identifier_code="ONE")  # exact match: case counts
    assert text_of(scene.update("secretapi", second, {"identifier_code": "one"})) == TAKEN
    assert scene.update("secretapi", first, {"identifier_code": "one", "name": "new"}).status_code == 200
    scene.switch("secretapi", "inactive", first)
    assert text_of(scene.update("secretapi", second, {"identifier_code": "one"})) == TAKEN  # inactive ones count
    assert scene.update("secretapi", first, {"identifier_code": ""}).status_code == 200
    assert scene.update("secretapi", second, {"identifier_code": "one"}).status_code == 200
    body = {**BODIES["secretapi"], "identifier_code": "one"}
    assert scene.server.create(scene.friend, "secretapi", body)


def test_a_refusal_spends_one_number_and_no_more(scene: Scene) -> None:
    scene.create("secretapi", identifier_code="spent")
    before = int(scene.create("secretapi"))
    with scene.server.client() as client:
        body = {**BODIES["secretapi"], "identifier_code": "spent"}
        answer = client.post("/api/mysafe/secretapi", json=body, headers=authorization(scene.owner))
    assert text_of(answer) == TAKEN
    assert before < int(scene.create("secretapi")) <= before + 3  # the group is run twice
    (entry,) = [one for one in scene.server.operate(partial(audit_trail.tail, limit=3)) if one.result == "invalid"]
    assert (entry.action, entry.record_kind, entry.details.name) == (Action.ITEM_CREATE, "api_secret", "n")
