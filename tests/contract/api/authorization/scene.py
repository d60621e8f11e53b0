# SPDX-License-Identifier: Apache-2.0
"""A scene: items of somebody, a caller in a relation to them, and a canary in every text of every item."""

from base64 import b32encode
from secrets import token_bytes
from typing import Any

import httpx
from sqlalchemy import select

from mysafe.storage import schema
from mysafe.storage.statements import compile_statement
from tests.contract.api.authorization.relations import Actor, Relation, Share
from tests.contract.api.authorization.table import (
    FIELDS,
    FILTERS,
    KINDS,
    MANAGEMENT,
    ROUTES,
    Endpoint,
    Route,
    State,
    Work,
    management_body,
)
from tests.support.principals import begin_sequences
from tests.support.server import RunningServer, authorization

MARK = "CANARY"
STORED_KINDS = {"password": "password", "note": "note", "secretapi": "api_secret"}
MISSING, TOO_LARGE, NO_NUMBER = "999999999", "9" * 25, "none"

Versions = dict[tuple[str, str], tuple[int, bytes]]

_COLUMNS = schema.items.c
_ITEMS = compile_statement(select(_COLUMNS.kind, _COLUMNS.id, _COLUMNS.version, _COLUMNS.dek), ())


def canary() -> str:
    """Return a text that stands nowhere else, and is base32 as the seed of a password must be."""
    return MARK + b32encode(token_bytes(12)).decode()[:18]


class House:
    """A server, a client, and an owner of items."""

    def __init__(self, server: RunningServer, client: httpx.Client) -> None:
        begin_sequences(server, note=1_000_000, api_secret=2_000_000)  # so no number is that of items of two kinds
        self.server = server
        self.client = client
        self.owner = server.new_token(server.new_actor())

    def versions(self) -> Versions:
        """Return version and wrapped key of every item; whatever writes an item gives it a fresh key."""
        rows = self.server.operate(lambda uow: uow._tx.rows(_ITEMS))
        return {(str(kind), str(number)): (int(str(version)), bytes(dek)) for kind, number, version, dek in rows}  # type: ignore[arg-type]


class Item:
    """An item of a scene, and the canary in each of its texts."""

    def __init__(self, house: House, owner: str, kind: str, sharing: dict[str, Any]) -> None:
        self.kind = kind
        self.canaries = {field: canary() for field in FIELDS[kind]}
        self.identifier = house.server.create(owner, kind, {**self.canaries, **sharing})

    @property
    def key(self) -> tuple[str, str]:
        """Return how `House.versions` calls it."""
        return STORED_KINDS[self.kind], self.identifier


class Scene:
    """Everything one relation needs to call a route: an active and an inactive item, and one of another kind."""

    def __init__(self, house: House, route: Route, relation: Relation) -> None:
        self.house = house
        self.relation = relation
        self.actor = Actor(house.server, is_admin=relation.is_admin)
        self._owner = self.actor.token if relation.share is Share.OWN and self.actor.token else house.owner
        kind = route.kind or KINDS[0]
        other_kind = KINDS[(KINDS.index(kind) + 1) % len(KINDS)]
        self.items = {
            State.ACTIVE: self._item(kind),
            State.INACTIVE: self._item(kind),
            State.OTHER_KIND: self._item(other_kind),
        }
        house.server.deactivate(self._owner, kind, self.items[State.INACTIVE].identifier)
        if relation.is_withdrawn:
            self._withdraw()
        relation.happens(self.actor)

    def _item(self, kind: str) -> Item:
        return Item(self.house, self._owner, kind, self.actor.sharing(self.relation.share))

    def _withdraw(self) -> None:
        for item in self.items.values():
            path = f"/api/mysafe/{item.kind}/update/{item.identifier}"
            nobody: dict[str, Any] = {"users_allowed": [], "groups_allowed": []}
            answer = self.house.client.put(path, json=nobody, headers=authorization(self._owner))
            assert answer.status_code == 200, answer.text

    def call(self, endpoint: Endpoint, state: State, *, prefix: str = "/api/") -> httpx.Response:
        """Do as the caller of the scene. `prefix` is "/api/" or one of its aliases."""
        route, headers = ROUTES[endpoint], dict(self.actor.headers)
        path = endpoint[1].replace("/api/", prefix, 1).replace("{identifier}", self._identifier(state))
        if route.work is Work.ISSUE_TOKEN:
            return self._ask_for_a_token(endpoint[0], path, headers)
        if self.actor.token is not None:
            headers.update(authorization(self.actor.token))
        query = self._filter(route) if state is State.FILTERED else {}
        if endpoint[1].endswith("/principals"):
            query = {"search": "a name that nobody has"}
        body = (
            management_body(endpoint, f"mine-{token_bytes(8).hex()}") if route.work in MANAGEMENT else self._body(route)
        )
        return self.house.client.request(endpoint[0], path, params=query, json=body, headers=headers)

    def _identifier(self, state: State) -> str:
        numbers = {State.MISSING: MISSING, State.TOO_LARGE: TOO_LARGE, State.NO_NUMBER: NO_NUMBER}
        return self.items[state].identifier if state in self.items else numbers.get(state, "")

    def _filter(self, route: Route) -> dict[str, str]:
        """Return a query that only the active item passes."""
        canaries = self.items[State.ACTIVE].canaries
        return {name: canaries[field] for name, field in FILTERS[route.kind].items()}

    def _body(self, route: Route) -> dict[str, Any] | None:
        """Return what is sent: an update tries to let the caller edit, a create to take over an item that is there."""
        if route.work is Work.UPDATE:
            return {"users_allowed": [{"username": self.actor.name, "can_edit": True}]}
        if route.work is Work.CREATE:
            identifier = self.items[State.ACTIVE].identifier
            mine = dict.fromkeys(FIELDS[route.kind], "MYOWNTEXT234")
            return {**mine, "identifier": identifier, "id": int(identifier), "owner": self.actor.name, "owner_id": 1}
        return None

    def _ask_for_a_token(self, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        client, key = self.house.client, self.actor.key
        if method == "GET":
            return client.get(path, auth=key, headers=headers)
        credentials = {"client_id": key[0], "client_secret": key[1]} if key is not None else {}
        return client.post(path, data={"grant_type": "client_credentials", **credentials}, headers=headers)
