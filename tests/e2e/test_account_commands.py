# SPDX-License-Identifier: Apache-2.0
"""The commands about users and system groups, as processes, on a vault that is being served."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.test_commands import attempt
from tests.support.process import Installation

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("accounts"))
    installation.start()
    yield installation
    installation.close()


def test_users_are_listed_shown_and_changed(served: Installation) -> None:
    attempt(served, "user", "add", "abe", "--name", "Abe")
    attempt(served, "user", "add", "bob")
    assert attempt(served, "user", "change", "bob", "--name", "Bob", "--email", "bob@example.org") == (
        0,
        "changed the user bob\n",
        "",
    )
    served.token(served.new_key("bob"))
    lines = [json.loads(line) for line in attempt(served, "user", "list", "--json")[1].splitlines()]
    by_name = {line["username"]: line for line in lines}
    assert [by_name["abe"][key] for key in ("name", "is_admin", "status")] == ["Abe", False, "enabled"]
    assert (by_name["abe"]["last_login_at"], by_name["bob"]["last_login_at"] is None) == (None, False)
    shown = json.loads(attempt(served, "user", "show", "BOB", "--json")[1])
    assert shown == by_name["bob"]
    text = attempt(served, "user", "show", "bob")[1]
    assert all(word in text for word in ("bob", "Bob", "<bob@example.org>", "enabled", "items 0"))


def test_the_last_administrator_stays(served: Installation) -> None:
    attempt(served, "user", "add", "ana", "--admin")
    for arguments in (("user", "disable", "ana"), ("user", "change", "ana", "--no-admin")):
        status, out, err = attempt(served, *arguments)
        assert (status, out) == (1, "")
        assert err == "mysafe: this is the last active administrator; make another one first\n"
    attempt(served, "user", "add", "second", "--admin")
    assert attempt(served, "user", "disable", "second")[0] == 0


def test_a_password_comes_from_standard_input_and_ends_tokens(served: Installation) -> None:
    attempt(served, "user", "add", "cid")
    token = served.token(served.new_key("cid"))
    assert served.call("GET", "/api/manage/me", None, token)[0] == 200
    status, out, err = attempt(served, "user", "password", "cid", "--password-stdin", stdin=f"{PASSWORD}\n".encode())
    assert (status, PASSWORD in out + err) == (0, False)
    assert served.call("GET", "/api/manage/me", None, token)[0] == 401
    token = served.token(served.new_key("cid"))
    body = {"current_password": "not this one, surely", "new_password": "another horse battery"}
    assert served.call("POST", "/api/manage/me/password", body, token)[0] == 403
    body["current_password"] = PASSWORD
    assert served.call("POST", "/api/manage/me/password", body, token)[0] == 200


def test_groups_are_made_changed_and_filled(served: Installation) -> None:
    for username in ("dan", "eva"):
        attempt(served, "user", "add", username)
    attempt(served, "group", "add", "Ops", "--member", "dan", "--description", "on call")
    assert attempt(served, "group", "member", "add", "ops", "eva", "dan")[1] == "the group Ops has 2 members\n"
    assert attempt(served, "group", "member", "remove", "Ops", "dan")[1] == "the group Ops has 1 members\n"
    assert attempt(served, "group", "change", "Ops", "--name", "Operations")[1] == "changed the group Operations\n"
    assert attempt(served, "group", "disable", "operations")[1] == "disabled the group Operations\n"
    group = json.loads(attempt(served, "group", "show", "Operations", "--json")[1])
    assert [group[key] for key in ("name", "status", "description")] == ["Operations", "disabled", "on call"]
    assert [(member["username"], member["added_by"]) for member in group["members"]] == [("eva", None)]
    assert attempt(served, "group", "enable", "Operations")[0] == 0
    assert "  eva  added 2" in attempt(served, "group", "show", "Operations")[1]
    assert "Operations" in attempt(served, "group", "list")[1]


def test_the_command_line_does_not_see_private_groups(served: Installation) -> None:
    attempt(served, "user", "add", "fay")
    token = served.token(served.new_key("fay"))
    assert served.call("POST", "/api/manage/private-groups", {"name": "Secret circle"}, token)[0] == 201
    assert "Secret circle" not in attempt(served, "group", "list")[1]
    for command in (("show",), ("disable",), ("member", "add")):
        status, _, err = attempt(served, "group", *command, "Secret circle", *(["fay"] if len(command) > 1 else []))
        assert (status, err) == (1, "mysafe: there is no such group\n")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["user", "show", "nobody"], 1, "there is no such user"),
        (["user", "change", "gus", "--email", "no address"], 2, "email has a form"),
        (["user", "password", "nobody", "--password-stdin"], 1, "there is no such user"),
        (["group", "show", "nothing"], 1, "there is no such group"),
        (["group", "member", "add", "Crew", "nobody"], 1, "there is no such user nobody"),
        (["group", "member", "remove", "Crew", "gus"], 1, "there is no such member gus"),
        (["group", "change", "Crew", "--name", ""], 2, "name must not be empty"),
        (["group", "change", "Crew", "--name", "Taken"], 1, "the name is taken by another group"),
    ],
)
def test_a_refusal_is_one_sentence(arguments: list[str], status: int, sentence: str, served: Installation) -> None:
    attempt(served, "user", "add", "gus")
    for name in ("Crew", "Taken"):
        attempt(served, "group", "add", name)
    ended, out, err = attempt(served, *arguments, stdin=f"{PASSWORD}\n".encode())
    assert (ended, out) == (status, "")
    assert err.startswith(f"mysafe: {sentence}")
    assert err.count("\n") == 1
