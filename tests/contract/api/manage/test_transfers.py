# SPDX-License-Identifier: Apache-2.0
"""The items of a user who left go to another one: two administrators, nothing of the items shown (R-AZ-07)."""

from functools import partial
from typing import Any

import httpx
import pytest

from mysafe.audit.events import AuditEntry
from mysafe.domain.actions import Action
from mysafe.domain.items import ItemDraft, NoteSecret
from mysafe.domain.secret_text import SecretText
from mysafe.services import audit_trail, items
from mysafe.services.accounts import users
from mysafe.services.authentication import Caller, bearer
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.storage.engine import Unit
from tests.contract.api.manage.scene import API_SECRET, NOTE, PASSWORD, Person, Scene, database
from tests.contract.api.manage.test_history import code
from tests.support.server import FaultyEngine

PATH = "/transfers"
DAY = 86_400
CANARY = "canary-4821"


class Leaving:
    """Somebody who owned items and was disabled, the one who is to have them, and two administrators."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.leaver, self.heir, self.friend = scene.person(), scene.person(), scene.person()
        self.first, self.second = scene.administrator(), scene.administrator()

    def disable(self) -> None:
        self.scene.server.set_user_active(self.leaver.name, is_active=False)

    def ask(self, person: Person | None = None, **changes: str) -> httpx.Response:
        body = {"from": self.leaver.name, "to": self.heir.name, **changes}
        return (person or self.first).ask("POST", PATH, body)

    def requested(self) -> str:
        """Disable the leaver and return the number of a new transfer."""
        self.disable()
        answer = self.ask()
        assert answer.status_code == 201, answer.text
        return str(answer.json()["identifier"])

    def approve(self, number: str, person: Person | None = None) -> httpx.Response:
        return (person or self.second).ask("POST", f"{PATH}/{number}/approve")


@pytest.fixture
def leaving(scene: Scene) -> Leaving:
    return Leaving(scene)


def row(answer: httpx.Response, scene: Scene) -> AuditEntry:
    (entry,) = scene.entries(answer)
    return entry


def test_two_administrators_give_the_items_of_a_leaver_to_somebody_else(leaving: Leaving) -> None:
    leaver, heir, friend = leaving.leaver, leaving.heir, leaving.friend
    sharing = {"users_allowed": [{"username": heir.name}, {"username": friend.name, "can_edit": True}]}
    made = {
        kind: leaver.create(kind, {**body, "name": CANARY, **sharing})
        for kind, body in (("password", PASSWORD), ("note", NOTE), ("secretapi", API_SECRET))
    }
    leaver.update("note", made["note"], {"note": "new content"})
    leaver.switch("password", "inactive", made["password"])
    untouched = friend.create("note", NOTE)
    number = leaving.requested()
    answer = leaving.approve(number)
    body = answer.json()
    assert (body["moved"], body["left"], body["left_items"]) == (3, 0, [])
    assert (body["transfer"]["state"], body["transfer"]["approved_by"]) == ("done", leaving.second.name)
    heir.switch("password", "active", made["password"])  # it was inactive and still is; the owner may
    for kind, identifier in made.items():
        key = "username" if kind == "password" else "name"
        entity = heir.entity(kind, identifier)
        assert entity["users_allowed"] == [{key: friend.name, "can_edit": True}]  # without the new owner
        assert entity["name"] == CANARY
        assert "owner" in [word for one in heir.versions(kind, identifier) for word in one["changed"]]
    assert heir.entity("password", made["password"])["password"] == "old secret"
    assert heir.versions("note", made["note"])[0]["author"] == leaving.second.name
    assert heir.ask("GET", f"/items/note/{made['note']}/versions/1").json()["fields"]["note"] == "old content"
    assert heir.ask("POST", f"/items/note/{made['note']}/versions/1/restore").json()["version"] == 4
    assert friend.entity("note", made["note"])["note"] == "old content"
    assert friend.versions("note", untouched)[0]["version"] == 1


def test_a_former_owner_who_comes_back_has_no_right(leaving: Leaving) -> None:
    identifier = leaving.leaver.create("note", NOTE)
    leaving.approve(leaving.requested())
    leaving.scene.server.set_user_active(leaving.leaver.name, is_active=True)
    back = leaving.scene.of(leaving.leaver.name)
    assert "1006" in back.read("note", identifier).text
    assert code(back.ask("GET", f"/items/note/{identifier}/versions/1")) == (403, "access_denied")
    assert "note" in leaving.heir.entity("note", identifier)


def test_neither_administrator_sees_anything_of_the_items(leaving: Leaving) -> None:
    identifier = leaving.leaver.create("password", {**PASSWORD, "name": CANARY, "password": CANARY, "notes": CANARY})
    number = leaving.requested()
    answers = [leaving.approve(number), leaving.first.ask("GET", PATH), leaving.second.ask("GET", PATH)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.text for answer in answers if CANARY in answer.text] == []
    for person in (leaving.first, leaving.second):
        assert "1006" in person.read("password", identifier).text
        assert code(person.ask("GET", f"/items/password/{identifier}/versions/1")) == (403, "access_denied")
    moved = [entry for entry in leaving.scene.entries(answers[0]) if entry.action is Action.ITEM_TRANSFER]
    assert [entry.details.name for entry in moved] == [""]


def test_each_item_and_the_whole_are_recorded(leaving: Leaving) -> None:
    made = sorted(int(leaving.leaver.create("note", NOTE)) for _ in range(3))
    leaving.disable()
    asked = leaving.ask()
    assert (row(asked, leaving.scene).action, row(asked, leaving.scene).record_kind) == (
        Action.TRANSFER_REQUEST,
        "transfers",
    )
    answer = leaving.approve(asked.json()["identifier"])
    entries = leaving.scene.entries(answer)
    assert [entry.action for entry in entries] == [
        Action.TRANSFER_APPROVE, *[Action.ITEM_TRANSFER] * 3, Action.TRANSFER_FINISH,
    ]  # fmt: skip
    assert [entry.record_id for entry in entries[1:-1]] == made
    assert [(entry.result, entry.new_version) for entry in entries[1:-1]] == [("allowed", 2)] * 3
    assert len({entry.envelope_sha256 for entry in entries[1:-1]}) == 3
    assert {entry.actor_id for entry in entries} == {entries[0].actor_id}


# -- one alone, and others --------------------------------------------------------------------------------------------


def test_one_administrator_alone_moves_nothing(leaving: Leaving) -> None:
    identifier = leaving.leaver.create("note", NOTE)
    number = leaving.requested()
    answer = leaving.approve(number, leaving.first)
    assert code(answer) == (403, "access_denied")
    assert (row(answer, leaving.scene).action, row(answer, leaving.scene).result) == (
        Action.TRANSFER_APPROVE,
        "denied",
    )
    assert "1006" in leaving.heir.read("note", identifier).text
    assert leaving.approve(number).json()["moved"] == 1  # the control: a second one does
    assert leaving.heir.entity("note", identifier)["note"] == "old content"


def test_nobody_who_receives_the_items_may_ask_for_them_or_approve(leaving: Leaving) -> None:
    third = leaving.scene.administrator()
    leaving.leaver.create("note", NOTE)
    leaving.disable()
    assert code(leaving.ask(third, to=third.name)) == (400, "invalid_field")
    number = leaving.ask(to=third.name).json()["identifier"]
    assert code(leaving.approve(number, third)) == (403, "access_denied")
    assert leaving.approve(number).json()["moved"] == 1


@pytest.mark.parametrize("word", ["list", "ask", "approve", "cancel"])
def test_only_administrators_may(leaving: Leaving, word: str) -> None:
    number = leaving.requested()
    leaving.first.ask("POST", f"{PATH}/{number}/cancel")
    number = leaving.ask().json()["identifier"]

    def act(person: Person) -> httpx.Response:
        match word:
            case "list":
                return person.ask("GET", PATH)
            case "ask":
                return leaving.ask(person)
            case _:
                return person.ask("POST", f"{PATH}/{number}/{word}")

    answer = act(leaving.friend)
    assert code(answer) == (403, "access_denied")
    assert row(answer, leaving.scene).result == "denied"
    assert act(leaving.second).status_code in {200, 409}  # 409: another request of these items is open


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"from": "ghost"}, (404, "not_found")),
        ({"to": "ghost"}, (404, "not_found")),
        ({"from": "heir"}, (409, "wrong_state")),
        ({"to": "leaver"}, (409, "wrong_state")),
        ({"note": "x"}, (400, "invalid_field")),
    ],
)
def test_what_cannot_be_is_not_requested(leaving: Leaving, changes: dict[str, str], expected: tuple[int, str]) -> None:
    leaving.disable()
    names = {"heir": leaving.heir.name, "leaver": leaving.leaver.name}
    assert code(leaving.ask(None, **{key: names.get(name, name) for key, name in changes.items()})) == expected
    assert leaving.ask().status_code == 201  # the control


def test_the_items_of_an_active_user_are_not_asked_for(leaving: Leaving) -> None:
    assert code(leaving.ask()) == (409, "wrong_state")


def test_a_second_request_for_the_same_items_waits_for_the_first(leaving: Leaving) -> None:
    number = leaving.requested()
    assert code(leaving.ask(leaving.second)) == (409, "wrong_state")
    assert leaving.first.ask("POST", f"{PATH}/{number}/cancel").json()["state"] == "cancelled"
    assert leaving.ask(leaving.second).status_code == 201


# -- time and state ---------------------------------------------------------------------------------------------------


def test_a_cancelled_transfer_cannot_be_approved(leaving: Leaving) -> None:
    number = leaving.requested()
    assert leaving.second.ask("POST", f"{PATH}/{number}/cancel").json()["state"] == "cancelled"
    assert code(leaving.approve(number)) == (409, "wrong_state")
    assert code(leaving.second.ask("POST", f"{PATH}/{number}/cancel")) == (409, "wrong_state")


def test_a_done_transfer_is_over(leaving: Leaving) -> None:
    number = leaving.requested()
    assert leaving.approve(number).json()["transfer"]["state"] == "done"
    assert code(leaving.approve(number)) == (409, "wrong_state")


@pytest.mark.parametrize("number", ["999999999", "9223372036854775808"])
def test_an_unknown_transfer_is_not_found(leaving: Leaving, number: str) -> None:
    for word in ("approve", "cancel"):
        assert code(leaving.first.ask("POST", f"{PATH}/{number}/{word}")) == (404, "not_found")
    assert code(leaving.first.ask("POST", f"{PATH}/x/approve")) == (400, "bad_identifier")


@pytest.mark.parametrize(("days", "is_good"), [(6.9, True), (7.1, False)])
def test_a_request_is_good_for_a_week(fresh_scene: Scene, days: float, is_good: bool) -> None:
    leaving = Leaving(fresh_scene)
    number = leaving.requested()
    fresh_scene.server.advance_clock(days * DAY)
    answer = leaving.approve(number, fresh_scene.of(leaving.second.name))
    assert answer.status_code == (200 if is_good else 409), answer.text
    listed = fresh_scene.of(leaving.first.name).ask("GET", PATH).json()["transfers"]
    assert [one["state"] for one in listed] == ["done" if is_good else "expired"]


@pytest.mark.parametrize("change", ["leaver is back", "heir is gone", "requester is gone"])
def test_what_changed_since_the_request_stops_the_approval(leaving: Leaving, change: str) -> None:
    identifier = leaving.leaver.create("note", NOTE)
    number = leaving.requested()
    name, is_active = {
        "leaver is back": (leaving.leaver.name, True),
        "heir is gone": (leaving.heir.name, False),
        "requester is gone": (leaving.first.name, False),
    }[change]
    leaving.scene.server.set_user_active(name, is_active=is_active)
    assert code(leaving.approve(number)) == (409, "wrong_state")
    leaving.scene.server.set_user_active(name, is_active=not is_active)
    assert leaving.approve(number).json()["moved"] == 1
    assert leaving.scene.of(leaving.heir.name).entity("note", identifier)["note"] == "old content"


def test_a_transfer_record_that_was_edited_outside_the_vault_moves_nothing(leaving: Leaving) -> None:
    identifier = leaving.leaver.create("note", NOTE)
    number = int(leaving.requested())
    other = Leaving(leaving.scene)
    approved = int(other.requested())
    with database(leaving.scene.server) as connection:
        stolen = connection.execute("SELECT version, dek, meta FROM transfers WHERE id = ?", (approved,))[0]
        connection.execute("UPDATE transfers SET (version, dek, meta) = (?, ?, ?) WHERE id = ?", (*stolen, number))
        assert code(leaving.approve(str(number))) == (500, "unexpected")
        connection.execute("DELETE FROM transfers WHERE id = ?", (number,))  # the other tests list all of them
    assert "1006" in leaving.heir.read("note", identifier).text


# -- what cannot be moved, and what was interrupted -------------------------------------------------------------------


def test_an_item_whose_code_the_new_owner_has_stays_and_is_reported(leaving: Leaving) -> None:
    stays = leaving.leaver.create("secretapi", API_SECRET)
    leaving.leaver.update("secretapi", stays, {"name": "x"})
    moves = leaving.leaver.create("secretapi", {**API_SECRET, "identifier_code": "other"})
    blocking = leaving.heir.create("secretapi", API_SECRET)
    number = leaving.requested()
    answer = leaving.approve(number)
    body = answer.json()
    assert (body["moved"], body["left"], body["transfer"]["state"]) == (1, 1, "approved")
    assert body["left_items"] == [{"kind": "secretapi", "identifier": stays}]
    refused = [entry for entry in leaving.scene.entries(answer) if entry.result != "allowed"]
    assert [(entry.action, entry.result, entry.record_id) for entry in refused] == [
        (Action.ITEM_TRANSFER, "conflict", int(stays))
    ]
    with database(leaving.scene.server) as connection:
        count = "SELECT count(*) FROM item_versions WHERE kind = 'api_secret' AND id = ?"
        assert connection.execute(count, (int(stays),)) == [(1,)]
    assert leaving.heir.entity("secretapi", moves)["identifier_code"] == "other"
    leaving.heir.update("secretapi", blocking, {"identifier_code": ""})
    again = leaving.approve(number).json()
    assert (again["moved"], again["left"], again["transfer"]["state"]) == (1, 0, "done")
    assert leaving.heir.entity("secretapi", stays)["identifier_code"] == "code"


def test_a_damaged_item_stays_and_the_others_move(leaving: Leaving) -> None:
    damaged, whole = leaving.leaver.create("note", NOTE), leaving.leaver.create("note", NOTE)
    with database(leaving.scene.server) as connection:
        connection.execute("UPDATE items SET secret = zeroblob(200) WHERE kind = 'note' AND id = ?", (int(damaged),))
    body = leaving.approve(leaving.requested()).json()
    assert (body["moved"], body["left_items"]) == (1, [{"kind": "note", "identifier": damaged}])
    assert leaving.heir.entity("note", whole)["note"] == "old content"


class DyingEngine(FaultyEngine):
    """An engine that takes a number of units, and then none until it is revived."""

    def __init__(self, engine: Any, units: int) -> None:
        super().__init__(engine)
        self._units = units

    def _fails(self, unit: Unit) -> bool:
        self._units -= 1
        if self._units < 0:
            self.fault = "database-unreachable"
        return super()._fails(unit)


def test_an_interrupted_transfer_goes_on_where_it_stopped(fresh_scene: Scene) -> None:
    leaving = Leaving(fresh_scene)
    server = fresh_scene.server

    def create(uow: UnitOfWork) -> None:
        for number in range(250):
            items.create(uow, ItemDraft("n", "", "", "", NoteSecret(SecretText(f"content {number}"))))

    identify = bearer(SecretText(leaving.leaver.token), Caller("127.0.0.1"))
    server.vault.run(identify, create).result(timeout=20)
    number = leaving.requested()
    owners = "SELECT owner_id, count(*) FROM items GROUP BY owner_id ORDER BY 2"
    server.vault.engine = DyingEngine(server.engine.engine, units=2)  # the approval, and the first hundred
    assert code(leaving.approve(number)) == (502, "database_unreachable")
    server.vault.engine = server.engine
    with database(server) as connection:
        assert [count for _, count in connection.execute(owners)] == [100, 150]
    listed = leaving.first.ask("GET", PATH).json()["transfers"]
    assert [one["state"] for one in listed] == ["approved"]
    assert code(leaving.approve(number, leaving.first)) == (403, "access_denied")  # not even to go on
    body = leaving.approve(number, fresh_scene.administrator()).json()
    assert (body["moved"], body["left"], body["transfer"]["state"]) == (150, 0, "done")
    with database(server) as connection:
        assert [count for _, count in connection.execute(owners)] == [250]
        versions = "SELECT version, count(*) FROM items GROUP BY version"
        assert connection.execute(versions) == [(2, 250)]  # each moved once
    entries = server.operate(partial(audit_trail.tail, limit=10_000))
    moved = [entry.record_id for entry in entries if entry.action is Action.ITEM_TRANSFER]
    assert len(moved) == len(set(moved)) == 250
    listed = [leaving.heir.entity("note", str(one))["note"] for one in sorted(moved)[::50]]
    assert listed == [f"content {number}" for number in range(0, 250, 50)]


def test_a_leaver_who_comes_back_in_the_middle_keeps_the_rest(fresh_scene: Scene) -> None:
    leaving = Leaving(fresh_scene)
    leaving.leaver.create("note", NOTE)
    number = leaving.requested()
    fresh_scene.server.vault.engine = DyingEngine(fresh_scene.server.engine.engine, units=1)  # the approval alone
    assert code(leaving.approve(number)) == (502, "database_unreachable")
    fresh_scene.server.vault.engine = fresh_scene.server.engine
    fresh_scene.server.operate(partial(users.set_active, username=leaving.leaver.name, is_active=True))
    assert code(leaving.approve(number)) == (409, "wrong_state")
    cancelled = leaving.first.ask("POST", f"{PATH}/{number}/cancel")
    assert cancelled.json()["state"] == "cancelled"
