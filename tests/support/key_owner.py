# SPDX-License-Identifier: Apache-2.0
"""A user who manages access keys over the management API."""

from typing import Any

import httpx

from mysafe.services import audit_trail
from tests.support.server import RunningServer, authorization

KEYS = "/api/manage/access-keys"


class KeyOwner:
    """A user with a full-access key, and the calls of the management API. `name` is an existing user, if given."""

    def __init__(self, server: RunningServer, name: str | None = None) -> None:
        self.server = server
        self.name = name or server.new_actor()
        self.token = server.new_token(self.name)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        with self.server.client() as client:
            sent = {**authorization(self.token), **{name.replace("_", "-"): value for name, value in headers.items()}}
            return client.request(method, path, json=body, headers=sent)

    def make(self, **fields: object) -> dict[str, Any]:
        answer = self.call("POST", KEYS, {"name": "n", **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def key_id(self, **fields: object) -> str:
        return str(self.make(**fields)["access_key"]["id"])

    def token_of_new(self, **fields: object) -> str:
        """Return a token of a new access key."""
        return self.server.token(pair(self.make(**fields)))

    def listed(self, **query: str) -> list[str]:
        with self.server.client() as client:
            answer = client.get(KEYS, params=query, headers=authorization(self.token))
        assert answer.status_code == 200, answer.text
        return [key["id"] for key in answer.json()["access_keys"]]

    def audited(self, answer: httpx.Response) -> list[tuple[str, str, int]]:
        """Return action, result and record id of the rows of a request."""
        entries = self.server.operate(lambda uow: audit_trail.tail(uow, 200))
        wanted = answer.headers["X-Request-Id"]
        return [(one.action.value, one.result.value, one.record_id) for one in entries if one.request_id == wanted]


def pair(made: dict[str, Any]) -> tuple[str, str]:
    """Return the credentials of a key that was just made."""
    return made["access_key"]["client_id"], made["client_secret"]
