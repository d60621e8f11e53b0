# SPDX-License-Identifier: Apache-2.0
"""T-KILL: kill -9 while clients write. No acknowledged write is lost, and no half item is ever seen.

KILLS (environment, default 20) says how often. The control answers before the commit and must be found out.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.support.process import Installation, exchange

KILLS = int(os.environ.get("KILLS", "20"))
WRITERS = 4


class Run:
    """Writers against one installation, and what was acknowledged to them."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.key = installation.new_key("owner")
        self.friend_key = installation.new_key("friend")
        self.acknowledged: dict[str, str] = {}
        self._counter = 0
        self._lock = threading.Lock()

    def round(self, seconds: float) -> None:
        """Serve, write, kill after `seconds`."""
        self.installation.start()
        token = self.installation.token(self.key)
        writers = [threading.Thread(target=self._write, args=(token,)) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        self.installation.kill()
        for writer in writers:
            writer.join(timeout=30)

    def _write(self, token: str) -> None:
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=10)
        try:
            while True:
                with self._lock:
                    self._counter += 1
                    secret = f"secret {self._counter}"
                body = {
                    "name": f"name of {secret}",
                    "username": "u",
                    "password": secret,
                    "users_allowed": [{"username": "friend", "can_edit": True}],
                }
                status, answer = exchange(connection, "POST", "/api/mysafe/password", body, token)
                assert status == 201, answer
                entity = answer["password_entity"]
                assert isinstance(entity, dict)
                with self._lock:
                    self.acknowledged[str(entity["identifier"])] = secret
        except (OSError, HTTPException):
            connection.close()  # the server was killed

    def losses(self) -> list[str]:
        """Serve once more and return every acknowledged or listed item that is not whole."""
        self.installation.start()
        tokens = [self.installation.token(key) for key in (self.key, self.friend_key)]
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=10)
        listed = []
        for token in tokens:
            _, answer = exchange(connection, "GET", "/api/mysafe/password", None, token)
            lines = answer["password_on_list"]
            assert isinstance(lines, list)
            listed.append([str(line["identifier"]) for line in lines])
        wrong = [f"{identifier} is lost" for identifier in set(self.acknowledged) - set(listed[0])]
        wrong += ["owner and friend see different items"] if listed[0] != listed[1] else []
        for identifier in listed[0]:
            status, answer = exchange(connection, "GET", f"/api/mysafe/password/{identifier}", None, tokens[1])
            entity = answer.get("password_entity")
            secret = entity["password"] if isinstance(entity, dict) else None
            expected = self.acknowledged.get(identifier, secret)
            if status != 200 or secret != expected or f"name of {secret}" != entity["name"]:  # type: ignore[index]
                wrong.append(f"{identifier} is not whole: {status}")
        connection.close()
        self.installation.stop()
        return wrong


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    installation = Installation(tmp_path, getattr(request, "param", None))
    installation.command("user", "add", "owner")
    installation.command("user", "add", "friend")
    yield Run(installation)
    installation.close()


@pytest.mark.timeout(900)
def test_no_acknowledged_write_is_lost_and_no_half_item_is_seen(run: Run) -> None:
    for number in range(KILLS):
        run.round(random.uniform(0.02, 0.5))  # when, not what
        if number % 5 == 4:
            assert run.losses() == []
    assert len(run.acknowledged) >= KILLS
    assert run.losses() == []


EAGER = [sys.executable, "-m", "tests.support.eager_server"]


@pytest.mark.parametrize("run", [EAGER], indirect=True)
def test_a_server_that_answers_before_the_commit_is_found_out(run: Run) -> None:
    run.round(0.5)
    assert len(run.acknowledged) >= 1
    assert any("lost" in loss for loss in run.losses())
