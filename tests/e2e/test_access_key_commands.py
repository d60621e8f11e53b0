# SPDX-License-Identifier: Apache-2.0
"""The commands `mysafe access-key`, as processes, on a vault that is being served."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.process import COMMAND, Installation

PRINT = "ab" * 32


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("access-keys"))
    installation.command("user", "add", "ana")
    installation.command("user", "add", "bob")
    installation.start()
    yield installation
    installation.close()


def attempt(served: Installation, *arguments: str) -> tuple[int, str, str]:
    command = [*COMMAND, "access-key", *arguments]
    done = subprocess.run(command, env=served.variables(), capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def new_key(served: Installation, *arguments: str) -> dict[str, str]:
    made: dict[str, str] = json.loads(served.command("access-key", "add", "--owner", "ana", "--json", *arguments))
    assert list(made) == ["client_id", "client_secret"]
    return made


def shown(served: Installation, client_id: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(served.command("access-key", "show", client_id, "--json"))
    return fields


def test_a_key_is_added_with_everything_it_can_say_and_shown(served: Installation) -> None:
    key = new_key(
        served, "--name", "n", "--description", "d", "--tags", "a, b", "--ip", "10.0.0.0/8", "--ip", "::1",
        "--referer", "https://portal.example/", "--fingerprint", PRINT.upper(), "--item", "note:2",
        "--item", "password:7", "--expires", "2100-01-01",
    )  # fmt: skip
    fields = shown(served, key["client_id"])
    assert {name: fields[name] for name in fields if name not in {"id", "created_at"}} == {
        "client_id": key["client_id"],
        "owner": "ana",
        "name": "n",
        "description": "d",
        "tags": "a, b",
        "addresses": ["10.0.0.0/8", "::1/128"],
        "referers": ["https://portal.example/"],
        "fingerprint": PRINT,
        "items": ["note:2", "password:7"],
        "expires_at": "2100-01-01T00:00:00Z",
        "is_encrypting": False,
        "is_revoked": False,
    }
    text = served.command("access-key", "show", key["client_id"])
    assert "items           note:2, password:7\n" in text
    assert "is_revoked      no\n" in text
    assert key["client_secret"] not in text


def test_keys_are_listed_without_the_revoked_ones(served: Installation) -> None:
    mine, gone = new_key(served, "--name", "listed", "--description", "a\nb"), new_key(served, "--name", "gone")
    attempt(served, "revoke", gone["client_id"])
    others = json.loads(served.command("access-key", "add", "--owner", "bob", "--name", "bob's", "--json"))
    everybody = served.command("access-key", "list")
    assert others["client_id"] in everybody
    assert '  ana  "listed"  all items\n' in everybody
    assert "description     a\\nb\n" in served.command("access-key", "show", mine["client_id"])
    assert gone["client_id"] not in everybody
    rows = [json.loads(line) for line in served.command("access-key", "list", "--owner", "ana", "--json").splitlines()]
    assert mine["client_id"] in {row["client_id"] for row in rows}
    assert {row["owner"] for row in rows} == {"ana"}
    assert attempt(served, "list", "--owner", "nobody")[0] == 1


def test_a_confined_key_sees_its_items_until_it_is_changed(served: Installation) -> None:
    full = served.token(new_key(served, "--name", "full"))
    note = {"name": "n", "note": "x"}
    made = [served.call("POST", "/api/mysafe/note", note, full)[1]["note_entity"] for _ in range(2)]
    near, far = (str(entity["identifier"]) for entity in made if isinstance(entity, dict))
    key = new_key(served, "--name", "confined", "--item", f"note:{near}")
    token = served.token(key)
    assert served.call("GET", f"/api/mysafe/note/{near}", None, token)[0] == 200
    assert served.call("GET", f"/api/mysafe/note/{far}", None, token)[0] == 400
    changed = attempt(served, "change", key["client_id"], "--all-items", "--description", "now full")
    assert changed == (0, f"changed the access key {key['client_id']}\n", "")
    assert served.call("GET", f"/api/mysafe/note/{near}", None, token)[0] == 401
    assert served.call("GET", f"/api/mysafe/note/{far}", None, served.token(key))[0] == 200
    assert shown(served, key["client_id"])["description"] == "now full"


def test_a_change_takes_limits_and_takes_them_away(served: Installation) -> None:
    client_id = new_key(served, "--name", "n", "--ip", "10.0.0.1", "--expires", "2100-01-01")["client_id"]
    before = shown(served, client_id)
    attempt(served, "change", client_id, "--ip", "*", "--never-expires", "--referer", "https://a.example/")
    attempt(served, "change", client_id, "--name", "new", "--fingerprint", PRINT)
    assert shown(served, client_id) == {
        **before,
        "addresses": [],
        "expires_at": None,
        "referers": ["https://a.example/"],
        "name": "new",
        "fingerprint": PRINT,
    }
    attempt(served, "change", client_id, "--fingerprint", "", "--referer", "*", "--name", "n")
    assert shown(served, client_id) == {**before, "addresses": [], "expires_at": None}


def test_a_clone_is_another_key_without_an_expiry(served: Installation) -> None:
    key = new_key(served, "--name", "source", "--expires", "2100-01-01", "--tags", "t")
    clone = json.loads(served.command("access-key", "clone", key["client_id"], "--json"))
    assert clone["client_id"] != key["client_id"]
    fields = shown(served, clone["client_id"])
    assert (fields["name"], fields["expires_at"], fields["tags"]) == ("source (Copy)", None, "t")
    served.token(clone)


def test_the_operator_is_shown_a_secret_again(served: Installation) -> None:
    key = new_key(served, "--name", "n")
    assert attempt(served, "secret", key["client_id"]) == (0, key["client_secret"] + "\n", "")
    tail = served.command("audit", "tail", "--lines", "2")
    assert "access_key.reveal_secret allowed" in tail
    assert key["client_secret"] not in tail
    attempt(served, "revoke", key["client_id"])
    status, out, err = attempt(served, "secret", key["client_id"])
    assert (status, out, err) == (1, "", "mysafe: there is no such client secret\n")


def test_encryption_is_switched_on_and_off(served: Installation) -> None:
    key = new_key(served, "--name", "n")
    assert attempt(served, "decryption-key", key["client_id"])[0] == 1
    assert attempt(served, "change", key["client_id"], "--encrypt")[0] == 0
    assert "BEGIN PRIVATE KEY" in attempt(served, "decryption-key", key["client_id"])[1]
    assert attempt(served, "change", key["client_id"], "--no-encrypt")[0] == 0
    assert attempt(served, "decryption-key", key["client_id"])[0] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["change", "nothing", "--name", "x"], 1, "there is no such access key"),
        (["show", "nothing"], 1, "there is no such access key"),
        (["clone", "nothing"], 1, "there is no such access key"),
        (["secret", "nothing"], 1, "there is no such access key"),
        (["add", "--owner", "ana", "--name", "n", "--item", "user:1"], 2, "item has a form"),
        (["add", "--owner", "ana", "--name", "n", "--item", "note:-1"], 2, "item has a form"),
        (["add", "--owner", "ana", "--name", "n", "--item", "note:0"], 2, "items has a form"),
        (["add", "--owner", "ana", "--name", "n", "--fingerprint", "x"], 2, "fingerprint has a form"),
        (["add", "--owner", "ana", "--name", "n", "--referer", ""], 2, "referers has a form"),
        (["add", "--owner", "ana", "--name", "n", "--tags", "x" * 1001], 2, "tags is longer than 1000"),
    ],
)
def test_a_refusal_is_one_sentence(served: Installation, arguments: list[str], status: int, sentence: str) -> None:
    ended, out, err = attempt(served, *arguments)
    assert (ended, out) == (status, "")
    assert err.startswith(f"mysafe: {sentence}")
    assert err.count("\n") == 1
