# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/me/password`: only the person with the old password sets a new one (R-AUTH-12, R-TOK-05)."""

from functools import partial

import pytest

from mysafe.crypto.password_hash import verify_password
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts import passwords
from mysafe.services.accounts.reauthentication import MOST_WRONG_TRIES, WINDOW_SECONDS, WrongTries
from mysafe.services.authentication import Caller, bearer
from mysafe.services.unit_of_work import UnitOfWork
from tests.contract.api.test_audit import entries
from tests.support.manage import Person, set_password
from tests.support.server import RunningServer

OLD, NEW = "correct horse battery", "another horse, another battery"


def person_with_password(server: RunningServer) -> Person:
    person = Person(server)
    set_password(server, person.username, OLD)
    person.token = server.new_token(person.username)  # the one before died with the reset
    return person


def is_password(person: Person, password: str) -> bool:
    read = person.server.vault.run(bearer(SecretText(person.token), Caller("127.0.0.1")), passwords.read_hash)
    stored = read.result(timeout=20).stored
    assert stored is not None
    return verify_password(stored.reveal(), SecretText(password))


def test_a_person_changes_their_password_and_every_token_ends(server: RunningServer) -> None:
    person = person_with_password(server)
    other_token = server.new_token(person.username)
    body = {"current_password": OLD, "new_password": NEW}
    assert person.done("POST", "me/password", body) == {"username": person.username}
    assert person.ask("GET", "me").status_code == 401
    assert server.read(other_token, "1").status_code == 401
    person.token = server.new_token(person.username)
    assert (is_password(person, NEW), is_password(person, OLD)) == (True, False)
    assert person.done("POST", "me/password", {"current_password": NEW, "new_password": OLD})


def test_a_wrong_password_changes_nothing_and_is_recorded_without_it(server: RunningServer) -> None:
    person = person_with_password(server)
    wrong = {"current_password": "canary, a wrong password", "new_password": NEW}
    answer = person.ask("POST", "me/password", wrong)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert person.ask("GET", "me").status_code == 200
    assert is_password(person, OLD)
    rows = [entry for entry in entries(server) if entry.request_id == answer.headers["X-Request-Id"]]
    assert [(row.action.value, row.result.value) for row in rows] == [("account.secure", "denied")]
    assert "canary" not in repr(rows)


def test_the_sixth_wrong_password_is_not_even_compared_and_a_right_one_has_to_wait_too(server: RunningServer) -> None:
    person = person_with_password(server)
    wrong = {"current_password": "a wrong password of some length", "new_password": NEW}
    for _ in range(MOST_WRONG_TRIES):
        assert person.refused("POST", "me/password", wrong) == (403, "wrong_password", None)
    for body in (wrong, {"current_password": OLD, "new_password": NEW}):
        answer = person.ask("POST", "me/password", body)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
        assert 1 <= int(answer.headers["Retry-After"]) <= WINDOW_SECONDS
    assert is_password(person, OLD)
    another = person_with_password(server)
    assert another.done("POST", "me/password", {"current_password": OLD, "new_password": NEW})


def test_a_user_without_a_password_cannot_make_one_with_a_token(server: RunningServer) -> None:
    body = {"current_password": "", "new_password": NEW}
    assert Person(server).refused("POST", "me/password", body) == (403, "wrong_password", None)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"current_password": OLD}, (400, "missing_field", "new_password")),
        ({"current_password": OLD, "new_password": "canary, short"}, (400, "too_short", "password")),
        ({"current_password": OLD, "new_password": "canary" * 200}, (400, "too_long", "password")),
        ({"current_password": OLD, "new_password": ["canary"]}, (400, "invalid_field", "new_password")),
        ({"current_password": OLD, "new_password": None}, (400, "invalid_field", "new_password")),
        ({"current_password": OLD, "new_password": NEW, "username": "canary"}, (400, "invalid_field", "username")),
    ],
)
def test_a_password_that_cannot_be_one_is_refused_without_being_repeated(
    server: RunningServer, body: object, problem: tuple[int, str, str]
) -> None:
    person = Person(server)
    assert person.refused("POST", "me/password", body) == problem
    assert "canary" not in person.ask("POST", "me/password", body).text


def test_a_password_changed_meanwhile_is_not_overwritten(server: RunningServer) -> None:
    person = person_with_password(server)
    change = passwords.PasswordChange(SecretText(OLD), SecretText(NEW))

    def run(work: object) -> object:
        return person.server.vault.run(bearer(SecretText(person.token), Caller("127.0.0.1")), work)  # type: ignore[arg-type]

    known = run(passwords.read_hash).result(timeout=20)  # type: ignore[attr-defined]
    verified = passwords.verify(change, known, WrongTries())
    set_password(server, person.username, "a third horse and battery")
    person.token = server.new_token(person.username)

    def late(uow: UnitOfWork) -> object:
        return passwords.replace_hash(uow, verified)

    assert type(run(late).exception(timeout=20)).__name__ == "Busy"  # type: ignore[attr-defined]
    assert is_password(person, "a third horse and battery")


def test_nobody_reads_the_hash_of_somebody_else(server: RunningServer) -> None:
    person, other = person_with_password(server), person_with_password(server)

    def steal(uow: UnitOfWork, username: str) -> str | None:
        victim = uow.principals.user_by_name(username)
        assert victim is not None
        return uow.registry.password_hash_of(victim)

    def attempt(username: str) -> object:
        who = bearer(SecretText(person.token), Caller("127.0.0.1"))
        return person.server.vault.run(who, partial(steal, username=username)).exception(timeout=20)

    assert type(attempt(other.username)).__name__ == "AccessDenied"
    assert attempt(person.username) is None  # the same way to the own hash is open


def test_an_administrator_has_no_way_to_set_the_password_of_somebody_else(server: RunningServer) -> None:
    admin, person = Person(server, is_admin=True), person_with_password(server)
    (found,) = admin.done("GET", f"users?username={person.username}&limit=1")["users"]
    for name in ("password", "new_password", "password_hash"):
        assert admin.refused("PATCH", f"users/{found['id']}", {name: NEW}) == (400, "invalid_field", name)
    for method in ("POST", "PUT"):
        assert admin.ask(method, f"users/{found['id']}/password", {"new_password": NEW}).status_code == 404
    assert is_password(person, OLD)
