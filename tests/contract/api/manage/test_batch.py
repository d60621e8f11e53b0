# SPDX-License-Identifier: Apache-2.0
"""One call for many items: each has its own result, its own right and its own audit row (R-ITEM-07, R-AZ-05)."""

import threading
from typing import Any

import httpx
import pytest

from mysafe.domain.actions import Action
from mysafe.domain.errors import DatabaseUnreachable
from mysafe.services import items
from tests.contract.api.manage.scene import API_SECRET, NOTE, PASSWORD, Person, Scene, database
from tests.contract.api.manage.test_history import code
from tests.support.server import authorization

PATH = "/items/batch"


def named(kind: str, *identifiers: str) -> list[dict[str, str]]:
    return [{"kind": kind, "identifier": identifier} for identifier in identifiers]


def results(answer: httpx.Response) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(one["status"], one["code"]) for one in answer.json()["results"]]


def shares(owner: Person, kind: str, identifier: str) -> dict[str, bool]:
    key = "username" if kind == "password" else "name"
    return {one[key]: one["can_edit"] for one in owner.entity(kind, identifier)["users_allowed"]}


def test_items_of_all_kinds_are_shared_in_one_call(scene: Scene) -> None:
    owner, friend = scene.person(), scene.person()
    scene.server.ensure_group("Everybody", [])
    items = [(kind, owner.create(kind, body)) for kind, body in (("password", PASSWORD), ("note", NOTE))]
    items.append(("secretapi", owner.create("secretapi", API_SECRET)))
    body = {
        "action": "share",
        "items": [one for kind, identifier in items for one in named(kind, identifier)],
        "users": [{"username": friend.name, "can_edit": True}, {"username": "ghost"}],
        "groups": [{"name": "Everybody"}, {"name": "Nobody"}],
    }
    answer = owner.ask("POST", PATH, body)
    assert results(answer) == [("done", None)] * 3
    assert [(one["kind"], one["identifier"]) for one in answer.json()["results"]] == items
    assert (answer.json()["unshared_users"], answer.json()["unshared_groups"]) == (["ghost"], ["Nobody"])
    for kind, identifier in items:
        assert shares(friend, kind, identifier) == {friend.name: True}
        assert friend.entity(kind, identifier)["groups_allowed"] == [{"name": "Everybody", "can_edit": False}]
        assert owner.versions(kind, identifier)[0]["changed"] == ["sharing"]
    assert results(owner.ask("POST", PATH, body)) == [("unchanged", None)] * 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"users": [{"username": "new"}]}, {"old": True, "new": False}),
        ({"users": [{"username": "old"}]}, {"old": False}),
        ({"users": [{"username": "new"}], "mode": "replace"}, {"new": False}),
        ({"users": [], "mode": "replace"}, {}),
        ({"groups": [], "mode": "replace"}, {"old": True}),
        ({"users": []}, {"old": True}),
    ],
)
def test_shares_are_added_or_replaced(scene: Scene, body: dict[str, Any], expected: dict[str, bool]) -> None:
    for name in ("old", "new"):
        scene.server.ensure_user(name)
    owner = scene.person()
    identifier = owner.create("note", {**NOTE, "users_allowed": [{"username": "old", "can_edit": True}]})
    answer = owner.ask("POST", PATH, {"action": "share", "items": named("note", identifier), **body})
    assert results(answer) == [("unchanged" if expected == {"old": True} else "done", None)]
    assert shares(owner, "note", identifier) == expected


@pytest.mark.parametrize("action", ["share", "deactivate"])
def test_a_refused_item_changes_nothing_and_the_others_are_done(scene: Scene, action: str) -> None:
    owner, other, friend = scene.person(), scene.person(), scene.person()
    mine = [owner.create("note", NOTE) for _ in range(45)]
    viewed = other.create("note", {**NOTE, "users_allowed": [{"username": owner.name}]})
    hidden = other.create("note", NOTE)
    if action == "deactivate":
        owner.switch("note", "inactive", mine[1])
    items = named("note", *mine[:30], viewed, "999999999", hidden, "9223372036854775808", *mine[30:])
    body = {"action": action, "items": items}
    if action == "share":
        body["users"] = [{"username": friend.name}]
    answer = owner.ask("POST", PATH, body)
    found = results(answer)
    assert found[30:34] == [("refused", one) for one in ("access_denied", "not_found", "access_denied", "not_found")]
    done = found[:30] + found[34:]
    assert done.count(("done", None)) == (45 if action == "share" else 44)
    assert found[1] == (("done", None) if action == "share" else ("unchanged", None))
    assert shares(other, "note", viewed) == {owner.name: False}
    assert [one["version"] for one in other.versions("note", viewed) + other.versions("note", hidden)] == [1, 1]
    entries = scene.entries(answer)
    whole, each = entries[0], entries[1:]
    word = Action.ITEM_SHARE if action == "share" else Action.ITEM_DEACTIVATE
    assert (whole.action, whole.result) == (Action.ITEM_BATCH, "allowed")
    assert {entry.action for entry in each} == {word}
    by_item = {entry.record_id: entry.result for entry in each}
    assert by_item == {int(one): "allowed" for one in mine} | {
        int(viewed): "denied", int(hidden): "denied", 999999999: "not_found", 2**63 - 1: "not_found",
    }  # fmt: skip


def test_switching_many_says_what_was_so_before(scene: Scene) -> None:
    owner = scene.person()
    first, second = owner.create("note", NOTE), owner.create("note", NOTE)
    owner.switch("note", "inactive", second)
    items = named("note", first, second)
    answer = owner.ask("POST", PATH, {"action": "activate", "items": items})
    assert results(answer) == [("unchanged", None), ("done", None)]
    answer = owner.ask("POST", PATH, {"action": "deactivate", "items": items})
    assert results(answer) == [("done", None), ("done", None)]
    assert "1009" in owner.read("note", first).text


def test_a_damaged_item_is_refused_and_the_others_are_done(scene: Scene) -> None:
    owner = scene.person()
    first, damaged, last = (owner.create("note", NOTE) for _ in range(3))
    with database(scene.server) as connection:
        connection.execute("UPDATE items SET meta = zeroblob(200) WHERE kind = 'note' AND id = ?", (int(damaged),))
    answer = owner.ask("POST", PATH, {"action": "deactivate", "items": named("note", first, damaged, last)})
    assert results(answer) == [("done", None), ("refused", "unexpected"), ("done", None)]


def test_a_batch_whose_outcome_nobody_knows_is_no_list_of_results(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = scene.person()
    notes = [owner.create("note", NOTE) for _ in range(2)]

    def lose(*arguments: object, **options: object) -> None:
        raise DatabaseUnreachable  # as when the connection goes while it commits

    monkeypatch.setattr(items, "set_active", lose)
    answer = owner.ask("POST", PATH, {"action": "deactivate", "items": named("note", *notes)})
    assert answer.status_code == 502


ONE = [{"kind": "note", "identifier": "1"}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"action": "erase", "items": ONE}, ("invalid_field", "action")),
        ({"items": ONE}, ("missing_field", "action")),
        ({"action": "activate", "items": []}, ("invalid_field", "items")),
        ({"action": "activate", "items": ONE * 501}, ("invalid_field", "items")),
        ({"action": "activate", "items": [{"kind": "folder", "identifier": "1"}]}, ("invalid_field", "kind")),
        ({"action": "activate", "items": [{"kind": "note", "identifier": "x"}]}, ("bad_identifier", None)),
        ({"action": "activate", "items": [{"kind": "note"}]}, ("missing_field", "identifier")),
        ({"action": "share", "items": ONE}, ("missing_field", "users")),
        ({"action": "share", "items": ONE, "users": [{"username": "x" * 256}]}, ("invalid_field", None)),
        ({"action": "share", "items": ONE, "users": [{"username": "x"}] * 101}, ("invalid_field", "users")),
        ({"action": "share", "items": ONE, "users": [], "mode": "remove"}, ("invalid_field", "mode")),
        ({"action": "activate", "items": ONE, "colour": "red"}, ("invalid_field", "colour")),
    ],
)
def test_a_body_that_cannot_be_used_changes_nothing(
    scene: Scene, body: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    answer = scene.person().ask("POST", PATH, body)
    assert code(answer) == (400, expected[0])
    assert expected[1] in (None, answer.json().get("field"))
    (entry,) = scene.entries(answer)
    assert (entry.action, entry.result) == (Action.ITEM_BATCH, "invalid")


def test_without_a_good_token_no_item_is_looked_at(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    scene.server.set_user_active(owner.name, is_active=False)
    answer = owner.ask("POST", PATH, {"action": "deactivate", "items": named("note", identifier)})
    assert code(answer) == (401, "not_authenticated")
    assert [(entry.action, entry.result) for entry in scene.entries(answer)] == [(Action.ITEM_BATCH, "unauthenticated")]


def test_a_batch_and_updates_at_once_lose_nothing(scene: Scene) -> None:
    owner, friend = scene.person(), scene.person()
    identifiers = [owner.create("note", {**NOTE, "note": "0"}) for _ in range(60)]
    statuses: list[int] = []

    def update() -> None:
        with scene.server.client() as client:
            for identifier in identifiers:
                path = f"/api/mysafe/note/update/{identifier}"
                statuses.append(client.put(path, json={"note": "1"}, headers=authorization(owner.token)).status_code)

    writer = threading.Thread(target=update)
    writer.start()
    body = {"action": "share", "items": named("note", *identifiers), "users": [{"username": friend.name}]}
    answer = owner.ask("POST", PATH, body)
    writer.join(timeout=60)
    assert set(statuses) == {200}
    assert results(answer) == [("done", None)] * 60
    for identifier in identifiers:
        assert friend.entity("note", identifier)["note"] == "1"
        assert [one["version"] for one in owner.versions("note", identifier)] == [3, 2, 1]


def test_an_item_that_stands_twice_is_named_and_nothing_is_done(scene: Scene) -> None:
    owner = scene.person()
    first, second = owner.create("password", PASSWORD), owner.create("password", PASSWORD)
    twice = [*named("password", first, second), {"kind": "password", "identifier": int(first)}]
    answer = owner.ask("POST", PATH, {"action": "deactivate", "items": twice})
    document = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert (document["code"], document["field"]) == ("named_twice", "items[2]")
    assert results(owner.ask("POST", PATH, {"action": "activate", "items": named("password", first)})) == [
        ("unchanged", None)
    ]
