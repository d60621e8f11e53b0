# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/users`: administrators look after accounts and see no content; nobody else sees more than names."""

import pytest

from mysafe.audit.events import AuditEntry
from tests.contract.api.test_audit import entries
from tests.support.databases import beside
from tests.support.manage import Person
from tests.support.server import RunningServer

ITEM = {"name": "n", "username": "u", "password": "canary-password-3"}


@pytest.fixture
def admin(server: RunningServer) -> Person:
    return Person(server, is_admin=True)


def user_id(admin: Person, username: str) -> str:
    (found,) = admin.done("GET", f"users?username={username}&limit=1")["users"]
    return str(found["id"])


def test_an_administrator_adds_a_user_who_can_then_be_shared_with(admin: Person) -> None:
    made = admin.done("POST", "users", {"username": "newcomer", "name": "New Comer", "email": "n@example.org"}, 201)
    assert (made["username"], made["name"], made["email"]) == ("newcomer", "New Comer", "n@example.org")
    assert (made["is_admin"], made["status"], made["items"], made["last_login_at"]) == (False, "enabled", 0, None)
    found = Person(admin.server).done("GET", "principals?search=Comer")
    assert [one["username"] for one in found["users"]] == ["newcomer"]
    assert admin.refused("POST", "users", {"username": "NEWCOMER"}) == (409, "conflict", None)


def test_an_administrator_sees_when_a_user_was_last_there_and_how_much_they_own_but_no_content(admin: Person) -> None:
    person = Person(admin.server)
    before = admin.done("GET", f"users/{user_id(admin, person.username)}")
    assert before["last_login_at"] is not None
    admin.server.create(person.token, "password", ITEM)
    admin.server.create(person.token, "note", {"name": "n", "note": "text"})
    answer = admin.ask("GET", f"users/{user_id(admin, person.username)}")
    assert (answer.json()["items"], "canary" in answer.text) == (2, False)


def test_a_call_costs_no_write_to_the_last_login_but_a_token_does(fresh_server: RunningServer) -> None:
    admin, person = Person(fresh_server, is_admin=True), Person(fresh_server)
    path = f"users/{user_id(admin, person.username)}"
    first = admin.done("GET", path)["last_login_at"]
    fresh_server.advance_clock(120)
    fresh_server.create(person.token, "password", ITEM)
    assert admin.done("GET", path)["last_login_at"] == first
    fresh_server.new_token(person.username)
    assert admin.done("GET", path)["last_login_at"] > first


def test_a_refused_token_request_is_no_login(fresh_server: RunningServer) -> None:
    admin, username = Person(fresh_server, is_admin=True), fresh_server.new_actor()
    client_id, _ = fresh_server.new_key(username)
    with fresh_server.client() as client:
        refused = client.post("/api/oauth2/token", auth=(client_id, "wrong"), data={"grant_type": "client_credentials"})
    assert refused.status_code == 401
    assert admin.done("GET", f"users/{user_id(admin, username)}")["last_login_at"] is None


def test_a_list_comes_in_pages_without_gaps_and_repeats(fresh_server: RunningServer) -> None:
    admin = Person(fresh_server, is_admin=True)
    for number in range(7):
        admin.done("POST", "users", {"username": f"member{number}"}, 201)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = admin.done("GET", f"users?username=MEMBER&limit=3&after={after}")
        assert len(page["users"]) <= 3
        seen += [one["username"] for one in page["users"]]
        after = page["next"]
    assert seen == [f"member{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=zOË", ["filter1"]),
        ("email=two@", ["filter2"]),
        ("username=filter&status=disabled", ["filter2"]),
        ("username=filter&status=enabled", ["filter1"]),
        ("username=filter&name=nothing", []),
    ],
)
def test_a_list_is_filtered(fresh_server: RunningServer, query: str, expected: list[str]) -> None:
    admin = Person(fresh_server, is_admin=True)
    admin.done("POST", "users", {"username": "filter1", "name": "Zoë", "email": "one@example.org"}, 201)
    second = admin.done("POST", "users", {"username": "filter2", "email": "two@example.org"}, 201)
    admin.done("POST", f"users/{second['id']}/disable")
    assert [one["username"] for one in admin.done("GET", f"users?{query}")["users"]] == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=501", "limit"), ("after=-1", "after"), ("after=x", "after"), ("status=x", "status")],
)
def test_a_list_that_cannot_be_asked_for_is_refused(admin: Person, query: str, field: str) -> None:
    assert admin.refused("GET", f"users?{query}") == (400, "invalid_field", field)


def test_a_change_names_what_it_changes_and_makes_a_version(admin: Person) -> None:
    made = admin.ask("POST", "users", {"username": f"changed by {admin.username}", "name": "Before", "email": "a@b"})
    path = f"users/{made.json()['id']}"
    assert made.headers["etag"] == '"1"'
    changed = admin.ask("PATCH", path, {"name": "After"})
    assert (changed.json()["name"], changed.json()["email"], changed.headers["etag"]) == ("After", "a@b", '"2"')
    same = admin.ask("PATCH", path, {"name": "After", "is_admin": None})
    assert same.headers["etag"] == '"2"'
    assert admin.ask("PATCH", path, {"name": "X"}, {"If-Match": '"1"'}).status_code == 412
    assert admin.done("GET", path)["name"] == "After"
    assert admin.ask("PATCH", path, {"name": "X"}, {"If-Match": '"2"'}).status_code == 200


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "username"),
        ({"username": " "}, "missing_field", "username"),
        ({"username": "x" * 256}, "too_long", "username"),
        ({"username": "x\ny"}, "invalid_field", "username"),
        ({"username": "x", "name": "a\u0000b"}, "invalid_field", "name"),
        ({"username": "x", "name": "n" * 256}, "too_long", "name"),
        ({"username": "x", "email": "no address"}, "invalid_field", "email"),
        ({"username": "x", "email": "@"}, "invalid_field", "email"),
        ({"username": "x", "password": "an administrator sets none"}, "invalid_field", "password"),
        ({"username": "x", "is_admin": []}, "invalid_field", "is_admin"),
    ],
)
def test_a_user_that_cannot_be_stored_is_refused(admin: Person, body: object, code: str, field: str) -> None:
    assert admin.refused("POST", "users", body) == (400, code, field)


def test_disabling_ends_tokens_at_once_and_enabling_does_not_bring_them_back(admin: Person) -> None:
    person = Person(admin.server)
    path = f"users/{user_id(admin, person.username)}"
    assert admin.done("POST", f"{path}/disable")["status"] == "disabled"
    assert person.ask("GET", "me").status_code == 401
    assert admin.done("POST", f"{path}/disable")["status"] == "disabled"
    assert admin.done("POST", f"{path}/enable")["status"] == "enabled"
    assert person.ask("GET", "me").status_code == 401
    assert admin.server.read(admin.server.new_token(person.username), "999999999").status_code == 400


def test_an_administrator_who_is_demoted_administers_no_longer_with_the_same_token(admin: Person) -> None:
    other = Person(admin.server, is_admin=True)
    assert other.ask("GET", "users").status_code == 200
    admin.done("PATCH", f"users/{user_id(admin, other.username)}", {"is_admin": False})
    assert other.refused("GET", "users") == (403, "access_denied", None)


def test_the_last_active_administrator_can_be_neither_disabled_nor_demoted(fresh_server: RunningServer) -> None:
    admin, second = Person(fresh_server, is_admin=True), Person(fresh_server, is_admin=True)
    own, other = (f"users/{user_id(admin, one.username)}" for one in (admin, second))
    admin.done("POST", f"{other}/disable")
    assert admin.refused("PATCH", own, {"is_admin": False}) == (409, "last_administrator", None)
    assert admin.refused("POST", f"{own}/disable") == (409, "last_administrator", None)
    assert admin.done("GET", own)["is_admin"] is True
    admin.done("POST", f"{other}/enable")  # with another one beside, both work
    assert admin.done("PATCH", own, {"is_admin": False})["is_admin"] is False


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "users"),
        ("POST", "users"),
        ("GET", "users/1"),
        ("PATCH", "users/1"),
        ("POST", "users/1/disable"),
        ("POST", "users/1/enable"),
        ("GET", "groups"),
        ("POST", "groups"),
        ("GET", "groups/1"),
        ("PATCH", "groups/1"),
        ("POST", "groups/1/enable"),
        ("POST", "groups/1/members/add"),
    ],
)
def test_an_ordinary_user_administers_nothing(server: RunningServer, method: str, path: str) -> None:
    person = Person(server)
    bodies = {"users": {"username": "x"}, "groups": {"name": "x"}, "groups/1/members/add": {"usernames": []}}
    sent = bodies.get(path, {"name": "x"}) if method != "GET" else None
    assert person.refused(method, path, sent) == (403, "access_denied", None)


def test_an_unknown_user_is_not_found_and_a_wrong_identifier_is_said(admin: Person) -> None:
    for identifier in ("999999", "9" * 40):
        assert admin.refused("GET", f"users/{identifier}") == (404, "not_found", None)
        assert admin.refused("POST", f"users/{identifier}/disable") == (404, "not_found", None)
    assert admin.refused("GET", "users/zero") == (400, "bad_identifier", None)


def test_every_call_leaves_a_row_with_its_own_action(admin: Person) -> None:
    username = admin.server.new_actor()
    identifier = user_id(admin, username)

    def row(method: str, path: str, body: object = None) -> tuple[str, str, int]:
        request_id = admin.ask(method, path, body).headers["X-Request-Id"]
        (entry,) = [one for one in entries(admin.server) if one.request_id == request_id]
        assert isinstance(entry, AuditEntry)
        return entry.action.value, entry.result.value, entry.record_id

    number = int(identifier)
    assert row("GET", "users") == ("user.list", "allowed", 0)
    assert row("GET", f"users/{number}") == ("user.read", "allowed", number)
    assert row("PATCH", f"users/{number}", {"name": "x"}) == ("user.update", "allowed", number)
    assert row("PATCH", f"users/{number}", {"name": "x"}) == ("user.update", "allowed", number)
    assert row("POST", f"users/{number}/disable") == ("user.disable", "allowed", number)
    assert row("POST", f"users/{number}/enable") == ("user.enable", "allowed", number)
    assert row("POST", "users", {"username": username})[:2] == ("user.create", "conflict")
    assert row("GET", "users/999999") == ("user.read", "not_found", 999999)
    assert row("GET", "principals?search=a") == ("principal.list", "allowed", 0)


def test_a_user_changed_outside_the_vault_is_left_out_of_the_list_and_reported(
    fresh_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    admin, username = Person(fresh_server, is_admin=True), fresh_server.new_actor()
    everybody = {one["username"] for one in admin.done("GET", "users")["users"]}
    identifier = user_id(admin, username)
    with beside(fresh_server.settings) as connection:
        connection.execute("UPDATE users SET meta = zeroblob(200) WHERE id = ?", (int(identifier),))
        assert connection.changes() == 1
    assert {one["username"] for one in admin.done("GET", "users")["users"]} == everybody - {username}
    events = [record.getMessage() for record in caplog.records if record.name == "mysafe.security"]
    assert events == [f"seal broken: users {identifier}"]
