# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/groups` and `/api/manage/private-groups`: the one for administrators, the other for its owner alone."""

import pytest

from tests.contract.api.test_audit import entries
from tests.support.manage import Person
from tests.support.server import RunningServer

PRIVATE, SYSTEM = "private-groups", "groups"


@pytest.fixture
def admin(server: RunningServer) -> Person:
    return Person(server, is_admin=True)


def made(person: Person, path: str, **body: object) -> str:
    body.setdefault("name", f"group of {person.username}")
    return f"{path}/{person.done('POST', path, body, 201)['id']}"


@pytest.fixture(params=[SYSTEM, PRIVATE])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_group_is_made_changed_and_read_with_its_members(admin: Person, path: str) -> None:
    first, second = (admin.server.new_actor() for _ in range(2))
    one = made(admin, path, name=f"{path} before {first}", description="two\nlines", usernames=[second, first])
    assert admin.done("PATCH", one, {"name": f"{path} after {first}"})["description"] == "two\nlines"
    group = admin.done("GET", one)
    assert (group["name"], group["status"]) == (f"{path} after {first}", "enabled")
    assert group["owner"] == (admin.username if path == PRIVATE else None)
    assert group["kind"] == ("private" if path == PRIVATE else "system")
    assert [member["username"] for member in group["members"]] == [first, second]
    assert {member["added_by"] for member in group["members"]} == {admin.username}
    assert all(member["added_at"].endswith("Z") for member in group["members"])
    assert group["member_count"] == 2


def test_members_come_and_go_and_who_stays_was_added_as_before(fresh_server: RunningServer, path: str) -> None:
    admin = Person(fresh_server, is_admin=True)
    first, second = (fresh_server.new_actor() for _ in range(2))
    one = made(admin, path, usernames=[first])
    before = admin.done("GET", one)["members"]
    fresh_server.advance_clock(60)
    after = admin.done("POST", f"{one}/members/add", {"usernames": [second, first.upper()]})["members"]
    assert after[0] == before[0]
    assert (after[1]["username"], after[1]["added_at"] > after[0]["added_at"]) == (second, True)
    left = admin.done("POST", f"{one}/members/remove", {"usernames": [first]})["members"]
    assert [member["username"] for member in left] == [second]


def test_a_disabled_user_cannot_join_but_can_be_removed(admin: Person, path: str) -> None:
    leaver = admin.server.new_actor()
    one = made(admin, path, name=f"{path} of {leaver}", usernames=[leaver])
    admin.server.set_user_active(leaver, is_active=False)
    assert admin.done("POST", f"{one}/members/remove", {"usernames": [leaver]})["members"] == []
    for name in (leaver, "ghost"):
        problem = admin.refused("POST", f"{one}/members/add", {"usernames": [admin.username, name]})
        assert problem == (400, "unknown_member", "usernames[1]")
    assert admin.done("GET", one)["members"] == []
    assert admin.refused("POST", f"{one}/members/remove", {"usernames": [leaver]})[1] == "unknown_member"


def test_a_change_at_another_version_is_refused(admin: Person, path: str) -> None:
    one = made(admin, path, name=f"{path} at a version {admin.username}")
    assert admin.ask("GET", one).headers["etag"] == '"1"'
    assert admin.ask("PATCH", one, {"description": "x"}, {"If-Match": '"1"'}).headers["etag"] == '"2"'
    assert admin.ask("PATCH", one, {"description": "y"}, {"If-Match": '"1"'}).status_code == 412
    assert admin.ask("PATCH", one, {"description": "x"}).headers["etag"] == '"2"'
    assert admin.done("GET", one)["description"] == "x"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "name"),
        ({"name": ""}, "missing_field", "name"),
        ({"name": "n" * 256}, "too_long", "name"),
        ({"name": "a\u202eb"}, "invalid_field", "name"),
        ({"name": "n", "description": "d" * 1001}, "too_long", "description"),
        ({"name": "n", "description": "\u0007"}, "invalid_field", "description"),
        ({"name": "n", "usernames": "x"}, "invalid_field", "usernames"),
        ({"name": "n", "usernames": ["x"] * 101}, "too_long", "usernames"),
        ({"name": "n", "owner": "x"}, "invalid_field", "owner"),
    ],
)
def test_a_group_that_cannot_be_stored_is_refused(
    admin: Person, path: str, body: object, code: str, field: str
) -> None:
    assert admin.refused("POST", path, body) == (400, code, field)


def test_whether_members_see_it_is_a_setting_of_private_groups_only(admin: Person) -> None:
    body = {"name": f"visible {admin.username}", "are_members_visible": True}
    assert admin.refused("POST", SYSTEM, body) == (400, "invalid_field", "are_members_visible")
    assert admin.done("POST", PRIVATE, body, 201)["are_members_visible"] is True


def test_a_name_is_unique_per_owner_and_for_system_groups_in_all(admin: Person) -> None:
    other = Person(admin.server, is_admin=True)
    name = f"The Team {admin.username}"
    for person, path, status in (
        (admin, SYSTEM, 201),
        (other, SYSTEM, 409),
        (admin, PRIVATE, 201),
        (admin, PRIVATE, 409),
        (other, PRIVATE, 201),
    ):
        answer = person.ask("POST", path, {"name": name.upper() if status == 409 else name})
        assert answer.status_code == status
    second = made(admin, PRIVATE, name=f"{name} 2")
    assert admin.refused("PATCH", second, {"name": name}) == (409, "conflict", None)


def test_groups_are_listed_in_pages_without_their_members(fresh_server: RunningServer, path: str) -> None:
    admin, member = Person(fresh_server, is_admin=True), fresh_server.new_actor()
    for number in range(5):
        made(admin, path, name=f"group {number}", usernames=[member])
    made(Person(fresh_server), PRIVATE, name="of somebody else")
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = admin.done("GET", f"{path}?limit=2&after={after}")
        assert all("members" not in group and group["member_count"] == 1 for group in page["groups"])
        seen += [group["name"] for group in page["groups"]]
        after = page["next"]
    assert seen == [f"group {number}" for number in range(5)]


CHANGES: list[tuple[str, str, object]] = [
    ("PATCH", "", {"name": "taken over"}),
    ("POST", "/disable", None),
    ("POST", "/enable", None),
    ("POST", "/members/add", {"usernames": []}),
    ("POST", "/members/remove", {"usernames": []}),
]


@pytest.mark.parametrize(("method", "end", "body"), CHANGES)
def test_only_its_owner_changes_a_private_group(server: RunningServer, method: str, end: str, body: object) -> None:
    owner, member, admin, stranger = Person(server), Person(server), Person(server, is_admin=True), Person(server)
    one = made(owner, PRIVATE, are_members_visible=True, usernames=[member.username])
    assert member.refused(method, one + end, body) == (403, "access_denied", None)
    for person in (admin, stranger):
        assert person.refused(method, one + end, body) == (404, "not_found", None)
    as_system = one.replace(PRIVATE, SYSTEM)
    assert admin.refused(method, as_system + end, body) == (404, "not_found", None)
    assert owner.ask(method, one + end, body).status_code == 200


@pytest.mark.parametrize("are_members_visible", [True, False])
def test_members_see_a_private_group_if_it_lets_them(server: RunningServer, are_members_visible: bool) -> None:
    owner, member, stranger, admin = Person(server), Person(server), Person(server), Person(server, is_admin=True)
    one = made(owner, PRIVATE, are_members_visible=are_members_visible, usernames=[member.username])
    assert member.ask("GET", one).status_code == (200 if are_members_visible else 404)
    assert len(member.done("GET", PRIVATE)["groups"]) == (1 if are_members_visible else 0)
    for person in (stranger, admin):
        assert person.refused("GET", one) == (404, "not_found", None)
        assert person.done("GET", PRIVATE)["groups"] == []
    assert owner.ask("GET", one).status_code == 200
    assert [group["name"] for group in owner.done("GET", PRIVATE)["groups"]] == [f"group of {owner.username}"]


def test_a_system_group_is_not_a_private_one_of_its_administrator(admin: Person) -> None:
    one = made(admin, SYSTEM, name=f"not private {admin.username}")
    assert admin.refused("GET", one.replace(SYSTEM, PRIVATE)) == (404, "not_found", None)
    assert admin.done("GET", PRIVATE)["groups"] == []


def test_an_administrator_does_not_let_themselves_in_on_what_a_system_group_is_given(admin: Person) -> None:
    name = f"not for administrators {admin.username}"
    body = {"name": name, "usernames": [admin.username]}
    assert admin.refused("POST", SYSTEM, body) == (403, "access_denied", None)
    one = made(admin, SYSTEM, name=name, usernames=[admin.server.new_actor()])
    assert admin.refused("POST", f"{one}/members/add", {"usernames": [admin.username]}) == (403, "access_denied", None)
    assert admin.done("GET", one)["member_count"] == 1


def test_a_group_is_not_removed(admin: Person, path: str) -> None:
    one = made(admin, path, name=f"{path} for ever {admin.username}")
    assert admin.ask("DELETE", one).status_code == 404
    assert admin.done("GET", one)["status"] == "enabled"


def test_every_call_leaves_a_row_with_its_own_action(admin: Person, path: str) -> None:
    username = admin.server.new_actor()
    one = made(admin, path, name=f"{path} recorded {username}")
    word = "group" if path == SYSTEM else "private_group"

    def row(method: str, end: str, body: object = None) -> tuple[str, str, str]:
        request_id = admin.ask(method, end, body).headers["X-Request-Id"]
        (entry,) = [one for one in entries(admin.server) if one.request_id == request_id]
        return entry.action.value.removeprefix(f"{word}."), entry.result.value, entry.details.name

    name = f"{path} recorded {username}"
    assert row("GET", path) == ("list", "allowed", "")
    assert row("GET", one) == ("read", "allowed", name)
    assert row("PATCH", one, {"description": "x"}) == ("update", "allowed", name)
    assert row("POST", f"{one}/disable") == ("disable", "allowed", name)
    assert row("POST", f"{one}/enable") == ("enable", "allowed", name)
    assert row("POST", f"{one}/enable") == ("enable", "allowed", name)
    names = {"usernames": [username]}
    assert row("POST", f"{one}/members/add", names) == ("add_member", "allowed", f"{name}: {username}")
    assert row("POST", f"{one}/members/remove", names) == ("remove_member", "allowed", f"{name}: {username}")
    assert row("POST", f"{one}/members/remove", names) == ("remove_member", "not_found", name)
    assert row("POST", path, {"name": name}) == ("create", "conflict", name)
