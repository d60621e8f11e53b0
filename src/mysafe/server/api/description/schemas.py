# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of what is sent: of models and return types by their annotations, of item requests by their `Shape`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, get_args, get_type_hints, is_typeddict

import msgspec

from mysafe.domain.secret_text import SecretText
from mysafe.protocol.compatibility import Compatibility
from mysafe.protocol.envelope import Fault, Gateway, Outcome
from mysafe.protocol.fields import GROUPS_ALLOWED, LIMITS, NOTE, SEED, USERS_ALLOWED
from mysafe.protocol.items import Wire
from mysafe.protocol.oauth2 import GRANT, TokenAnswer, TokenError
from mysafe.server.api.description import words
from mysafe.server.api.manage.problems import ProblemDocument

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema, or another part of the document."""

REFERENCE = "#/components/schemas/"

WIRE_TYPES: tuple[type, ...] = (Outcome, Fault, Gateway, TokenAnswer, TokenError, ProblemDocument)
"""What answers are made of besides entities and models."""


def returned(function: Callable[..., object]) -> type:
    """Return the type that a function says it returns."""
    hint: type = get_type_hints(function)["return"]
    return hint


def entity_types(wire: Wire) -> tuple[type, type, type]:
    """Return the types of an item after a change, of a single one, and of a line in a list."""
    return returned(wire.changed), returned(wire.entity), returned(wire.line)


class Schemas:
    """The schemas of a document, each by its name. All types must be known at once, so that no two share a name."""

    def __init__(self, wires: Iterable[Wire], models: Iterable[type], compatibility: Compatibility) -> None:
        wires = tuple(wires)
        explained = [*WIRE_TYPES, *(one for wire in wires for one in entity_types(wire))]
        types = list(dict.fromkeys([*explained, *models]))
        found, components = msgspec.json.schema_components(
            types, schema_hook=_schema_of, ref_template=REFERENCE + "{name}"
        )
        self._by_type = dict(zip(types, found, strict=True))
        self.components: dict[str, Schema] = dict(components)
        for one in _typed_dicts(types):
            _order(self.components.get(one.__name__, {}), list(get_type_hints(one)))
        for name in self._reachable(self._by_type[one] for one in explained):
            _explain(name, self.components[name])
        for wire in wires:
            self._add_requests(wire, compatibility)
        self.components["TokenRequest"] = _token_request()
        self.components["Failure"] = _failure()

    def of(self, model: type) -> Schema:
        """Return the schema of a type, nearly always a reference."""
        return self._by_type[model]

    def _reachable(self, roots: Iterable[Schema]) -> set[str]:
        found: set[str] = set()
        waiting = [name for root in roots for name in _references(root)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += _references(self.components[name])
        return found

    def _add_requests(self, wire: Wire, compatibility: Compatibility) -> None:
        noun = words.NOUNS[wire.kind]
        for is_form in (False, True):
            end = "Form" if is_form else ""
            properties = _request_properties(wire, compatibility, is_form=is_form)
            draft: Schema = {
                "title": request_name(wire, is_update=False) + end,
                "description": f"What makes the {noun}.",
                "type": "object",
                "properties": properties,
                "required": [name for name in wire.shape.names if name in wire.shape.required],
            }
            change: Schema = {
                "title": request_name(wire, is_update=True) + end,
                "description": f"What changes about the {noun}. What is left out stays as it is.",
                "type": "object",
                "properties": properties,
            }
            self.components[draft["title"]] = draft
            self.components[change["title"]] = change


def _schema_of(kind: type) -> Schema:
    """Return the schema of a type that msgspec has none for. Raises NotImplementedError, which it words itself."""
    if kind is object:
        return {"description": "Any JSON value."}
    if kind is SecretText:
        return {"type": "string", "format": "password"}
    raise NotImplementedError


def request_name(wire: Wire, *, is_update: bool) -> str:
    """Return the name of the schema of a request about an item."""
    return "".join(part.title() for part in wire.kind.split("_")) + ("Change" if is_update else "Draft")


def _request_properties(wire: Wire, compatibility: Compatibility, *, is_form: bool) -> Schema:
    texts = {
        name: _text(name, compatibility.longest_note if name == NOTE else LIMITS[name], wire.shape.required)
        for name in wire.shape.names
    }
    shared = {USERS_ALLOWED: _share_list("username"), GROUPS_ALLOWED: _share_list("name")}
    for name, schema in shared.items():
        texts[name] = _in_a_form(schema, name) if is_form else {**schema, "description": words.NAMES[name]}
    return texts


def _text(name: str, limit: int, required: Iterable[str]) -> Schema:
    schema: Schema = {
        "type": "string",
        "maxLength": limit,
        "description": words.OF_REQUESTS.get(name, words.NAMES[name]),
    }
    if name in required:
        schema |= {"minLength": 1, "pattern": r"\S"}
    elif name == SEED:
        schema["pattern"] = words.SEED_PATTERN
    else:
        schema["default"] = ""
    return schema


def _share_list(key: str) -> Schema:
    can_edit = {
        "description": words.OF_REQUESTS["can_edit"],
        "enum": [True, False, "true", "false", 1, 0, "1", "0"],
        "default": False,
    }
    text = "User name." if key == "username" else "Name of the group."
    name = {"type": "string", "maxLength": LIMITS[key], "description": text}
    element = {"type": "object", "properties": {key: name, "can_edit": can_edit}, "required": [key]}
    return {"type": "array", "items": element, "default": []}


def _in_a_form(schema: Schema, name: str) -> Schema:
    key = "username" if name == USERS_ALLOWED else "name"
    text = f"{words.NAMES[name]} As JSON in this field, or as fields `{name}[0][{key}]` and `{name}[0][can_edit]`."
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema, "description": text}


def _token_request() -> Schema:
    text = {"type": "string"}
    return {
        "title": "TokenRequest",
        "description": "Client credentials (RFC 6749, section 4.4).",
        "type": "object",
        "properties": {
            "grant_type": {"const": GRANT, "description": "The only grant."},
            "client_id": {**text, "description": "Client id of the access key. Left out with HTTP Basic."},
            "client_secret": {**text, "description": "Client secret of the access key. Left out with HTTP Basic."},
            "tenant": {**text, "description": "Accepted and ignored."},
            "scope": {**text, "description": "Accepted and ignored."},
        },
        "required": ["grant_type"],
    }


def _failure() -> Schema:
    return {
        "title": "Failure",
        "description": "An error of the documented API.",
        "type": "object",
        "properties": {
            "code": {"type": "integer", "description": words.NAMES["status"]},
            "response": {"$ref": REFERENCE + "Outcome"},
            "exception": {"$ref": REFERENCE + "Fault"},
        },
        "required": ["code", "response", "exception"],
    }


def _explain(type_name: str, schema: Schema) -> None:
    """Add the words and forms of names on the wire to the schema of a type."""
    properties: Mapping[str, Schema] = schema.get("properties", {})
    for name, one in properties.items():
        text = words.OF_TYPES.get((type_name, name)) or words.NAMES.get(name)
        if text:
            one["description"] = text
        if name in words.PATTERNS:
            one["pattern"] = words.PATTERNS[name]


def _typed_dicts(parts: Iterable[object]) -> Iterator[type]:
    """Return the typed dictionaries among types, and those within them."""
    for part in parts:
        if is_typeddict(part):
            yield part  # type: ignore[misc]  # a type by now
            yield from _typed_dicts(get_type_hints(part).values())
        else:
            yield from _typed_dicts(get_args(part))


def _order(schema: Schema, names: list[str]) -> None:
    """Put the properties of a typed dictionary in the order of its source, the documented one."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    schema["properties"] = {name: properties[name] for name in names if name in properties}
    schema["required"] = [name for name in names if name in required]


def _references(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"].removeprefix(REFERENCE)] if "$ref" in part else []
        return own + [name for value in part.values() for name in _references(value)]
    if isinstance(part, list):
        return [name for value in part for name in _references(value)]
    return []
