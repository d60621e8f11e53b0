# SPDX-License-Identifier: Apache-2.0
"""What went in comes out again: to the owner, to whom it is shared with, and to nobody else."""

import re
import time

import pytest

from mysafe.crypto.totp import totp_code
from mysafe.domain.secret_text import SecretText
from tests.support.server import RunningServer, authorization

SEED = "JBSWY3DPEHPK3PXP"
BODY = {
    "name": "senseg account",
    "username": "npass",
    "password": "8jhfy@3789",
    "url": "www.Segura.com",
    "secret_key": SEED,
    "notes": "Access details",
    "tags": "tag1, tag2",
}
NO_ACCESS = "1006: User does not have access"


def message(answer: object) -> str:
    return str(answer.json()["response"]["message"])  # type: ignore[attr-defined]


def listed(server: RunningServer, token: str, **query: str) -> list[dict[str, object]]:
    with server.client() as client:
        answer = client.get("/api/mysafe/password", params=query, headers=authorization(token))
    assert answer.status_code == 200
    return list(answer.json()["password_on_list"])


def shared(server: RunningServer, **sharing: object) -> tuple[str, str]:
    """Return an owner's token and the identifier of an item shared as given."""
    token = server.new_token(server.new_actor())
    return token, server.create(token, "password", {**BODY, **sharing})


def test_the_owner_reads_back_what_was_sent_and_the_current_code(server: RunningServer) -> None:
    token, identifier = shared(server)
    before = time.time()
    entity = server.read(token, identifier).json()["password_entity"]
    codes = {totp_code(SecretText(SEED), int(at)).reveal() for at in (before, time.time())}
    assert entity["token"] in codes
    assert re.fullmatch("[0-9]{6}", entity["token"])
    assert {key: entity[key] for key in BODY} == BODY


def test_a_user_it_is_shared_with_reads_it_and_sees_whether_it_may_be_changed(server: RunningServer) -> None:
    viewer, editor = server.new_actor(), server.new_actor()
    _, identifier = shared(server, users_allowed=[{"username": viewer}, {"username": editor, "can_edit": True}])
    for username, can_write in ((viewer, False), (editor, True)):
        token = server.new_token(username)
        assert server.read(token, identifier).json()["password_entity"]["password"] == BODY["password"]
        assert [(line["identifier"], line["can_write"]) for line in listed(server, token)] == [(identifier, can_write)]


def test_a_member_of_a_group_it_is_shared_with_reads_it(server: RunningServer) -> None:
    member, outsider = server.new_actor(), server.new_actor()
    server.ensure_group(f"group of {member}", [member])
    _, identifier = shared(server, groups_allowed=[{"name": f"group of {member}", "can_edit": True}])
    token = server.new_token(member)
    assert server.read(token, identifier).json()["password_entity"]["groups_allowed"] == [
        {"name": f"group of {member}", "can_edit": True}
    ]
    assert [line["can_write"] for line in listed(server, token)] == [True]
    assert message(server.read(server.new_token(outsider), identifier)) == NO_ACCESS


def test_nobody_else_reads_or_lists_it(server: RunningServer) -> None:
    _, identifier = shared(server, users_allowed=[{"username": server.new_actor()}])
    stranger = server.new_token(server.new_actor())
    answer = server.read(stranger, identifier)
    assert (answer.status_code, message(answer)) == (400, NO_ACCESS)
    assert "senseg" not in answer.text
    assert listed(server, stranger) == []


def test_a_name_that_cannot_be_shared_with_is_reported_and_the_rest_is_saved(server: RunningServer) -> None:
    friend, disabled, owner = server.new_actor(), server.new_actor(), server.new_actor()
    server.set_user_active(disabled, is_active=False)
    body = {
        **BODY,
        "users_allowed": [
            {"username": "ghost"}, {"username": disabled}, {"username": friend, "can_edit": "1"},
            {"username": owner}, {"can_edit": True},
        ],
        "groups_allowed": [{"name": "no such group"}],
    }  # fmt: skip
    token = server.new_token(owner)
    with server.client() as client:
        answer = client.post("/api/mysafe/password", json=body, headers=authorization(token))
    entity = answer.json()["password_entity"]
    assert answer.status_code == 201
    assert entity["users_allowed"] == [{"username": friend, "can_edit": True}]
    assert entity["groups_allowed"] == []
    assert entity["shared_error"][:2] == [
        {"username": "ghost", "message": "User not found"},
        {"username": disabled, "message": "User not found"},
    ]
    assert entity["shared_error"][-1] == {"name": "no such group", "message": "Group not found"}
    assert len(entity["shared_error"]) == 4  # the entry without a name is the fourth; the owner is none


def test_the_last_of_two_rights_for_one_user_counts(server: RunningServer) -> None:
    friend = server.new_actor()
    token, identifier = shared(
        server, users_allowed=[{"username": friend, "can_edit": True}, {"username": friend.upper(), "can_edit": "no"}]
    )
    assert server.read(token, identifier).json()["password_entity"]["users_allowed"] == [
        {"username": friend, "can_edit": False}
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["One", "Two", "Three"]),
        ({"name": "oNE"}, ["One"]),
        ({"tag": " B "}, ["One", "Two"]),
        ({"tag": "b c"}, []),
        ({"username": "ANNA", "tag": "b"}, ["Two"]),
        ({"url": "HTTPS://THREE.example"}, ["Three"]),
        ({"name": "", "unknown": "x"}, ["One", "Two", "Three"]),
        ({"name": "On"}, []),
    ],
)
def test_filters_compare_whole_values_without_case(
    server: RunningServer, query: dict[str, str], names: list[str]
) -> None:
    token = server.new_token(server.new_actor())
    for name, username, url, tags in (
        ("One", "bert", "", "a, b"),
        ("Two", "anna", "", "B"),
        ("Three", "anna", "https://three.example", "b c d"),
    ):
        server.create(token, "password", {**BODY, "name": name, "username": username, "url": url, "tags": tags})
    assert [line["name"] for line in listed(server, token, **query)] == names


def test_a_filter_given_twice_is_refused(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    with server.client() as client:
        answer = client.get("/api/mysafe/password?name=a&name=b", headers=authorization(token))
    assert (answer.status_code, message(answer)) == (400, "1001: Parameter 'name' is invalid!")


def test_a_token_dies_with_its_hour(fresh_server: RunningServer) -> None:
    token, identifier = shared(fresh_server)
    fresh_server.advance_clock(3598)
    assert fresh_server.read(token, identifier).status_code == 200
    fresh_server.advance_clock(3)
    assert fresh_server.read(token, identifier).status_code == 401


def test_a_token_dies_at_once_with_its_user_and_stays_dead(server: RunningServer) -> None:
    owner = server.new_actor()
    token = server.new_token(owner)
    assert listed(server, token) == []
    server.set_user_active(owner, is_active=False)
    assert server.read(token, "1").status_code == 401
    server.set_user_active(owner, is_active=True)
    assert server.read(token, "1").status_code == 401


def test_a_key_of_a_disabled_user_gets_no_token(server: RunningServer) -> None:
    owner = server.new_actor()
    client_id, secret = server.new_key(owner)
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    with server.client() as client:
        assert client.post("/api/oauth2/token", data=form).status_code == 200
        server.set_user_active(owner, is_active=False)
        assert client.post("/api/oauth2/token", data=form).json()["error"] == "invalid_client"


def test_outside_its_addresses_a_key_gets_no_token_and_a_token_no_answer(server: RunningServer) -> None:
    key = server.new_key(server.new_actor(), addresses=["127.0.0.1", "::1"])
    token = server.token(key)
    assert server.read(token, "999999999").status_code == 400
    server.set_addresses(key[0], ["127.0.0.8/29"])
    assert server.read(server.token(key, "127.0.0.9"), "999999999").status_code == 403
    form = {"grant_type": "client_credentials", "client_id": key[0], "client_secret": key[1]}
    with server.client() as client:
        assert client.post("/api/oauth2/token", data=form).status_code == 401


def test_a_key_with_referers_is_forbidden_without_one_of_them(server: RunningServer) -> None:
    token = server.token(server.new_key(server.new_actor(), referers=["https://portal.example/"]))
    with server.client() as client:
        good = client.get(
            "/api/mysafe/password", headers={**authorization(token), "Referer": "https://portal.example/"}
        )
        bad = client.get("/api/mysafe/password", headers=authorization(token))
    assert (good.status_code, bad.status_code) == (200, 403)


def test_identifiers_ascend(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    made = [int(server.create(token, "password", BODY)) for _ in range(5)]
    assert made == sorted(set(made))


def test_existence_can_be_hidden(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = RunningServer(tmp_path_factory.mktemp("hidden"), compat_hide_existence=True)
    try:
        _, identifier = shared(server)
        stranger = server.new_token(server.new_actor())
        assert message(server.read(stranger, identifier)) == "1005: Password not found"
        assert message(server.read(stranger, "999999999")) == "1005: Password not found"
    finally:
        server.close()


def test_compatibility_switches_change_what_they_say(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = RunningServer(
        tmp_path_factory.mktemp("switches"),
        compat_mensagem=True,
        compat_unauthenticated_status=404,
        compat_list_inactive=True,
    )
    try:
        token, identifier = shared(server)
        server.deactivate(token, "password", identifier)
        assert [line["identifier"] for line in listed(server, token)] == [identifier]
        answer = server.read(token, identifier)
        assert answer.json()["response"]["mensagem"] == "1009: Inactive password"
        refused = server.read("not-a-token", identifier)
        assert refused.status_code == 404
        assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    finally:
        server.close()


def test_an_inactive_item_says_so_only_to_those_with_access(server: RunningServer) -> None:
    token, identifier = shared(server)
    server.deactivate(token, "password", identifier)
    assert message(server.read(token, identifier)) == "1009: Inactive password"
    assert message(server.read(server.new_token(server.new_actor()), identifier)) == NO_ACCESS
    assert listed(server, token) == []


def test_a_number_too_large_for_storage_is_not_found(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    for identifier in ("9223372036854775807", "9223372036854775808", "9" * 60):
        assert message(server.read(token, identifier)) == "1005: Password not found"


@pytest.mark.parametrize("identifier", ["0", "01", "-1", "1.0", "1e3", "abc", "+1", "0x1", "update"])
def test_what_is_no_positive_number_is_an_unexpected_identifier(server: RunningServer, identifier: str) -> None:
    token = server.new_token(server.new_actor())
    assert message(server.read(token, identifier)) == "1010: Unexpected identifier type"


def test_a_filter_is_any_text_and_a_query_of_separators_is_none(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    server.create(token, "note", {"name": "\ufffd", "note": "n"})
    with server.client() as client:
        headers = authorization(token)
        found = client.get("/api/mysafe/note?name=%EF%BF%BD", headers=headers)
        assert [line["name"] for line in found.json()["note_on_list"]] == ["\ufffd"]
        assert client.get("/api/mysafe/note?" + "&" * 2000, headers=headers).status_code == 200
        broken = client.get("/api/mysafe/note?name=%FF", headers=headers)
    assert broken.json()["response"]["message"] == "1001: Parameter 'name' is invalid!"
