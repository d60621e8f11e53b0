# SPDX-License-Identifier: Apache-2.0
"""The management API as tests call it: one caller with one token."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx

from mysafe.domain.principals import UserDraft
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts import users
from tests.support.server import RunningServer, authorization


class Person:
    """A user with an access token."""

    def __init__(self, server: RunningServer, *, is_admin: bool = False) -> None:
        self.server = server
        self.username = server.new_actor() if not is_admin else _new_administrator(server)
        self.token = server.new_token(self.username)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        with self.server.client() as client:
            sent = {**authorization(self.token), **(headers or {})}
            return client.request(method, f"/api/manage/{path}", json=body, headers=sent)

    def done(self, method: str, path: str, body: object = None, status: int = 200) -> dict[str, Any]:
        """Ask, expect success and return the body."""
        answer = self.ask(method, path, body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refused(self, method: str, path: str, body: object = None) -> tuple[int, str, str | None]:
        """Ask, expect a problem document and return its status, code and field."""
        answer = self.ask(method, path, body)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()["code"], answer.json().get("field")


def _new_administrator(server: RunningServer) -> str:
    username = f"administrator of {server.new_actor()}"
    server.operate(partial(users.add, draft=UserDraft(username, is_admin=True)))
    return username


def set_password(server: RunningServer, username: str, password: str) -> None:
    """Give a user a password as the operator does."""
    password_hash = users.prepare_password(SecretText(password))
    server.operate(partial(users.reset_password, username=username, password_hash=password_hash))
