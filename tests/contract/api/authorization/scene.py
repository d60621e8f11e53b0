# SPDX-License-Identifier: Apache-2.0
"""A scene: items of somebody, a caller in a relation to them, and a canary in every text of every item."""

from base64 import b32encode
from secrets import token_bytes
from typing import Any

import httpx
from sqlalchemy import select

from mysafe.storage import schema
from mysafe.storage.statements import compile_statement
from tests.contract.api.authorization.classes import ACCOUNTS, KINDS, PAST, Endpoint, Route, State, Work
from tests.contract.api.authorization.managed import body_of
from tests.contract.api.authorization.records import Record, own_record, record_of_others
from tests.contract.api.authorization.relations import Actor, Relation, Share
from tests.contract.api.authorization.table import ROUTES
from tests.contract.api.authorization.words import FIELDS, FILTERS
from tests.support.file_client import RAW, fields_header, stored_files, upload
from tests.support.principals import begin_sequences
from tests.support.server import RunningServer, authorization

MARK = "CANARY"
MINE = "MYOWNTEXT234"
STORED_KINDS = {"password": "password", "note": "note", "secretapi": "api_secret", "file": "file"}
MISSING, TOO_LARGE, NO_NUMBER = "999999999", "9" * 25, "none"

Versions = dict[tuple[str, str], tuple[int, bytes]]

_COLUMNS = schema.items.c
_ITEMS = compile_statement(select(_COLUMNS.kind, _COLUMNS.id, _COLUMNS.version, _COLUMNS.dek), ())


def canary() -> str:
    """Return a text that stands nowhere else, and is base32 as the seed of a password must be."""
    return MARK + _random_letters()


def _random_letters() -> str:
    return b32encode(token_bytes(12)).decode()[:18]


class House:
    """A server, a client, an owner of items, an administrator, and somebody items can be shared with.

    `items` counts those of all scenes. `quiet_scenes` are scenes in which nothing may change, by what they are made
    of: one serves many routes.
    """

    def __init__(self, server: RunningServer, client: httpx.Client) -> None:
        # so no number is that of items of two kinds
        begin_sequences(server, note=1_000_000, api_secret=2_000_000, file=3_000_000)
        self.server = server
        self.client = client
        self.owner = server.new_token(server.new_actor())
        self.administrator = server.new_token(server.new_actor(is_admin=True))
        self.bystander = server.new_actor()
        self.items = 0
        self.quiet_scenes: dict[object, Scene] = {}

    random_letters = staticmethod(_random_letters)

    def versions(self) -> Versions:
        """Return version and wrapped key of every item; whatever writes an item gives it a fresh key."""
        rows = self.server.operate(lambda uow: uow._tx.rows(_ITEMS))
        return {(str(kind), str(number)): (int(str(version)), bytes(dek)) for kind, number, version, dek in rows}  # type: ignore[arg-type]

    def contents(self) -> set[str]:
        """Return the names of all contents of files."""
        return {path.name for path in stored_files(self.server.settings.data)}


class Item:
    """An item of a scene, its version, and the canary in each of its texts; `first` are those of its first version."""

    def __init__(self, house: House, owner: str, kind: str, sharing: dict[str, Any]) -> None:
        self.kind = kind
        self.version = 1
        self.canaries = self.first = {field: canary() for field in FIELDS[kind]}
        self._house, self._owner = house, owner
        house.items += 1
        if kind == "file":
            content = canary()
            self.identifier = upload(house.server, owner, content.encode(), **self.canaries, **sharing)
            self.canaries = {**self.canaries, "content": content}
        else:
            self.identifier = house.server.create(owner, kind, {**self.canaries, **sharing})

    @property
    def key(self) -> tuple[str, str]:
        """Return how `House.versions` calls it."""
        return STORED_KINDS[self.kind], self.identifier

    def replace_texts(self) -> None:
        """Give it another version with other canaries."""
        self.canaries = {field: canary() for field in FIELDS[self.kind]}
        self.update(self.canaries)

    def update(self, body: dict[str, Any]) -> None:
        path = f"/api/mysafe/{self.kind}/update/{self.identifier}"
        answer = self._house.client.put(path, json=body, headers=authorization(self._owner))
        assert answer.status_code == 200, answer.text
        self.version += 1

    def deactivate(self) -> None:
        self._house.server.deactivate(self._owner, self.kind, self.identifier)
        self.version += 1


class Scene:
    """Everything one relation needs to call a route.

    There are an active and an inactive item and one of another kind, as far as the table asks for them; and a record
    of the caller's own and one of somebody else for routes about such records.
    """

    def __init__(self, house: House, route: Route, relation: Relation) -> None:
        self.house = house
        self.route = route
        self.relation = relation
        self.actor = Actor(house.server, is_admin=relation.is_admin)
        self._owner = self.actor.token if relation.share is Share.OWN and self.actor.token else house.owner
        self.items = self._make_items(route)
        self.records: dict[State, Record] = {}
        if route.record:
            self._make_records(route.record)
        if relation.is_withdrawn:
            for item in self.items.values():
                item.update({"users_allowed": [], "groups_allowed": []})
        relation.happens(self.actor)

    def _make_items(self, route: Route) -> dict[State, Item]:
        kind = route.kind or KINDS[0]
        other_kind = KINDS[(KINDS.index(kind) + 1) % len(KINDS)]
        made = {State.ACTIVE: self._item(kind)}
        if route.work not in ACCOUNTS:
            made |= {State.INACTIVE: self._item(kind), State.OTHER_KIND: self._item(other_kind)}
        for item in made.values():
            if route.work in PAST:
                item.replace_texts()
        if State.INACTIVE in made:
            made[State.INACTIVE].deactivate()
        return made

    def _item(self, kind: str) -> Item:
        return Item(self.house, self._owner, kind, self.actor.sharing(self.relation.share))

    def _make_records(self, family: str) -> None:
        self.records[State.OTHERS] = record_of_others(self.house, family)
        assert self.actor.token is not None
        own = own_record(self.house, family, self.actor.token)
        if own is not None:
            self.records[State.OWN] = own

    def call(self, endpoint: Endpoint, state: State, *, prefix: str = "/api/") -> httpx.Response:
        """Do as the caller of the scene. `prefix` is "/api/" or one of its aliases."""
        route, headers = ROUTES[endpoint], dict(self.actor.headers)
        path = endpoint[1].replace("/api/", prefix, 1).replace("{identifier}", self._identifier(state))
        path = path.replace("{version}", "1")
        if route.work is Work.ISSUE_TOKEN:
            return self._ask_for_a_token(endpoint[0], path, headers)
        if self.actor.token is not None:
            headers.update(authorization(self.actor.token))
        query = self._filter(route) if state is State.FILTERED else {}
        if endpoint[1].endswith("/principals"):
            query = {"search": "a name that nobody has"}
        body = self._body(endpoint, state)
        if endpoint[0] == "POST" and route.kind == "file" and body is not None:  # with a content, as to PUT without one
            headers.update({"Content-Type": RAW, **fields_header(**body)})
            return self.house.client.post(path, content=MINE.encode(), headers=headers)
        return self.house.client.request(endpoint[0], path, params=query, json=body, headers=headers)

    def _identifier(self, state: State) -> str:
        numbers = {State.MISSING: MISSING, State.TOO_LARGE: TOO_LARGE, State.NO_NUMBER: NO_NUMBER}
        if state in self.records:
            return self.records[state].identifier
        return self.items[state].identifier if state in self.items else numbers.get(state, "")

    def _filter(self, route: Route) -> dict[str, str]:
        """Return a query that only the active item passes."""
        canaries = self.items[State.ACTIVE].canaries
        return {name: canaries[field] for name, field in FILTERS[route.kind].items()}

    def _body(self, endpoint: Endpoint, state: State) -> dict[str, Any] | None:
        """Return what is sent: an update tries to let the caller edit, a create to take over an item that is there."""
        route = ROUTES[endpoint]
        if route.work is Work.UPDATE:
            return {"users_allowed": [{"username": self.actor.name, "can_edit": True}]}
        if route.work is Work.CREATE:
            identifier = self.items[State.ACTIVE].identifier
            mine = dict.fromkeys(FIELDS[route.kind], MINE)
            return {**mine, "identifier": identifier, "id": int(identifier), "owner": self.actor.name, "owner_id": 1}
        if route.work is Work.BATCH:
            items = [{"kind": route.kind, "identifier": self._identifier(state)}]
            share = {"action": "share", "items": items, "users": [{"username": self.house.bystander}]}
            return {"action": "activate", "items": items} if state is State.INACTIVE else share
        if route.record == "leavers":
            leaver = self.records[State.OTHERS]
            return {"from": leaver.canary, "to": leaver.heir}
        return body_of(endpoint, f"mine-{token_bytes(8).hex()}") if route.work in ACCOUNTS else None

    def _ask_for_a_token(self, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        client, key = self.house.client, self.actor.key
        if method == "GET":
            return client.get(path, auth=key, headers=headers)
        credentials = {"client_id": key[0], "client_secret": key[1]} if key is not None else {}
        return client.post(path, data={"grant_type": "client_credentials", **credentials}, headers=headers)
