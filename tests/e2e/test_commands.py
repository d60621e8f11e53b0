# SPDX-License-Identifier: Apache-2.0
"""The commands, as processes, on a vault that is being served: each has its effect on the next request."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import COMMAND, Installation

ITEM = {"name": "n", "username": "u", "password": "p", "groups_allowed": [{"name": "Team"}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("commands"))
    installation.start()
    yield installation
    installation.close()


def attempt(installation: Installation, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMAND, *arguments], env=installation.variables(), input=stdin, capture_output=True, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_user_a_group_and_a_key_work_at_once(served: Installation) -> None:
    assert attempt(served, "user", "add", "ana", "--name", "Ana", "--email", "ana@example.org", "--admin") == (
        0,
        "added the user ana\n",
        "",
    )
    assert attempt(served, "user", "add", "bob") == (0, "added the user bob\n", "")
    assert attempt(served, "group", "add", "Team", "--member", "bob") == (0, "added the group Team\n", "")
    status, out, err = attempt(served, "access-key", "add", "--owner", "ana", "--name", "k", "--json")
    assert (status, err) == (0, "")
    key = json.loads(out)
    assert list(key) == ["client_id", "client_secret"]
    assert out == json.dumps(key) + "\n"
    token = served.token(key)
    created, body = served.call("POST", "/api/mysafe/password", ITEM, token)
    assert created == 201
    entity = body["password_entity"]
    assert isinstance(entity, dict)
    assert entity["groups_allowed"] == [{"name": "Team", "can_edit": False}]
    friend = served.token(served.new_key("bob"))
    assert served.call("GET", f"/api/mysafe/password/{entity['identifier']}", None, friend)[0] == 200


def test_disabling_a_user_and_revoking_a_key_end_their_tokens(served: Installation) -> None:
    attempt(served, "user", "add", "cid")
    key, other = served.new_key("cid"), served.new_key("cid")
    token, other_token = served.token(key), served.token(other)
    assert served.call("GET", "/api/mysafe/password", None, token)[0] == 200
    assert attempt(served, "access-key", "revoke", key["client_id"])[0] == 0
    assert served.call("GET", "/api/mysafe/password", None, token)[0] == 401
    assert served.call("GET", "/api/mysafe/password", None, other_token)[0] == 200
    assert attempt(served, "user", "disable", "cid") == (0, "disabled the user cid\n", "")
    assert served.call("GET", "/api/mysafe/password", None, other_token)[0] == 401
    assert attempt(served, "user", "enable", "cid") == (0, "enabled the user cid\n", "")
    assert served.call("GET", "/api/mysafe/password", None, other_token)[0] == 401
    assert served.call("GET", "/api/mysafe/password", None, served.token(other))[0] == 200


def test_a_key_is_printed_to_be_read(served: Installation) -> None:
    attempt(served, "user", "add", "dan")
    status, out, err = attempt(
        served, "access-key", "add", "--owner", "dan", "--name", "k", "--ip", "127.0.0.1", "--expires", "2100-01-01"
    )
    assert (status, err) == (0, "")
    words = dict(line.split() for line in out.splitlines()[:2])
    assert len(words["client_id"]) == 41
    served.token(words)


def test_a_key_for_another_address_is_refused_to_us(served: Installation) -> None:
    attempt(served, "user", "add", "eva")
    out = attempt(served, "access-key", "add", "--owner", "eva", "--name", "k", "--ip", "192.0.2.0/24", "--json")[1]
    form = {"grant_type": "client_credentials", **json.loads(out)}
    assert served.call("POST", "/api/oauth2/token", form)[0] == 401


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        (b"correct horse battery\n", 0, ""),
        ("пароль, без конца строки".encode(), 0, ""),
        (b"", 2, "password must not be empty"),
        (b"\n", 2, "password must not be empty"),
        (b"\xff\xfe secret words\n", 2, "password has a form"),
        (b"fourteen chars\n", 2, "password is shorter than 15"),
        (b"p" * 1025 + b"\n", 2, "password is longer than 1024"),
    ],
    ids=["a line", "no end of line", "nothing", "an empty line", "no text", "too short", "too long"],
)
def test_a_password_comes_from_standard_input(
    line: bytes, status: int, words: str, served: Installation, request: pytest.FixtureRequest
) -> None:
    name = f"user{abs(hash(request.node.name))}"
    ended, _, err = attempt(served, "user", "add", name, "--password-stdin", stdin=line)
    assert ended == status, err
    assert words in err
    assert "secret words" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["user", "add", "twice"], 1, "the name is taken by another user"),
        (["user", "add", " "], 2, "username must not be empty"),
        (["user", "add", "x" * 256], 2, "username is longer than 255 characters"),
        (["user", "disable", "nobody"], 1, "there is no such user"),
        (["group", "add", "Nobodies", "--member", "nobody"], 1, "there is no such user nobody"),
        (["access-key", "add", "--owner", "nobody", "--name", "k"], 1, "there is no such user"),
        (["access-key", "add", "--owner", "twice", "--name", "k", "--ip", "300.1.1.1"], 2, "addresses has a form"),
        (["access-key", "revoke", "nothing"], 1, "there is no such access key"),
    ],
)
def test_a_refusal_is_one_sentence(arguments: list[str], status: int, sentence: str, served: Installation) -> None:
    attempt(served, "user", "add", "twice")
    ended, out, err = attempt(served, *arguments)
    assert (ended, out) == (status, "")
    assert err.startswith(f"mysafe: {sentence}")
    assert err.count("\n") == 1


def test_a_key_that_encrypts_has_a_decryption_key(served: Installation) -> None:
    attempt(served, "user", "add", "eve")
    made = json.loads(attempt(served, "access-key", "add", "--owner", "eve", "--name", "k", "--encrypt", "--json")[1])
    status, out, _ = attempt(served, "access-key", "decryption-key", made["client_id"])
    assert (status, out.splitlines()[0], out.splitlines()[-1]) == (
        0,
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
    )
    assert attempt(served, "access-key", "decryption-key", "0" * 41)[0] == 1


def test_the_audit_log_can_be_read(served: Installation) -> None:
    attempt(served, "user", "add", "zoé")
    lines = attempt(served, "audit", "tail", "--lines", "2")[1].splitlines()
    assert len(lines) == 2
    assert any("user.create allowed" in line and '"zoé"' in line and "from local" in line for line in lines)
    entries = [json.loads(line) for line in attempt(served, "audit", "tail", "--json")[1].splitlines()]
    assert len(entries) == 20 or entries[0]["action"] == "vault.create"
    assert [entry["id"] for entry in entries] == sorted(entry["id"] for entry in entries)
    created = next(entry for entry in entries if entry["name"] == "zoé")
    assert created["action"] == "user.create"
    assert created["result"] == "allowed"
    assert created["at"].endswith("Z")
    assert len(created["envelope_sha256"]) == 64


def test_transfers_are_listed_for_the_operator(served: Installation) -> None:
    for name, is_admin in (("gil", True), ("hal", False), ("ivo", False)):
        attempt(served, "user", "add", name, *(["--admin"] if is_admin else []))
    attempt(served, "user", "disable", "hal")
    token = served.token(served.new_key("gil"))
    status, body = served.call("POST", "/api/manage/transfers", {"from": "hal", "to": "ivo"}, token)
    assert status == 201
    status, out, err = attempt(served, "transfer", "list")
    assert (status, err) == (0, "")
    assert out.startswith(f"transfer {body['identifier']}  requested  from hal to ivo  requested by gil  good until ")


def test_an_entry_cannot_move_the_cursor(served: Installation) -> None:
    attempt(served, "user", "add", "fay")
    served.call("POST", "/api/mysafe/password", {**ITEM, "name": "\x1b[2Jname"}, served.token(served.new_key("fay")))
    out = attempt(served, "audit", "tail", "--lines", "5")[1]
    assert "\\x1b[2Jname" in out
    assert "\x1b" not in out


def test_a_reader_that_goes_away_is_no_fault(served: Installation) -> None:
    tail = subprocess.Popen(
        [*COMMAND, "audit", "tail", "--json", "--lines", "10000"],
        env=served.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    assert tail.stderr is not None
    tail.stdout.close()
    with tail:
        assert tail.stderr.read() == ""


def test_a_vault_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mysafe.cli.main", "user", "add", "demo", "--data", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert not (tmp_path / "none").exists()
