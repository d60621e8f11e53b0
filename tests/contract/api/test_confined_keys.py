# SPDX-License-Identifier: Apache-2.0
"""Access keys confined to chosen items: those and nothing else, and never more than their owner may (R-TOK-10)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from mysafe.authz.decide import Decision, decide_on_item
from mysafe.domain.access_keys import MOST_ITEMS_OF_A_KEY, AccessKeyDraft
from mysafe.domain.errors import InvalidField
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.domain.items import ItemDraft, NoteSecret
from mysafe.domain.principals import Actor
from mysafe.domain.secret_text import SecretText
from mysafe.services import audit_trail, items, unit_of_work
from mysafe.services.accounts import access_keys
from mysafe.services.authentication import Caller, bearer
from tests.support.key_owner import KEYS, KeyOwner, pair
from tests.support.server import RunningServer, authorization

NOTE = {"name": "n", "note": "content-canary"}
NO_ACCESS = "1006: User does not have access"


def message(answer: httpx.Response) -> str:
    return str(answer.json()["response"]["message"])


class Scene:
    """An owner with a note in reach of a confined key, and one out of reach."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.owner = KeyOwner(server)
        self.near = server.create(self.owner.token, "note", NOTE)
        self.far = server.create(self.owner.token, "note", NOTE)
        self.made = self.owner.make(items=[chosen("note", self.near)])
        self.path = f"{KEYS}/{self.made['access_key']['id']}"
        self.token = server.token(pair(self.made))

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        with self.server.client() as client:
            return client.request(method, path, json=body, headers=authorization(self.token))

    def listed(self, kind: str = "note") -> list[str]:
        lines = self.call("GET", f"/api/mysafe/{kind}").json()[f"{kind}_on_list"]
        return [line["identifier"] for line in lines]

    def reach(self) -> list[dict[str, str]]:
        return list(self.owner.call("GET", self.path).json()["items"])


def chosen(kind: str, identifier: str) -> dict[str, str]:
    return {"kind": kind, "id": identifier}


@pytest.fixture
def scene(server: RunningServer) -> Scene:
    return Scene(server)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Scene]:
    server = RunningServer(tmp_path)
    yield Scene(server)
    server.close()


def test_a_confined_key_lists_and_reads_its_items_and_no_other(scene: Scene) -> None:
    assert scene.listed() == [scene.near]
    assert scene.server.read(scene.token, scene.near, "note").status_code == 200
    answer = scene.server.read(scene.token, scene.far, "note")
    assert (answer.status_code, message(answer)) == (400, NO_ACCESS)
    assert "canary" not in answer.text
    assert scene.server.read(scene.owner.token, scene.far, "note").status_code == 200


def test_a_decision_that_forgets_the_confinement_would_be_noticed(
    alone: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(actor: Actor, *rest: Any) -> Decision:
        return decide_on_item(replace(actor, items=None), *rest)

    monkeypatch.setattr(unit_of_work, "decide_on_item", forgetful)
    assert alone.server.read(alone.token, alone.far, "note").status_code == 200


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [("PUT", "update", {"note": "new"}), ("POST", "inactive", None), ("POST", "active", None)],
)
def test_a_confined_key_changes_its_items_and_no_other(
    scene: Scene, method: str, action: str, body: dict[str, str] | None
) -> None:
    assert scene.call(method, f"/api/mysafe/note/{action}/{scene.near}", body).status_code == 200
    refused = scene.call(method, f"/api/mysafe/note/{action}/{scene.far}", body)
    assert (refused.status_code, message(refused)) == (400, NO_ACCESS)


def test_the_same_number_of_another_kind_is_another_item(alone: Scene) -> None:
    twin = alone.server.create(alone.owner.token, "password", {"name": "n", "username": "u", "password": "p"})
    assert twin == alone.near
    assert message(alone.server.read(alone.token, twin)) == NO_ACCESS
    assert alone.listed("password") == []


def test_a_confinement_grants_nothing_that_its_owner_has_not_now(scene: Scene) -> None:
    stranger = KeyOwner(scene.server)
    token = stranger.token_of_new(items=[chosen("note", scene.near)])
    assert message(scene.server.read(token, scene.near, "note")) == NO_ACCESS
    share = {"users_allowed": [{"username": stranger.name}]}
    assert scene.call("PUT", f"/api/mysafe/note/update/{scene.near}", share).status_code == 200
    assert scene.server.read(token, scene.near, "note").status_code == 200
    with scene.server.client() as client:
        headers = authorization(token)
        refused = client.put(f"/api/mysafe/note/update/{scene.near}", json={"note": "x"}, headers=headers)
    assert message(refused) == NO_ACCESS
    assert scene.call("PUT", f"/api/mysafe/note/update/{scene.near}", {"users_allowed": []}).status_code == 200
    assert message(scene.server.read(token, scene.near, "note")) == NO_ACCESS


def test_what_a_confined_key_makes_joins_its_list_and_is_recorded_once(scene: Scene) -> None:
    answer = scene.call("POST", "/api/mysafe/note", NOTE)
    made = answer.json()["note_entity"]["identifier"]
    assert scene.listed() == [scene.near, made]
    assert scene.reach() == [chosen("note", scene.near), chosen("note", made)]
    assert scene.owner.audited(answer) == [("item.create", "allowed", int(made))]
    assert scene.server.read(scene.token, made, "note").status_code == 200
    secret = pair(scene.made)
    assert scene.server.token(secret) != scene.token


def test_a_full_key_stays_full_when_it_makes_an_item(scene: Scene) -> None:
    full = scene.owner.make()
    scene.server.create(scene.server.token(pair(full)), "note", NOTE)
    key = scene.owner.call("GET", f"{KEYS}/{full['access_key']['id']}")
    assert (key.json()["items"], key.headers["ETag"]) == (None, '"1"')


def test_items_made_at_the_same_time_all_join(scene: Scene) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: scene.server.create(scene.token, "note", NOTE), range(24)))
    assert scene.listed() == sorted([scene.near, *made], key=int)


def test_an_item_that_is_not_made_does_not_join(alone: Scene) -> None:
    taken = {"name": "n", "url": "u", "client_id": "c", "client_secret": "s", "identifier_code": "code"}
    alone.server.create(alone.owner.token, "secretapi", taken)
    before = alone.owner.call("GET", alone.path).headers["ETag"]
    assert alone.call("POST", "/api/mysafe/secretapi", taken).status_code == 400
    assert alone.owner.call("GET", alone.path).headers["ETag"] == before

    def make_and_fail(uow: Any) -> None:
        items.create(uow, ItemDraft("n", "", "", "", NoteSecret(SecretText("x"))))
        raise RuntimeError("after all")

    done = alone.server.vault.run(bearer(SecretText(alone.token), Caller("127.0.0.1")), make_and_fail)
    assert isinstance(done.exception(timeout=20), RuntimeError)
    assert alone.owner.call("GET", alone.path).headers["ETag"] == before
    assert alone.listed() == [alone.near]


def test_a_confined_key_manages_nothing(scene: Scene) -> None:
    scene.server.make_admin(scene.owner.name)
    scene.token = scene.server.token(pair(scene.made))
    calls = [
        ("GET", KEYS, None), ("GET", KEYS + "?owner=*", None), ("POST", KEYS, {"name": "wider"}),
        ("GET", scene.path, None), ("PATCH", scene.path, {"items": None}), ("POST", scene.path + "/clone", None),
        ("POST", scene.path + "/revoke", None), ("POST", scene.path + "/secret", {"password": "x"}),
        ("POST", scene.path + "/decryption-key", {"password": "x"}),
    ]  # fmt: skip
    for method, path, body in calls:
        answer = scene.call(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "access_denied"), path
    assert scene.call("GET", "/api/manage/me").status_code == 200


@pytest.mark.parametrize(
    "limit",
    [{"addresses": ["127.0.0.0/8"]}, {"expires_at": "2100-01-01T00:00:00Z"}, {"is_encrypting": True}],
    ids=["addresses", "an expiry", "encryption"],
)
def test_a_key_with_a_limit_makes_and_changes_no_other_but_may_revoke(
    server: RunningServer, limit: dict[str, object]
) -> None:
    owner = KeyOwner(server)
    other = f"{KEYS}/{owner.key_id()}"
    limited = KeyOwner(server, owner.name)
    limited.token = (
        server.token(server.new_encrypting_key(owner.name)) if "is_encrypting" in limit else owner.token_of_new(**limit)
    )
    for method, path, body in (("POST", KEYS, {"name": "n"}), ("PATCH", other, {}), ("POST", other + "/clone", None)):
        assert limited.call(method, path, body).status_code == 403
    assert limited.call("GET", other).status_code == 200
    assert limited.call("POST", other + "/revoke").status_code == 200


def test_a_change_of_the_list_counts_at_once(scene: Scene) -> None:
    scene.owner.call("PATCH", scene.path, {"items": [chosen("note", scene.far)]})
    scene.token = scene.server.token(pair(scene.made))
    assert scene.listed() == [scene.far]
    scene.owner.call("PATCH", scene.path, {"items": []})
    scene.token = scene.server.token(pair(scene.made))
    assert scene.listed() == []
    scene.owner.call("PATCH", scene.path, {"items": None})
    scene.token = scene.server.token(pair(scene.made))
    assert scene.listed() == [scene.near, scene.far]


def test_a_list_has_a_longest_length(alone: Scene) -> None:
    refs = frozenset(ItemRef(Kind.NOTE, ItemId(number)) for number in range(1_000, 1_001 + MOST_ITEMS_OF_A_KEY))
    draft = AccessKeyDraft(alone.owner.name, "key", items=refs)
    with pytest.raises(InvalidField):
        alone.server.operate(partial(access_keys.add, draft=draft))
    draft = AccessKeyDraft(alone.owner.name, "key", items=refs - {ItemRef(Kind.NOTE, ItemId(1_000))})
    made = alone.server.operate(partial(access_keys.add, draft=draft))
    alone.token = alone.server.token((made.key.client_id, made.client_secret.reveal()))
    refused = alone.call("POST", "/api/mysafe/note", NOTE)
    assert (refused.status_code, message(refused)) == (400, NO_ACCESS)
    entries = alone.server.operate(lambda uow: audit_trail.tail(uow, 5))
    assert [one.details.reason for one in entries if one.result == "denied"] == [
        "the access key's list of items is full"
    ]
