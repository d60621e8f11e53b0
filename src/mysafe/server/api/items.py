# SPDX-License-Identifier: Apache-2.0
"""Handlers of the items, the same six for every kind: parse, name the use case, encode (contract 1.1, 4 to 6)."""

from collections.abc import Callable
from functools import partial

from mysafe.domain.actions import Action
from mysafe.domain.deferred import Deferred
from mysafe.domain.ids import ItemId, ItemRef
from mysafe.domain.items import ItemView, ListedItem
from mysafe.protocol import codes, envelope
from mysafe.protocol.api_secrets import API_SECRETS
from mysafe.protocol.files import FILES
from mysafe.protocol.identifiers import parse_identifier
from mysafe.protocol.items import Wire, parse_filter, read_change
from mysafe.protocol.notes import NOTES
from mysafe.protocol.passwords import PASSWORDS
from mysafe.server.api.call import Answer, Call, Headers, Operation, Step
from mysafe.server.api.conditions import expected_versions, tag
from mysafe.services import items

WIRES = (PASSWORDS, NOTES, API_SECRETS)
"""The kinds of items that are wholly in their bodies."""

EVERY_WIRE = (*WIRES, FILES)
"""Every kind of item; those with a content have routes of their own for it (`files.py`)."""


def operations(wire: Wire) -> tuple[Operation, ...]:
    """Return the routes of a kind. PUT updates, and so does POST (contract 1.1)."""
    path, one = f"/api/mysafe/{wire.name}", "/{identifier}"

    def operation(method: str, end: str, action: Action, handler: Callable[[Wire, Call], Step]) -> Operation:
        return Operation(method, path + end, action, partial(handler, wire))

    return (
        operation("GET", "", Action.ITEM_LIST, list_all),
        operation("POST", "", Action.ITEM_CREATE, create),
        operation("GET", one, Action.ITEM_READ, read),
        operation("PUT", "/update" + one, Action.ITEM_UPDATE, update),
        operation("POST", "/update" + one, Action.ITEM_UPDATE, update),
        operation("POST", "/inactive" + one, Action.ITEM_DEACTIVATE, deactivate),
        operation("POST", "/active" + one, Action.ITEM_ACTIVATE, activate),
    )


def create(wire: Wire, call: Call) -> Step:
    """POST /api/mysafe/KIND."""
    draft = wire.parse_draft(call.fields(), call.compatibility)
    return Step(partial(items.create, draft=draft), partial(changed, wire, call, 201, wire.texts.created))


def read(wire: Wire, call: Call) -> Step:
    """GET /api/mysafe/KIND/{identifier}."""
    return Step(partial(items.read, ref=ref_of(wire, call)), partial(_entity, wire, call))


def update(wire: Wire, call: Call) -> Step:
    """PUT /api/mysafe/KIND/update/{identifier}; `If-Match` is honoured (RFC 9110, 13.1.1)."""
    change = Deferred(lambda: read_change(call.fields(), wire.shape, call.compatibility))
    work = partial(items.update, ref=ref_of(wire, call), change=change, expected_versions=expected_versions(call))
    return Step(work, partial(changed, wire, call, 200, wire.texts.updated))


def deactivate(wire: Wire, call: Call) -> Step:
    """POST /api/mysafe/KIND/inactive/{identifier}."""
    texts = wire.texts
    work = partial(items.set_active, ref=ref_of(wire, call), is_active=False)
    return Step(work, partial(_switched, call, texts.deactivated, texts.was_inactive))


def activate(wire: Wire, call: Call) -> Step:
    """POST /api/mysafe/KIND/active/{identifier}."""
    texts = wire.texts
    work = partial(items.set_active, ref=ref_of(wire, call), is_active=True)
    return Step(work, partial(_switched, call, texts.activated, texts.was_active))


def list_all(wire: Wire, call: Call) -> Step:
    """GET /api/mysafe/KIND."""
    wanted = parse_filter(call.query(*wire.filters))
    work = partial(
        items.list_items, kind=wire.kind, wanted=wanted, is_inactive_listed=call.compatibility.is_inactive_listed
    )
    return Step(work, partial(_lines, wire, call), is_look=True)


def ref_of(wire: Wire, call: Call) -> ItemRef:
    """Return the item that the path of a call names. Raises BadIdentifier."""
    return ItemRef(wire.kind, ItemId(parse_identifier(call.identifier)))


def changed(wire: Wire, call: Call, status: int, text: str, view: ItemView) -> Answer:
    """Return the answer to a create or an update."""
    return _success(call, status, text, wire.changed_key, wire.changed(view), _tag(view))


def _entity(wire: Wire, call: Call, view: ItemView) -> Answer:
    entity = wire.entity(view, call.compatibility)
    return _success(call, 200, codes.SUCCESS, wire.entity_key, entity, _tag(view))


def _lines(wire: Wire, call: Call, listed: list[ListedItem]) -> Answer:
    return _success(call, 200, codes.LISTED, wire.list_key, [wire.line(one) for one in listed])


def _switched(call: Call, done: str, was_so: str, has_changed: bool) -> Answer:  # noqa: FBT001  # as the engine gives it
    return _success(call, 200, done if has_changed else was_so, None, None)


def _success(call: Call, status: int, text: str, key: str | None, entity: object, headers: Headers = ()) -> Answer:
    mensagem = call.compatibility.is_mensagem_sent
    return Answer(status, envelope.success(status, text, key, entity, mensagem=mensagem), headers)


def _tag(view: ItemView) -> Headers:
    return (tag(view.item.version),)
