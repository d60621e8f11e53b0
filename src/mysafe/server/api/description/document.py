# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document of a route table. The same table and switches give the same document, byte for byte."""

import json
from collections.abc import Iterable, Sequence

from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.call import Operation
from mysafe.server.api.description import items, spoken, tokens, words
from mysafe.server.api.description.parts import Maker, Undescribed
from mysafe.server.api.description.schemas import Schema, Schemas
from mysafe.server.api.items import EVERY_WIRE
from mysafe.server.api.oauth2 import token

VERSION = "1"
"""The version of the API. It is not the program's: that one is nobody's business who has no token (R-CFG-03)."""

_ALIASES = ("/iso/", "/api/iso/")

_COMPONENTS: Schema = {
    "headers": {
        "ETag": {"description": "Version of the item, for `If-Match`.", "schema": {"type": "string"}},
        "Retry-After": {"description": "When to try again. Unit: seconds.", "schema": {"type": "string"}},
        "WWW-Authenticate": {"description": "What is missing (RFC 6750, RFC 7617).", "schema": {"type": "string"}},
        "X-Request-Id": {"description": "The call's name in the audit log.", "schema": {"type": "string"}},
    },
    "securitySchemes": {
        "basic": {"type": "http", "scheme": "basic", "description": "Client id and client secret of an access key."},
        "bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
        "oauth2": {
            "type": "oauth2",
            "description": "Client id and client secret of an access key.",
            "flows": {"clientCredentials": {"tokenUrl": "/api/oauth2/token", "scopes": {}}},
        },
    },
}


def describe(operations: Sequence[Operation], compatibility: Compatibility = Compatibility()) -> Schema:
    """Return the document.

    Raises:
        Undescribed: an operation is neither documented nor says what it is about.
    """
    maker = Maker(Schemas(EVERY_WIRE, _models(operations), compatibility), compatibility, {}, {})
    paths: dict[str, Schema] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, {"x-aliases": _aliases(operation.path)})
        path[operation.method.lower()] = _operation(operation, maker)
    used = [one["tags"][0] for path in paths.values() for one in path.values() if isinstance(one, dict)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mysafe",
            "summary": "A vault for teams, compatible with the HTTP API of Segura MySafe",
            "description": words.INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": VERSION,
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"oauth2": []}],
        "tags": _tags(used),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(maker.schemas.components.items())),
            "responses": dict(sorted(maker.responses.items())),
            "examples": dict(sorted(maker.examples.items())),
            **_COMPONENTS,
        },
    }


def as_json(document: Schema) -> bytes:
    """Return the document as JSON, ready to be read by people too."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _operation(operation: Operation, maker: Maker) -> Schema:
    if operation.about is not None:
        return spoken.describe(operation, operation.about, maker)
    if operation.handler is token:
        return tokens.describe(operation, maker)
    wire = items.wire_of(operation)
    if wire is None:
        raise Undescribed(f"{operation.method} {operation.path} says nothing about itself: give it an About")
    return items.describe(operation, wire, maker)


def _models(operations: Iterable[Operation]) -> list[type]:
    models = [
        model
        for operation in operations
        if operation.about
        for model in (operation.about.request, operation.about.response)
    ]
    return [model for model in dict.fromkeys(models) if model is not None]


def _aliases(path: str) -> list[str]:
    return [alias + path.removeprefix("/api/") for alias in _ALIASES]


def _tags(used: Iterable[str]) -> list[Schema]:
    names = [*dict.fromkeys([*words.TAGS, *used]), *words.LAST_TAGS]
    described, in_use = {**words.TAGS, **words.LAST_TAGS}, set(used)
    return [
        {"name": name} | ({"description": described[name]} if name in described else {})
        for place, name in enumerate(names)
        if name in in_use and name not in names[place + 1 :]
    ]
