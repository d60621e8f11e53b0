# SPDX-License-Identifier: Apache-2.0
"""The versions of an item: who sees which, what they say, and how an old one comes back (R-ITEM-06, R-AZ-05)."""

import threading
from pathlib import Path

import httpx
import pytest

from mysafe.domain.actions import Action
from tests.contract.api.manage.scene import API_SECRET, NOTE, PASSWORD, Person, Scene, database
from tests.contract.api.test_encryption import opened
from tests.support.server import RunningServer, authorization


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code", ""))


def test_versions_are_listed_newest_first_with_author_time_and_what_changed(scene: Scene) -> None:
    owner, editor = scene.person(), scene.person()
    identifier = owner.create("password", {**PASSWORD, "users_allowed": [{"username": editor.name, "can_edit": True}]})
    editor.update("password", identifier, {"name": "new name", "password": "new secret"})
    owner.update("password", identifier, {"users_allowed": []})
    owner.switch("password", "inactive", identifier)
    owner.switch("password", "active", identifier)
    answer = owner.ask("GET", f"/items/password/{identifier}/versions")
    assert answer.json()["next"] is None
    found = answer.json()["versions"]
    assert [one["version"] for one in found] == [5, 4, 3, 2, 1]
    assert [one["is_current"] for one in found] == [True, False, False, False, False]
    assert [one["author"] for one in found] == [owner.name, owner.name, owner.name, editor.name, owner.name]
    assert [one["name"] for one in found] == ["new name", "new name", "new name", "new name", "old name"]
    assert [one["changed"] for one in found] == [["is_active"], ["is_active"], ["sharing"], ["name", "password"], []]
    assert all(one["at"].endswith("Z") for one in found)
    assert [word for word in ("old secret", "new secret", PASSWORD["secret_key"]) if word in answer.text] == []


def test_an_old_version_shows_what_it_held_and_no_code(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("password", {**PASSWORD, "notes": "old notes"})
    owner.update("password", identifier, {"password": "new secret", "notes": "new notes"})
    answer = owner.ask("GET", f"/items/password/{identifier}/versions/1")
    body = answer.json()
    assert (body["version"], body["is_current"], body["author"]) == (1, False, owner.name)
    assert body["fields"] == {
        "name": "old name", "username": "u", "url": "", "tags": "", "notes": "old notes",
        "password": "old secret", "secret_key": PASSWORD["secret_key"],
    }  # fmt: skip
    current = owner.ask("GET", f"/items/password/{identifier}/versions/2").json()
    assert (current["is_current"], current["fields"]["password"]) == (True, "new secret")


def test_reading_an_old_version_is_recorded_as_a_reading_of_that_version(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    for number in range(3):
        owner.update("note", identifier, {"note": str(number)})
    digests = set()
    for version in (1, 2, 4):
        answer = owner.ask("GET", f"/items/note/{identifier}/versions/{version}")
        (entry,) = scene.entries(answer)
        assert (entry.action, entry.result) == (Action.ITEM_READ_VERSION, "allowed")
        assert (entry.record_kind, entry.record_id, entry.new_version) == ("note", int(identifier), version)
        digests.add(entry.envelope_sha256)
    assert len(digests) == 3
    (entry,) = scene.entries(owner.ask("GET", f"/items/note/{identifier}/versions"))
    assert (entry.action, entry.new_version) == (Action.ITEM_HISTORY, 4)


@pytest.mark.parametrize("kind", ["password", "note", "secretapi"])
def test_a_restored_version_is_a_new_one_and_sharing_and_state_stay(scene: Scene, kind: str) -> None:
    body = {"password": PASSWORD, "note": NOTE, "secretapi": API_SECRET}[kind]
    new = {"password": {"password": "x", "name": "y"}, "note": {"note": "x"}, "secretapi": {"client_secret": "x"}}[kind]
    owner, friend = scene.person(), scene.person()
    identifier = owner.create(kind, body)
    before = owner.entity(kind, identifier)
    owner.update(kind, identifier, {**new, "users_allowed": [{"username": friend.name, "can_edit": True}]})
    owner.switch(kind, "inactive", identifier)
    answer = friend.ask("POST", f"/items/{kind}/{identifier}/versions/1/restore")
    assert (answer.json(), answer.headers["ETag"]) == (
        {"kind": kind, "identifier": identifier, "version": 4},
        '"4"',
    )
    assert owner.read(kind, identifier).status_code == 400  # it is inactive as before
    owner.switch(kind, "active", identifier)
    after = friend.entity(kind, identifier)  # and shared as before
    shares = {"users_allowed", "groups_allowed", "token"}
    assert {key: after[key] for key in after if key not in shares} == {
        key: before[key] for key in before if key not in shares
    }
    versions = owner.versions(kind, identifier)
    assert [one["version"] for one in versions] == [5, 4, 3, 2, 1]
    assert (versions[1]["author"], set(versions[1]["changed"])) == (friend.name, set(new))


def test_restoring_the_current_version_changes_nothing(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    answer = owner.ask("POST", f"/items/note/{identifier}/versions/1/restore")
    assert answer.json()["version"] == 1
    (entry,) = scene.entries(answer)
    assert (entry.action, entry.result, entry.new_version) == (Action.ITEM_RESTORE, "allowed", 1)


def test_a_condition_on_the_version_is_honoured(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    owner.update("note", identifier, {"note": "new"})
    path = f"/items/note/{identifier}/versions/1/restore"
    assert code(owner.ask("POST", path, If_Match='"1"')) == (412, "version_mismatch")
    assert owner.ask("POST", path, If_Match='"2"').json()["version"] == 3


def test_a_code_that_is_taken_by_now_is_not_restored(scene: Scene) -> None:
    owner = scene.person()
    first = owner.create("secretapi", API_SECRET)
    owner.update("secretapi", first, {"identifier_code": ""})
    owner.create("secretapi", API_SECRET)
    assert code(owner.ask("POST", f"/items/secretapi/{first}/versions/1/restore")) == (409, "duplicate_identifier")
    assert [one["version"] for one in owner.versions("secretapi", first)] == [2, 1]


# -- who may ----------------------------------------------------------------------------------------------------------

ROLES = ["owner", "editor", "member", "viewer", "stranger", "administrator"]
MAY = {
    "list": {"owner", "editor", "member", "viewer"},
    "read": {"owner", "editor", "member", "viewer"},
    "restore": {"owner", "editor", "member"},
    "erase": {"owner"},
}


def act(person: Person, action: str, identifier: str) -> httpx.Response:
    path = f"/items/password/{identifier}"
    match action:
        case "list":
            return person.ask("GET", f"{path}/versions")
        case "read":
            return person.ask("GET", f"{path}/versions/1")
        case "restore":
            return person.ask("POST", f"{path}/versions/1/restore")
        case _:
            return person.ask("POST", f"{path}/erase")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", MAY)
def test_each_action_is_for_those_with_the_right_now(scene: Scene, action: str, role: str) -> None:
    people = {name: scene.person() for name in ROLES[:-1]} | {"administrator": scene.administrator()}
    group = f"group of {people['member'].name}"
    scene.server.ensure_group(group, [people["member"].name])
    sharing = {
        "users_allowed": [
            {"username": people["editor"].name, "can_edit": True},
            {"username": people["viewer"].name},
        ],
        "groups_allowed": [{"name": group, "can_edit": True}],
    }
    owner = people["owner"]
    identifier = owner.create("password", {**PASSWORD, **sharing})
    owner.update("password", identifier, {"password": "new"})
    if action == "erase":
        owner.switch("password", "inactive", identifier)
    answer = act(people[role], action, identifier)
    assert answer.status_code == (200 if role in MAY[action] else 403), answer.text
    assert role in MAY[action] or "old" not in answer.text
    (entry,) = scene.entries(answer)
    assert entry.result == ("allowed" if role in MAY[action] else "denied")


def test_the_right_is_that_of_now_not_of_the_time_of_the_version(scene: Scene) -> None:
    owner, former, later = scene.person(), scene.person(), scene.person()
    identifier = owner.create("note", {**NOTE, "users_allowed": [{"username": former.name, "can_edit": True}]})
    assert former.ask("GET", f"/items/note/{identifier}/versions/1").status_code == 200
    owner.update("note", identifier, {"users_allowed": [{"username": later.name}]})
    path = f"/items/note/{identifier}/versions"
    assert [code(former.ask("GET", end)) for end in (path, f"{path}/1")] == [(403, "access_denied")] * 2
    assert later.ask("GET", f"{path}/1").json()["fields"]["note"] == "old content"


def test_the_versions_of_an_inactive_item_are_not_shown(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    owner.switch("note", "inactive", identifier)
    path = f"/items/note/{identifier}/versions"
    assert [code(owner.ask("GET", end)) for end in (path, f"{path}/1")] == [(409, "inactive")] * 2
    assert code(scene.person().ask("GET", path)) == (403, "access_denied")


def test_existence_is_hidden_here_too_where_it_is_hidden(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, compat_hide_existence=True)
    try:
        with server.client() as client:
            scene = Scene(server, client)
            identifier = scene.person().create("note", NOTE)
            stranger = scene.person()
            there, not_there = (
                stranger.ask("GET", f"/items/note/{number}/versions") for number in (identifier, "999999999")
            )
        assert there.status_code == not_there.status_code == 404
        assert there.json() == not_there.json()
    finally:
        server.close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/items/note/999999999/versions", (404, "not_found")),
        ("/items/note/9223372036854775808/versions/1", (404, "not_found")),
        ("/items/note/{}/versions/2", (404, "not_found")),
        ("/items/note/{}/versions/99999999999999999999", (404, "not_found")),
        ("/items/note/{}/versions/0", (400, "bad_identifier")),
        ("/items/note/{}/versions/x", (400, "bad_identifier")),
        ("/items/note/x/versions", (400, "bad_identifier")),
        ("/items/api_secret/1/versions", (400, "invalid_field")),
        ("/items/note/{}/versions?before=x", (400, "bad_identifier")),
        ("/items/note/{}/versions?before=1&before=2", (400, "invalid_field")),
    ],
)
def test_what_is_not_there_or_no_number_is_a_problem(scene: Scene, path: str, expected: tuple[int, str]) -> None:
    owner = scene.person()
    assert code(owner.ask("GET", path.format(owner.create("note", NOTE)))) == expected


def test_sensitive_values_of_old_versions_are_encrypted_for_the_key(scene: Scene) -> None:
    owner = scene.person()
    encrypting = scene.with_token(owner.name, scene.server.token(scene.server.new_encrypting_key(owner.name)))
    identifier = owner.create("password", PASSWORD)
    owner.update("password", identifier, {"password": "new"})
    path = f"/items/password/{identifier}/versions/1"
    assert owner.ask("GET", path).json()["fields"]["password"] == "old secret"
    answer = encrypting.ask("GET", path)
    fields = answer.json()["fields"]
    assert "old secret" not in answer.text
    assert (opened(fields["password"]), opened(fields["secret_key"])) == ("old secret", PASSWORD["secret_key"])
    long_note = owner.create("note", {"name": "n", "note": "x" * 900})
    assert code(encrypting.ask("GET", f"/items/note/{long_note}/versions/1")) == (422, "not_encryptable")


def test_a_long_history_comes_in_pages(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    for number in range(104):
        owner.update("note", identifier, {"note": str(number)})
    path = f"/items/note/{identifier}/versions"
    first = owner.ask("GET", path).json()
    assert [one["version"] for one in first["versions"]] == list(range(105, 4, -1))
    second = owner.ask("GET", f"{path}?before={first['next']}").json()
    assert ([one["version"] for one in second["versions"]], second["next"]) == ([4, 3, 2, 1], None)
    assert owner.ask("GET", f"{path}?before=1").json() == {"versions": [], "next": None}
    assert owner.ask("GET", f"{path}?before=99999999999999999999").json() == first


def test_an_old_version_that_was_changed_outside_the_vault_is_not_shown(scene: Scene) -> None:
    owner = scene.person()
    identifier, other = owner.create("note", NOTE), owner.create("note", {**NOTE, "note": "of another item"})
    for one in (identifier, other):
        owner.update("note", one, {"note": "new"})
    with database(scene.server) as connection:
        connection.execute(
            "UPDATE item_versions SET (dek, meta, secret) = (SELECT dek, meta, secret FROM item_versions"
            " WHERE kind = 'note' AND id = ?) WHERE kind = 'note' AND id = ?",
            (int(other), int(identifier)),
        )
        assert connection.changes() == 1
    path = f"/items/note/{identifier}/versions"
    answers = [owner.ask("GET", path), owner.ask("GET", f"{path}/1"), owner.ask("POST", f"{path}/1/restore")]
    assert [code(answer) for answer in answers] == [(500, "unexpected")] * 3
    assert owner.entity("note", identifier)["note"] == "new"
    assert owner.ask("GET", f"/items/note/{other}/versions/1").status_code == 200


def test_restores_and_updates_at_once_lose_no_version(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    statuses: list[int] = []

    def write(number: int) -> None:
        with scene.server.client() as client:
            for turn in range(10):
                path = f"/api/mysafe/note/update/{identifier}"
                body: dict[str, str] | None = {"note": f"{number} {turn}"}
                if number % 2:
                    path, body = f"/api/manage/items/note/{identifier}/versions/1/restore", None
                answer = client.post(path, json=body, headers=authorization(owner.token))
                statuses.append(answer.status_code)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert set(statuses) == {200}
    versions = owner.versions("note", identifier)
    made = [one["version"] for one in versions]
    assert made == list(range(made[0], 0, -1))
    assert 21 < made[0] <= 41  # a restore right after the first version has nothing to do


# -- how long versions are kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 30])
def test_versions_replaced_long_ago_go_with_the_next_change(tmp_path: Path, days: int) -> None:
    server = RunningServer(tmp_path, items_versions_kept_days=days)
    try:
        with server.client() as client:
            scene = Scene(server, client)
            name = server.new_actor()
            identifier = scene.of(name).create("note", NOTE)
            for number in range(2):
                server.advance_clock(20 * 86_400)
                scene.of(name).update("note", identifier, {"note": f"{number}"})
            server.advance_clock(20 * 86_400)
            answer = scene.of(name).update("note", identifier, {"note": "last"})
            kept = [one["version"] for one in scene.of(name).versions("note", identifier)]
            actions = [entry.action for entry in scene.entries(answer)]
        # Version 1 was replaced 40 days ago, version 2 20 days ago, version 3 just now.
        assert kept == ([4, 3, 2] if days else [4, 3, 2, 1])
        assert actions == [Action.ITEM_UPDATE] + ([Action.ITEM_PRUNE] if days else [])
    finally:
        server.close()


def test_the_audit_log_says_which_version_was_restored(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    for text in ("second", "third"):
        owner.update("note", identifier, {**NOTE, "note": text})
    said = []
    for version in (2, 1, 5):  # the last one is the current one by then: nothing changes, and that is recorded, too
        answer = owner.ask("POST", f"/items/note/{identifier}/versions/{version}/restore")
        assert answer.status_code == 200
        rows = scene.entries(answer)
        said += [(row.action, row.result, row.details.reason, row.new_version) for row in rows]
    assert said == [
        ("item.restore", "allowed", "version 2", 4),
        ("item.restore", "allowed", "version 1", 5),
        ("item.restore", "allowed", "version 5", 5),
    ]
