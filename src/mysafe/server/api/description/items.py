# SPDX-License-Identifier: Apache-2.0
"""Describe the operations on items, the same seven for every kind (contract 4 to 6)."""

import json

from mysafe.domain import errors
from mysafe.domain.actions import Action
from mysafe.domain.ids import Kind
from mysafe.protocol import codes, envelope
from mysafe.protocol.body import FORM, JSON
from mysafe.protocol.fields import LIMITS, NOTE, SEED
from mysafe.protocol.files import CONTENT
from mysafe.protocol.items import Wire
from mysafe.server.api.call import Operation
from mysafe.server.api.description import contents, failures, parts, words
from mysafe.server.api.description.failures import Failure
from mysafe.server.api.description.parts import Maker
from mysafe.server.api.description.samples import sample
from mysafe.server.api.description.schemas import REFERENCE, Schema, entity_types, request_name
from mysafe.server.api.endpoint import DOCUMENTED
from mysafe.server.api.items import EVERY_WIRE

_NAMES = {
    Action.ITEM_LIST: ("list_{}s", "List the {}s you may read"),
    Action.ITEM_CREATE: ("create_{}", "Make a {}"),
    Action.ITEM_READ: ("read_{}", "Read a {}"),
    Action.ITEM_UPDATE: ("update_{}", "Change a {}"),
    Action.ITEM_DEACTIVATE: ("deactivate_{}", "Deactivate a {}"),
    Action.ITEM_ACTIVATE: ("activate_{}", "Activate a {}"),
    Action.ITEM_DOWNLOAD: ("download_{}", "Download the content of a {}"),
}
_TAGS = {Kind.PASSWORD: "Passwords", Kind.NOTE: "Notes", Kind.API_SECRET: "API secrets", Kind.FILE: "Files"}
_WRITES = frozenset({Action.ITEM_CREATE, Action.ITEM_UPDATE})
_TAGGED = _WRITES | {Action.ITEM_READ}


def wire_of(operation: Operation) -> Wire | None:
    """Return the kind of item an operation is about, or None for any other operation."""
    for wire in EVERY_WIRE:
        path = f"/api/mysafe/{wire.name}"
        if operation.action in _NAMES and (operation.path == path or operation.path.startswith(path + "/")):
            return wire
    return None


def describe(operation: Operation, wire: Wire, maker: Maker) -> Schema:
    """Return the description of an operation on items."""
    name, summary = _NAMES[operation.action]
    is_alias = operation.action is Action.ITEM_UPDATE and operation.method == "POST"
    noun = words.NOUNS[wire.kind]
    summary = summary.format(noun).replace("a API", "an API")
    found: Schema = {
        "operationId": name.format(wire.kind.value) + ("_by_post" if is_alias else ""),
        "summary": summary + (" (same as PUT)" if is_alias else ""),
        "tags": [_TAGS[wire.kind]],
        "parameters": parts.path_parameters(operation.path) + _parameters(operation, wire),
    }
    if operation.action in _WRITES:
        found["requestBody"] = _request(operation, wire, maker)
    is_download = operation.action is Action.ITEM_DOWNLOAD
    answers = contents.downloaded(maker) if is_download else _success(operation, wire, maker)
    answers |= parts.failed(maker, operation, "", _failures(operation, wire, maker))
    found["responses"] = dict(sorted(answers.items()))
    return found


def _parameters(operation: Operation, wire: Wire) -> list[Schema]:
    if operation.action is Action.ITEM_LIST:
        return [
            {**one, "description": f"{one['description']} Only items that have exactly this; case does not count."}
            for one in parts.query_parameters(wire.filters)
        ]
    if operation.action is Action.ITEM_DOWNLOAD:
        return contents.RANGE_PARAMETERS
    with_content = [contents.FIELDS_PARAMETER] if wire.kind is Kind.FILE and operation.action in _WRITES else []
    if operation.action is Action.ITEM_UPDATE:
        text = "Change the item only if it is at a version named here, as `ETag` gave it (RFC 9110)."
        return [
            {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}, "description": text},
            *with_content,
        ]
    return with_content


def _request(operation: Operation, wire: Wire, maker: Maker) -> Schema:
    is_update = operation.action is Action.ITEM_UPDATE
    name, components = request_name(wire, is_update=is_update), maker.schemas.components
    if wire.kind is Kind.FILE:
        return contents.request(name, maker, is_update=is_update)
    example = sample(components[name], components, words.EXAMPLES[wire.kind], is_complete=True)
    return {
        "required": not is_update,
        "content": {
            JSON: {"schema": {"$ref": REFERENCE + name}, "example": example},
            FORM: {"schema": {"$ref": REFERENCE + name + "Form"}},
        },
    }


def _success(operation: Operation, wire: Wire, maker: Maker) -> dict[str, Schema]:
    """Return the answer to a call that succeeds (contract 1.3)."""
    status = 201 if operation.action is Action.ITEM_CREATE else 200
    key, entity = _entity(operation, wire, maker)
    schema: Schema = {
        "type": "object",
        "properties": {"code": {"const": status}, "response": {"$ref": REFERENCE + "Outcome"}},
        "required": ["code", "response"],
    }
    if key is not None:
        schema["properties"][key] = entity
        schema["required"].append(key)
    shown = sample(entity, maker.schemas.components, words.EXAMPLES[wire.kind])
    mensagem = maker.compatibility.is_mensagem_sent
    texts = _texts(operation, wire)
    examples = {
        text.replace(" ", "_") or "Listed": {
            "summary": text or "The items",
            "value": json.loads(envelope.success(status, text, key, shown, mensagem=mensagem)),
        }
        for text in texts
    }
    headers = dict(parts.REQUEST_ID)
    if operation.action in _TAGGED:
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    answer: Schema = {"description": (texts[0] or "The items") + ".", "headers": headers}
    answer["content"] = {JSON: {"schema": schema, "examples": examples}}
    if operation.action is Action.ITEM_CREATE:
        answer["links"] = _links(wire)
    return {str(status): answer}


def _links(wire: Wire) -> Schema:
    """Return what can be done next with the identifier of a new item."""
    parameters = {"identifier": f"$response.body#/{wire.changed_key}/identifier"}
    return {
        name.format(wire.kind.value): {"operationId": name.format(wire.kind.value), "parameters": parameters}
        for action, (name, _) in _NAMES.items()
        if action not in {Action.ITEM_CREATE, Action.ITEM_LIST}
        and (wire.kind is Kind.FILE or action is not Action.ITEM_DOWNLOAD)
    }


def _entity(operation: Operation, wire: Wire, maker: Maker) -> tuple[str | None, Schema]:
    """Return key and schema of what an answer holds besides the outcome; None where there is nothing."""
    changed, entity, line = (maker.schemas.of(one) for one in entity_types(wire))
    match operation.action:
        case Action.ITEM_CREATE | Action.ITEM_UPDATE:
            return wire.changed_key, changed
        case Action.ITEM_READ:
            return wire.entity_key, entity
        case Action.ITEM_LIST:
            return wire.list_key, {"type": "array", "items": line}
        case _:
            return None, {}


def _texts(operation: Operation, wire: Wire) -> tuple[str, ...]:
    texts = wire.texts
    return {
        Action.ITEM_LIST: (codes.LISTED,),
        Action.ITEM_CREATE: (texts.created,),
        Action.ITEM_READ: (codes.SUCCESS,),
        Action.ITEM_UPDATE: (texts.updated,),
        Action.ITEM_DEACTIVATE: (texts.deactivated, texts.was_inactive),
        Action.ITEM_ACTIVATE: (texts.activated, texts.was_active),
    }[operation.action]


def _failures(operation: Operation, wire: Wire, maker: Maker) -> list[Failure]:
    """Return the errors an operation may be answered with, in the order they are looked for (contract 7)."""
    what = wire.kind.value
    found: list[errors.VaultError] = []
    if operation.action is Action.ITEM_LIST:
        found.append(errors.InvalidField(wire.filters[0]))
    if parts.variables(operation.path):
        found += [errors.BadIdentifier(), errors.NotFound(what), errors.AccessDenied("", what)]
    if operation.action in {Action.ITEM_READ, Action.ITEM_DOWNLOAD}:
        found.append(errors.Inactive(what))
    if operation.action is Action.ITEM_READ:
        found.append(errors.NotEncryptable())
    if operation.action in _WRITES:
        found += _body_errors(wire, maker)
    if operation.action is Action.ITEM_UPDATE:
        found.append(errors.VersionMismatch())
    door, switches = operation.door or DOCUMENTED, maker.compatibility
    return [failures.failure(door, one, switches) for one in found] + failures.general(door, switches)


def _body_errors(wire: Wire, maker: Maker) -> list[errors.VaultError]:
    names, required = wire.shape.names, wire.shape.required
    found: list[errors.VaultError] = [errors.BadBody(), *(errors.MissingField(one) for one in names if one in required)]
    found += [errors.InvalidField(names[0]), errors.TooLong(names[0], LIMITS[names[0]])]
    if NOTE in names:
        found.append(errors.TooLong(NOTE, maker.compatibility.longest_note))
    if SEED in names:
        found.append(errors.BadSeed(SEED))
    if wire.kind is Kind.FILE:
        found += [errors.MissingField(CONTENT), errors.BadMultipart(), errors.QuotaReached(), errors.StoreFull()]
    if wire.kind is Kind.API_SECRET:  # its answer echoes the secret
        found += [errors.DuplicateIdentifier(), errors.NotEncryptable()]
    return found
