# SPDX-License-Identifier: Apache-2.0
"""Describe an operation by what it says about itself: its `About`, its path and its door."""

import re

from mysafe.domain import errors
from mysafe.domain.errors import VaultError
from mysafe.protocol.body import JSON
from mysafe.server.api.call import About, Operation
from mysafe.server.api.description import failures, parts
from mysafe.server.api.description.failures import Failure
from mysafe.server.api.description.parts import Maker
from mysafe.server.api.description.samples import sample
from mysafe.server.api.description.schemas import Schema
from mysafe.server.api.endpoint import DOCUMENTED

BYTES = "application/octet-stream"

_OF_RECORDS = frozenset({errors.BadIdentifier, errors.NotFound, errors.Inactive, errors.NotEncryptable})
_OF_TOKENS = frozenset({errors.BadTokenRequest, errors.UnsupportedGrant})


def describe(operation: Operation, about: About, maker: Maker) -> Schema:
    """Return the description of an operation."""
    found: Schema = {
        "operationId": _name(operation),
        "summary": about.summary,
        "tags": [_tag(operation)],
        "parameters": parts.path_parameters(operation.path) + parts.query_parameters(about.query),
    }
    if operation.is_public:
        found["security"] = []
    if about.request is not None:
        found["requestBody"] = {"required": True, "content": _content(about.request, JSON, maker)}
    answers = {str(about.status): _success(about, maker)}
    answers |= parts.failed(maker, operation, _suffix(operation), _failures(operation, about, maker))
    found["responses"] = dict(sorted(answers.items()))
    return found


def _name(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.removeprefix("/api/"))
    return "_".join([operation.method.lower(), *words])


def _tag(operation: Operation) -> str:
    """Return the part of the API: for `/api/manage/THINGS/…`, "Things"."""
    if operation.action.value.startswith("description."):
        return "Description"
    segments = operation.path.removeprefix("/api/").split("/")
    name = segments[1] if segments[0] == "manage" and len(segments) > 1 else segments[0]
    return {"me": "My account"}.get(name, re.sub(r"[-_.]", " ", name).capitalize())


def _suffix(operation: Operation) -> str:
    return "" if operation.door in {None, DOCUMENTED} else "Problem"


def _success(about: About, maker: Maker) -> Schema:
    found: Schema = {"description": about.summary + ".", "headers": dict(parts.REQUEST_ID)}
    if about.response is not None:
        found["content"] = _content(about.response, about.media, maker)
    return found


def _content(model: type, media: str, maker: Maker) -> Schema:
    if model is bytes:
        return {BYTES if media == JSON else media: {"schema": {}}}
    schema = maker.schemas.of(model)
    if model in {str, dict}:
        return {media: {"schema": schema}}
    return {media: {"schema": schema, "example": sample(schema, maker.schemas.components, {})}}


def _failures(operation: Operation, about: About, maker: Maker) -> list[Failure]:
    """Return the errors an operation can be answered with, as far as its form says it."""
    kinds: set[type[VaultError]] = {errors.AccessDenied}
    if parts.variables(operation.path):
        kinds |= _OF_RECORDS
    if about.query:
        kinds |= {errors.InvalidField, errors.BadIdentifier, errors.NotFound}
    if operation.method != "GET":
        kinds |= {one for one in failures.every_error() if failures.is_specific(one)} - _OF_RECORDS - _OF_TOKENS
        kinds.add(errors.NotFound)
    door, switches = operation.door or DOCUMENTED, maker.compatibility
    made = [failures.example(kind) for kind in failures.every_error() if kind in kinds]
    return [failures.failure(door, one, switches) for one in made] + failures.general(door, switches)
