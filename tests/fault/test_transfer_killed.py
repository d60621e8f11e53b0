# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of a transfer: no item is lost, none has two owners, and approving again does the rest."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.support.process import Installation, exchange

ITEMS = 450
KILLED_AFTER_SECONDS = (0.0, 0.01, 0.03, 0.06)


class Leaver:
    """An installation in which somebody owned items and is disabled now."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        for name in ("leaver", "heir", "friend"):
            installation.command("user", "add", name)
        for name in ("first", "second"):
            installation.command("user", "add", name, "--admin")
        self.keys = {name: installation.new_key(name) for name in ("leaver", "heir", "friend", "first", "second")}
        installation.start()
        self.made = self._create()
        installation.command("user", "disable", "leaver")
        self.heir = installation.token(self.keys["heir"])
        self.second = installation.token(self.keys["second"])
        body = {"from": "leaver", "to": "heir"}
        _, answer = installation.call("POST", "/api/manage/transfers", body, installation.token(self.keys["first"]))
        self.path = f"/api/manage/transfers/{answer['identifier']}/approve"

    def _create(self) -> dict[str, str]:
        token, made = self.installation.token(self.keys["leaver"]), {}
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=20)
        for number in range(ITEMS):
            body = {"name": "n", "note": f"content {number}", "users_allowed": [{"username": "friend"}]}
            _, answer = exchange(connection, "POST", "/api/mysafe/note", body, token)
            entity = answer["note_entity"]
            assert isinstance(entity, dict)
            made[str(entity["identifier"])] = f"content {number}"
        connection.close()
        return made

    def approve_and_kill(self, seconds: float) -> None:
        """Approve, kill the server meanwhile or after it, and start it again."""
        approval = threading.Thread(target=self._approve)
        approval.start()
        approval.join(timeout=seconds)
        self.installation.kill()
        approval.join(timeout=30)
        self.installation.start()

    def _approve(self) -> None:
        try:
            self.installation.call("POST", self.path, None, self.second)
        except (OSError, HTTPException):
            pass  # the server was killed

    def wrong(self) -> list[str]:
        """Return every item that the heir and the friend do not both see whole, after exactly one move."""
        found = []
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=20)
        tokens = {"heir": self.heir, "friend": self.installation.token(self.keys["friend"])}
        for identifier, content in self.made.items():
            for who, token in tokens.items():
                status, answer = exchange(connection, "GET", f"/api/mysafe/note/{identifier}", None, token)
                entity = answer.get("note_entity")
                if not isinstance(entity, dict) or entity["note"] != content:
                    found.append(f"{identifier} is not whole for the {who}: {status}")
            path = f"/api/manage/items/note/{identifier}/versions"
            _, answer = exchange(connection, "GET", path, None, tokens["friend"])
            versions = answer.get("versions")
            if not isinstance(versions, list) or len(versions) != 2:
                found.append(f"{identifier} was not moved once")
        connection.close()
        return found


@pytest.fixture
def leaver(tmp_path: Path) -> Iterator[Leaver]:
    installation = Installation(tmp_path)
    yield Leaver(installation)
    installation.close()


@pytest.mark.timeout(300)
def test_a_killed_transfer_goes_on_and_every_item_moves_once(leaver: Leaver) -> None:
    assert len(leaver.wrong()) == 2 * ITEMS  # the control: nothing has moved, and the search says so
    for seconds in KILLED_AFTER_SECONDS:
        leaver.approve_and_kill(seconds)
    status, answer = leaver.installation.call("POST", leaver.path, None, leaver.second)
    assert status in {200, 409}, answer  # 409: the last one that was killed had come to its end
    assert leaver.wrong() == []
