# SPDX-License-Identifier: Apache-2.0
"""Records beside the items, each with a canary of its own: groups, users, access keys, transfers of items."""

from collections.abc import Callable
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select

from mysafe.storage import schema
from mysafe.storage.statements import compile_statement
from tests.support.server import authorization

if TYPE_CHECKING:
    from tests.contract.api.authorization.scene import House

RECORD_MARK = "RECORD"

_TABLES = {
    "private-groups": schema.groups,
    "groups": schema.groups,
    "users": schema.users,
    "access-keys": schema.access_keys,
    "transfers": schema.transfers,
}
_ROWS = {
    family: compile_statement(select(table.c.version, table.c.dek).where(table.c.id == bindparam("of_id")), ("of_id",))
    for family, table in _TABLES.items()
}


class Record(NamedTuple):
    """A record: its identifier, a text that only those see who may see it, and the item that a transfer moves."""

    identifier: str
    canary: str
    item: str = ""
    heir: str = ""


def row_of(house: "House", family: str, record: Record) -> object:
    """Return version and wrapped key of a record; whatever writes it gives it a fresh key."""
    if family not in _ROWS:
        return None
    return house.server.operate(lambda uow: list(uow._tx.rows(_ROWS[family], int(record.identifier))))


def record_of_others(house: "House", family: str) -> Record:
    """Make a record that a caller has nothing to do with, or that administrators look after."""
    return _OF_OTHERS[family](house, f"{RECORD_MARK}{house.random_letters()}")


def own_record(house: "House", family: str, token: str) -> Record | None:
    """Make one of the caller's own; None where there is no such thing."""
    if family not in {"private-groups", "access-keys"}:
        return None
    return _described(house, family, token, f"{RECORD_MARK}{house.random_letters()}")


def _described(house: "House", family: str, token: str, canary: str) -> Record:
    made = _made(house, token, family, {"name": f"{family} {token_hex(8)}", "description": canary})
    return Record(str(made.get("access_key", made)["id"]), canary)


def _made(house: "House", token: str, family: str, body: dict[str, str]) -> dict[str, Any]:
    answer = house.client.post(f"/api/manage/{family}", json=body, headers=authorization(token))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _of_somebody(family: str) -> Callable[["House", str], Record]:
    return lambda house, canary: _described(house, family, house.server.new_token(house.server.new_actor()), canary)


def _system_group(house: "House", canary: str) -> Record:
    return _described(house, "groups", house.administrator, canary)


def _user(house: "House", canary: str) -> Record:
    body = {"username": f"user {token_hex(8)}", "email": f"{canary}@example.org"}
    return Record(str(_made(house, house.administrator, "users", body)["id"]), canary)


def _leaver(house: "House", canary: str) -> Record:
    """Make a disabled user, who is named like the canary and has a note, and an heir."""
    house.server.ensure_user(canary)
    item = house.server.create(house.server.new_token(canary), "note", {"name": "left", "note": "left"})
    house.server.set_user_active(canary, is_active=False)
    return Record("", canary, item, house.server.new_actor())


def _transfer(house: "House", canary: str) -> Record:
    record = _leaver(house, canary)
    made = _made(house, house.administrator, "transfers", {"from": canary, "to": record.heir})
    return record._replace(identifier=str(made["identifier"]))


_OF_OTHERS: dict[str, Callable[["House", str], Record]] = {
    "private-groups": _of_somebody("private-groups"),
    "access-keys": _of_somebody("access-keys"),
    "groups": _system_group,
    "users": _user,
    "leavers": _leaver,
    "transfers": _transfer,
}
