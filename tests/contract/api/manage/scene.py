# SPDX-License-Identifier: Apache-2.0
"""People and calls for the tests of the management API."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from mysafe.audit.events import AuditEntry
from mysafe.domain.principals import UserDraft
from mysafe.services import audit_trail
from mysafe.services.accounts import users
from tests.support.databases import Beside, beside
from tests.support.server import RunningServer, authorization

PASSWORD = {"name": "old name", "username": "u", "password": "old secret", "secret_key": "JBSWY3DPEHPK3PXP"}
NOTE = {"name": "a note", "note": "old content"}
API_SECRET = {"name": "n", "url": "l", "client_id": "i", "client_secret": "s", "identifier_code": "code"}


class Person:
    """A user with a token, and the calls that user makes."""

    def __init__(self, server: RunningServer, client: httpx.Client, name: str, token: str) -> None:
        self.server = server
        self.name = name
        self.token = token
        self._client = client

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.request(
            method, f"/api/manage{path}", json=body, headers={**authorization(self.token), **named}
        )

    def create(self, kind: str, body: dict[str, Any]) -> str:
        return self.server.create(self.token, kind, body)

    def update(self, kind: str, identifier: str, body: dict[str, Any]) -> httpx.Response:
        path = f"/api/mysafe/{kind}/update/{identifier}"
        return self._client.put(path, json=body, headers=authorization(self.token))

    def read(self, kind: str, identifier: str) -> httpx.Response:
        return self.server.read(self.token, identifier, kind)

    def entity(self, kind: str, identifier: str) -> dict[str, Any]:
        answer = self.read(kind, identifier)
        assert answer.status_code == 200, answer.text
        (found,) = (value for key, value in answer.json().items() if key.endswith("_entity"))
        assert isinstance(found, dict)
        return found

    def switch(self, kind: str, word: str, identifier: str) -> None:
        answer = self._client.post(f"/api/mysafe/{kind}/{word}/{identifier}", headers=authorization(self.token))
        assert answer.status_code == 200, answer.text

    def versions(self, kind: str, identifier: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"/items/{kind}/{identifier}/versions")
        assert answer.status_code == 200, answer.text
        found = answer.json()["versions"]
        assert isinstance(found, list)
        return found


class Scene:
    """A server, one client, and any number of people."""

    def __init__(self, server: RunningServer, client: httpx.Client) -> None:
        self.server = server
        self._client = client

    def person(self) -> Person:
        name = self.server.new_actor()
        return self.of(name)

    def administrator(self) -> Person:
        name = self.server.new_actor() + " admin"
        self.server.operate(partial(users.add, draft=UserDraft(name, is_admin=True)))
        return self.of(name)

    def of(self, name: str) -> Person:
        return Person(self.server, self._client, name, self.server.new_token(name))

    def with_token(self, name: str, token: str) -> Person:
        return Person(self.server, self._client, name, token)

    def entries(self, request: httpx.Response) -> list[AuditEntry]:
        found = self.server.operate(partial(audit_trail.tail, limit=10_000))
        return [entry for entry in found if entry.request_id == request.headers["X-Request-Id"]]


@contextmanager
def database(server: RunningServer) -> Iterator[Beside]:
    """Open the database beside the server, as somebody with the database would."""
    with beside(server.settings) as connection:
        yield connection
