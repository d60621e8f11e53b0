# SPDX-License-Identifier: Apache-2.0
"""`mysafe migrate-database`: a vault moves to another database and answers the same there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mysafe.config import Settings
from tests.support.databases import IS_ON_POSTGRESQL, beside, new_database
from tests.support.process import Installation

BODY = {
    "name": "Mail",
    "username": "root",
    "password": "s3cret \U0001f511",
    "secret_key": "JBSWY3DPEHPK3PXP",
    "users_allowed": [{"username": "friend", "can_edit": True}],
}
ITEMS = 700
"""More than are copied at once."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A vault on SQLite with items; its server is not running."""
    installation = Installation(tmp_path_factory.mktemp("live"), is_on_sqlite=True)
    for name in ("owner", "friend"):
        installation.command("user", "add", name)
    try:
        yield installation
    finally:
        installation.close()


@pytest.fixture(scope="module")
def key(live: Installation) -> dict[str, str]:
    key = live.new_key("owner")
    live.start()
    token = live.token(key)
    for number in range(ITEMS):
        assert live.call("POST", "/api/mysafe/password", {**BODY, "name": f"item {number}"}, token)[0] == 201
    assert live.call("PUT", "/api/mysafe/password/update/1", {"password": "another"}, token)[0] == 200
    live.stop()
    return key


def _address(directory: Path) -> str:
    return new_database() if IS_ON_POSTGRESQL else f"sqlite:///{directory / 'new' / 'vault.db'}"


def _answers(live: Installation, key: dict[str, str], *database: str) -> list[object]:
    live.start(*database)
    try:
        token = live.token(key)
        paths = ("/api/mysafe/password", "/api/mysafe/password/1", f"/api/mysafe/password/{ITEMS}")
        return [live.call("GET", path, None, token) for path in paths]
    finally:
        live.stop()


def _without_code(answers: list[object]) -> str:
    """Return answers as text, without the TOTP code, which depends on the time."""
    text = json.dumps(answers, sort_keys=True)
    assert '"token": "' in text
    return "".join(part if at == 0 else part[6:] for at, part in enumerate(text.split('"token": "')))


def test_a_vault_answers_the_same_in_another_database_and_back(
    live: Installation, key: dict[str, str], tmp_path: Path
) -> None:
    old = f"sqlite:///{live.data / 'vault.db'}"
    before = _answers(live, key)
    new = _address(tmp_path)
    out = live.command("migrate-database", "--from", old, "--to", new)
    assert "opened" in out
    assert _without_code(_answers(live, key, "--database", new)) == _without_code(before)
    back = f"sqlite:///{tmp_path / 'back' / 'vault.db'}"
    live.command("migrate-database", "--from", new, "--to", back)
    assert _without_code(_answers(live, key, "--database", back)) == _without_code(before)


def test_ids_go_on_after_the_move(live: Installation, key: dict[str, str], tmp_path: Path) -> None:
    new = _address(tmp_path)
    live.command("migrate-database", "--from", f"sqlite:///{live.data / 'vault.db'}", "--to", new)
    live.start("--database", new)
    try:
        _, answer = live.call("POST", "/api/mysafe/password", BODY, live.token(key))
    finally:
        live.stop()
    entity = answer["password_entity"]
    assert isinstance(entity, dict)
    assert int(entity["identifier"]) > ITEMS


def test_a_database_with_a_vault_is_never_written_over(live: Installation, key: dict[str, str], tmp_path: Path) -> None:
    old, new = f"sqlite:///{live.data / 'vault.db'}", _address(tmp_path)
    live.command("migrate-database", "--from", old, "--to", new)
    status, _, error = live.attempt("migrate-database", "--from", old, "--to", new)
    assert status == 1
    assert "there is a vault" in error


def _swap_secrets(run: Callable[[str], object]) -> None:
    run("UPDATE items SET secret = (SELECT secret FROM items WHERE kind = 'password' AND id = 2) WHERE id = 1")


def test_a_record_that_does_not_open_is_named(live: Installation, key: dict[str, str], tmp_path: Path) -> None:
    """The control of the check: a copy with every row in it is not yet a vault that can be read."""
    old, spoiled = f"sqlite:///{live.data / 'vault.db'}", f"sqlite:///{tmp_path / 'spoiled' / 'vault.db'}"
    live.command("migrate-database", "--from", old, "--to", spoiled)
    with beside(Settings(data=tmp_path / "spoiled")) as connection:
        _swap_secrets(connection.execute)
    status, _, error = live.attempt("migrate-database", "--from", spoiled, "--to", _address(tmp_path))
    assert status == 1
    assert "1 records do not open in the copy, or are not those of its audit log, first items password 1" in error
