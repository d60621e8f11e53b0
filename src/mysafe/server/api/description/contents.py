# SPDX-License-Identifier: Apache-2.0
"""Describe what only files have: a content that is sent and fetched (docs/api/files.md)."""

import json

from mysafe.protocol import codes, envelope
from mysafe.protocol.body import FORM, JSON
from mysafe.protocol.files import CONTENT
from mysafe.server.api.description.parts import REQUEST_ID, Maker
from mysafe.server.api.description.schemas import REFERENCE, Schema
from mysafe.server.api.files import MULTIPART, RAW

_BYTES: Schema = {"type": "string", "format": "binary"}

FIELDS_PARAMETER: Schema = {
    "name": "MySafe-Fields",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The fields of a raw upload: a JSON object in base64.",
}

RANGE_PARAMETERS: list[Schema] = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": text,
    }
    for name, text in (
        ("Range", "One range of bytes (RFC 9110, section 14.2). Several are answered with the whole content."),
        ("If-Range", "The ETag of the content that the range is of."),
    )
]


def request(name: str, maker: Maker, *, is_update: bool) -> Schema:
    """Return the body of a request that makes or changes a file; `name` is that of its fields' schema."""
    form = maker.schemas.components[name + "Form"]
    multipart: Schema = {
        "type": "object",
        "properties": {**form["properties"], CONTENT: _BYTES},
        "required": [] if is_update else [CONTENT],
    }
    content: Schema = {MULTIPART: {"schema": multipart}, RAW: {"schema": _BYTES}}
    if is_update:
        content[JSON] = {"schema": {"$ref": REFERENCE + name}}
        content[FORM] = {"schema": {"$ref": REFERENCE + name + "Form"}}
    return {"required": not is_update, "content": content}


def downloaded(maker: Maker) -> dict[str, Schema]:
    """Return the answers that hold a content, the whole or a part, and the one to a range that is not in it."""
    found: dict[str, Schema] = {
        status: {"description": text, "headers": dict(REQUEST_ID), "content": {RAW: {"schema": _BYTES}}}
        for status, text in (("200", "The content."), ("206", "The part of the content that was asked for."))
    }
    body = json.loads(envelope.failure(416, codes.BAD_RANGE, 416, mensagem=maker.compatibility.is_mensagem_sent))
    example = {"Range": {"summary": codes.BAD_RANGE, "value": body}}
    found["416"] = {
        "description": "The content has no such range.",
        "headers": dict(REQUEST_ID),
        "content": {JSON: {"schema": {"$ref": REFERENCE + "Failure"}, "examples": example}},
    }
    return found
