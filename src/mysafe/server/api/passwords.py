# SPDX-License-Identifier: Apache-2.0
"""Handlers of `/api/mysafe/password`: parse, name the use case, encode (contract 4)."""

from functools import partial

from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.domain.items import ListedItem, PasswordView
from mysafe.protocol import codes, envelope, passwords
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.call import Answer, Call, Step
from mysafe.services import items


def create(call: Call) -> Step:
    """POST /api/mysafe/password (contract 4.1)."""
    draft = passwords.parse_password_draft(call.fields())
    return Step(partial(items.create_password, draft=draft), partial(_created, call))


def read(call: Call) -> Step:
    """GET /api/mysafe/password/{identifier} (contract 4.3)."""
    ref = ItemRef(Kind.PASSWORD, ItemId(parse_identifier(call.identifier)))
    return Step(partial(items.read_password, ref=ref), partial(_entity, call))


def list_all(call: Call) -> Step:
    """GET /api/mysafe/password (contract 4.2)."""
    wanted = passwords.parse_password_filter(call.query("tag", "name", "username", "url"))
    work = partial(
        items.list_items,
        kind=Kind.PASSWORD,
        wanted=wanted,
        is_inactive_listed=call.compatibility.is_inactive_listed,
    )
    return Step(work, partial(_lines, call), is_look=True)


def _created(call: Call, view: PasswordView) -> Answer:
    entity = passwords.created_password(view)
    return _success(call, 201, codes.PASSWORD_CREATED, "password_entity", entity)


def _entity(call: Call, view: PasswordView) -> Answer:
    return _success(call, 200, codes.SUCCESS, "password_entity", passwords.password_entity(view))


def _lines(call: Call, listed: list[ListedItem]) -> Answer:
    lines = [passwords.password_line(line) for line in listed]
    return _success(call, 200, codes.LISTED, "password_on_list", lines)


def _success(call: Call, status: int, text: str, key: str, entity: object) -> Answer:
    mensagem = call.compatibility.is_mensagem_sent
    return Answer(status, envelope.success(status, text, key, entity, mensagem=mensagem))
