# SPDX-License-Identifier: Apache-2.0
"""What is only shown after the password: client secrets and decryption keys (R-TOK-09, R-AUTH-10)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mysafe.domain.errors import NotFound, WrongPassword
from mysafe.domain.secret_text import SecretText
from mysafe.services import audit_trail
from mysafe.services.accounts import access_keys
from mysafe.services.accounts.reauthentication import Proof
from mysafe.services.authentication import Caller, bearer
from tests.support.key_owner import KEYS, KeyOwner, pair
from tests.support.server import RunningServer, private_key

PASSWORD = "correct horse battery staple"
WRONG = "wrong-password-canary"


@pytest.fixture
def person(server: RunningServer) -> KeyOwner:
    return KeyOwner(server, server.new_person(PASSWORD))


def path_of(made: dict[str, dict[str, str]], end: str = "secret") -> str:
    return f"{KEYS}/{made['access_key']['id']}/{end}"


def encrypting(person: KeyOwner) -> dict[str, dict[str, str]]:
    """Return a key that encrypts, made with the one private key of all tests, as the API shows it."""
    client_id, _ = person.server.new_encrypting_key(person.name)
    view = person.server.operate(partial(access_keys.read, which=client_id))
    return {"access_key": {"id": str(view.key.id), "client_id": client_id}}


def test_the_secret_is_shown_again_after_the_password_and_recorded(person: KeyOwner) -> None:
    made = person.make()
    answer = person.call("POST", path_of(made), {"password": PASSWORD})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    client_id, secret = pair(made)
    assert answer.json() == {"client_id": client_id, "client_secret": secret}
    assert person.audited(answer) == [("access_key.reveal_secret", "allowed", int(made["access_key"]["id"]))]


def test_the_secret_survives_changes_and_dies_with_the_key(person: KeyOwner) -> None:
    made = person.make(items=[])
    person.server.create(person.server.token(pair(made)), "note", {"name": "n", "note": "x"})
    assert person.call("PATCH", f"{KEYS}/{made['access_key']['id']}", {"name": "new"}).status_code == 200
    answer = person.call("POST", path_of(made), {"password": PASSWORD})
    assert answer.json()["client_secret"] == made["client_secret"]
    person.call("POST", path_of(made, "revoke"))
    assert person.call("POST", path_of(made), {"password": PASSWORD}).status_code == 404


def test_the_decryption_key_is_downloaded_as_a_file(person: KeyOwner) -> None:
    key = encrypting(person)
    answer = person.call("POST", path_of(key, "decryption-key"), {"password": PASSWORD})
    assert answer.status_code == 200
    assert answer.text == private_key().reveal()
    name = f'attachment; filename="{key["access_key"]["client_id"]}.key"'
    assert answer.headers["Content-Disposition"] == name
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert person.audited(answer) == [("access_key.reveal", "allowed", int(key["access_key"]["id"]))]
    plain = person.call("POST", path_of(person.make(), "decryption-key"), {"password": PASSWORD})
    assert (plain.status_code, plain.json()["code"]) == (404, "not_found")


def test_encryption_is_switched_on_with_a_new_pair_and_off_again(person: KeyOwner) -> None:
    made = person.make()
    path = f"{KEYS}/{made['access_key']['id']}"
    on = person.call("PATCH", path, {"is_encrypting": True})
    assert (on.status_code, on.json()["is_encrypting"]) == (200, True)
    file = path_of(made, "decryption-key")
    first = person.call("POST", file, {"password": PASSWORD}).text
    assert first.startswith("-----BEGIN PRIVATE KEY-----")
    assert person.call("PATCH", path, {"is_encrypting": True}).headers["ETag"] == on.headers["ETag"]
    clone = person.call("POST", path + "/clone").json()
    assert clone["access_key"]["is_encrypting"] is True
    other = person.call("POST", path_of(clone, "decryption-key"), {"password": PASSWORD}).text
    assert other.startswith("-----BEGIN PRIVATE KEY-----")
    assert other != first
    assert person.call("PATCH", path, {"is_encrypting": False}).json()["is_encrypting"] is False
    assert person.call("POST", file, {"password": PASSWORD}).status_code == 404


def test_an_encrypting_key_is_made_over_the_api(person: KeyOwner) -> None:
    made = person.make(is_encrypting=True)
    assert made["access_key"]["is_encrypting"] is True
    assert "PRIVATE" in person.call("POST", path_of(made, "decryption-key"), {"password": PASSWORD}).text


@pytest.mark.parametrize("end", ["secret", "decryption-key"])
def test_a_wrong_password_shows_nothing_and_is_recorded(person: KeyOwner, end: str) -> None:
    made = person.make()
    answer = person.call("POST", path_of(made, end), {"password": WRONG})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    action = "access_key.reveal_secret" if end == "secret" else "access_key.reveal"
    assert person.audited(answer) == [(action, "denied", int(made["access_key"]["id"]))]
    log = repr(person.server.operate(lambda uow: audit_trail.tail(uow, 50)))
    assert action in log
    assert not any(secret in log + answer.text for secret in (WRONG, PASSWORD, made["client_secret"]))


@pytest.mark.parametrize(
    "body", [{}, {"password": None}, {"password": [PASSWORD]}, {"password": PASSWORD, "more": 1}, [], None]
)
def test_a_body_without_a_password_is_refused_without_a_word_of_it(person: KeyOwner, body: object) -> None:
    answer = person.call("POST", path_of(person.make()), body)
    assert answer.status_code == 400
    assert PASSWORD not in answer.text


def test_after_five_wrong_passwords_a_right_one_has_to_wait(fresh_server: RunningServer) -> None:
    person = KeyOwner(fresh_server, fresh_server.new_person(PASSWORD))
    made = person.make()
    for _ in range(5):
        assert person.call("POST", path_of(made), {"password": WRONG}).status_code == 403
    refused = person.call("POST", path_of(made), {"password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
    assert 290 <= int(refused.headers["Retry-After"]) <= 300
    assert person.audited(refused) == [("access_key.reveal_secret", "throttled", int(made["access_key"]["id"]))]
    other = KeyOwner(fresh_server, fresh_server.new_person(PASSWORD))
    assert other.call("POST", path_of(other.make()), {"password": PASSWORD}).status_code == 200
    fresh_server.advance_clock(301)
    assert person.call("POST", path_of(made), {"password": PASSWORD}).status_code == 200


def test_a_right_password_makes_the_wrong_ones_before_it_forgotten(person: KeyOwner) -> None:
    made = person.make()
    for _ in range(2):
        for _ in range(4):
            assert person.call("POST", path_of(made), {"password": WRONG}).status_code == 403
        assert person.call("POST", path_of(made), {"password": PASSWORD}).status_code == 200


def test_tries_at_the_same_time_are_counted_before_they_are_compared(person: KeyOwner) -> None:
    path = path_of(person.make())
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: person.call("POST", path, {"password": WRONG}).status_code, range(12)))
    assert (answers.count(403), answers.count(429)) == (5, 7)


def test_a_user_without_a_password_is_shown_nothing(server: RunningServer) -> None:
    owner = KeyOwner(server)
    made = owner.make()
    for password in ("", "x"):
        answer = owner.call("POST", path_of(made), {"password": password})
        assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")
        assert [row[1] for row in owner.audited(answer)] == ["denied"]


def test_a_proof_is_good_for_its_user_as_stored_then_and_for_five_minutes(person: KeyOwner) -> None:
    made = person.make()
    client_id = made["access_key"]["client_id"]
    server = person.server
    user = server.operate(lambda uow: uow.principals.user_by_name(person.name))
    assert user is not None
    now = int(server.clock())
    identify = bearer(SecretText(person.token), Caller("127.0.0.1"))

    good = Proof(user.id, user.version, now)
    assert server.vault.run(identify, partial(access_keys.client_secret, which=client_id, proof=good)).result(20)
    for bad in (None, Proof(user.id, user.version + 1, now), Proof(user.id, user.version, now - 301)):
        done = server.vault.run(identify, partial(access_keys.client_secret, which=client_id, proof=bad))
        assert isinstance(done.exception(20), WrongPassword)


@pytest.fixture
def once(tmp_path: Path) -> Iterator[RunningServer]:
    server = RunningServer(tmp_path, access_keys_reveal="once")
    yield server
    server.close()


def test_where_secrets_are_shown_once_no_copy_is_kept(once: RunningServer) -> None:
    person = KeyOwner(once, once.new_person(PASSWORD))
    made = person.make()
    clone = person.call("POST", path_of(made, "clone")).json()
    for key in (made, clone):
        answer = person.call("POST", path_of(key), {"password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    with pytest.raises(NotFound):
        once.operate(partial(access_keys.client_secret, which=made["access_key"]["client_id"]))
