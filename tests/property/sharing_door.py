# SPDX-License-Identifier: Apache-2.0
"""Say over HTTP what the sharing model says in sets: calls out, replies back."""

import itertools
from collections.abc import Iterable
from typing import Any

import httpx

from tests.property.sharing_model import UNAUTHENTICATED, Entries, Line, Ref, Reply, Shares
from tests.support.principals import change_group
from tests.support.server import RunningServer, authorization

KINDS = ("password", "note", "secretapi")
ENTITY_KEYS = ("password_entity", "note_entity", "api_entity", "api_secret_entity")
LIST_KEYS = {"password": "password_on_list", "note": "note_on_list", "secretapi": "api_secret_on_list"}
REQUIRED = {
    "password": {"username": "u", "password": "p"},
    "note": {"note": "n"},
    "secretapi": {"url": "l", "client_id": "i"},
}


class Door:
    """The HTTP door of a server, with users who have tokens."""

    def __init__(self, server: RunningServer, client: httpx.Client) -> None:
        self._server = server
        self._client = client
        self._names = (f"name {number}" for number in itertools.count(1))
        self._keys: dict[str, tuple[str, str]] = {}
        self._tokens: dict[str, str] = {}

    def new_user(self) -> str:
        """Return the name of a new user with a token."""
        user = self._server.new_actor()
        self._keys[user] = self._server.new_key(user)
        self._tokens[user] = self._server.token(self._keys[user])
        return user

    def new_group(self) -> str:
        """Return the name of a new group without members."""
        name = f"group {self.new_name()}"
        self._server.ensure_group(name, [])
        return name

    def new_name(self) -> str:
        """Return a name that was not given before."""
        return next(self._names)

    def change_group(self, name: str, members: Iterable[str], *, is_enabled: bool) -> None:
        """Let a group have these members, and be enabled or not."""
        change_group(self._server, name, sorted(members), is_enabled=is_enabled)

    def set_user_active(self, user: str, *, is_active: bool) -> None:
        """Disable or enable a user; who is enabled takes a new token."""
        self._server.set_user_active(user, is_active=is_active)
        if is_active:
            self._tokens[user] = self._server.token(self._keys[user])

    def create(self, user: str, kind: str, name: str, users: Entries, groups: Entries) -> tuple[int | None, Reply]:
        """Create an item; return its identifier, None if there is none, and what the answer says."""
        body = {"name": name, **REQUIRED[kind], **_sharing(users, groups)}
        answer = self._call("POST", user, f"/api/mysafe/{kind}", body)
        entity = _entity(answer)
        return int(entity["identifier"]) if entity else None, _reply(answer, has_changed=True)

    def read(self, user: str, ref: Ref) -> Reply:
        """Read an item."""
        return _reply(self._call("GET", user, f"/api/mysafe/{ref[0]}/{ref[1]}"))

    def update(self, user: str, ref: Ref, name: str | None, users: Entries, groups: Entries) -> Reply:
        """Change an item's name, its sharing, or both."""
        body = {"name": name, **_sharing(users, groups)}
        return _reply(self._call("PUT", user, f"/api/mysafe/{ref[0]}/update/{ref[1]}", body), has_changed=True)

    def switch(self, user: str, ref: Ref, *, is_active: bool) -> Reply:
        """Activate or deactivate an item."""
        word = "active" if is_active else "inactive"
        answer = self._call("POST", user, f"/api/mysafe/{ref[0]}/{word}/{ref[1]}")
        return _reply(answer, has_changed="already" not in answer.text)

    def listed(self, user: str, kind: str) -> list[Line] | None:
        """Return the lines of a list, None if the user is not authenticated."""
        answer = self._call("GET", user, f"/api/mysafe/{kind}")
        if answer.status_code == UNAUTHENTICATED:
            return None
        lines = answer.json()[LIST_KEYS[kind]]
        assert all(line["can_view"] is True for line in lines)
        return [Line(int(line["identifier"]), line["name"], line["can_write"]) for line in lines]

    def _call(self, method: str, user: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return self._client.request(method, path, json=body, headers=authorization(self._tokens[user]))


def _sharing(users: Entries, groups: Entries) -> dict[str, Any]:
    """Return the sharing fields of a body."""
    fields: dict[str, Any] = {}
    for field, key, entries in (("users_allowed", "username", users), ("groups_allowed", "name", groups)):
        if entries is not None:
            fields[field] = [_object(key, name, can_edit) for name, can_edit in entries]
    return fields


def _object(key: str, name: str | None, can_edit: object) -> dict[str, object]:
    named: dict[str, object] = {} if name is None else {key: name}
    return named if can_edit is None else {**named, "can_edit": can_edit}


def _entity(answer: httpx.Response) -> dict[str, Any] | None:
    body = answer.json()
    return next((body[key] for key in ENTITY_KEYS if key in body), None)


def _reply(answer: httpx.Response, *, has_changed: bool = False) -> Reply:
    if answer.status_code not in {200, 201}:
        body = answer.json()
        return Reply(body["exception"]["code"] if "exception" in body else answer.status_code)
    entity = _entity(answer)
    if entity is None:
        return Reply(has_changed=has_changed)
    errors = entity.get("shared_error", [])
    unshared = frozenset(error.get("username", error.get("name", "")) for error in errors)
    users, groups = _shares(entity["users_allowed"]), _shares(entity["groups_allowed"])
    return Reply(0, entity["name"], users, groups, unshared, has_changed)


def _shares(entries: list[dict[str, Any]]) -> Shares:
    shares = {str(entry.get("username", entry.get("name"))): bool(entry["can_edit"]) for entry in entries}
    assert len(shares) == len(entries), "somebody is in a list twice"
    return frozenset(shares.items())
