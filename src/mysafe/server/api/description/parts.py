# SPDX-License-Identifier: Apache-2.0
"""What the parts of a document are made with, and the small parts that all operations share."""

import re
from typing import NamedTuple

from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.call import Operation
from mysafe.server.api.description import failures, words
from mysafe.server.api.description.failures import Failure
from mysafe.server.api.description.schemas import Schema, Schemas

REQUEST_ID = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}

_VARIABLE = re.compile(r"\{(\w+)\}")
_NUMBERED = ("identifier", "id")


class Undescribed(Exception):
    """An operation of the route table has nothing to be described from."""


class Maker(NamedTuple):
    """What a part is made with: the schemas, the switches of the server, and what is shared so far, by its name."""

    schemas: Schemas
    compatibility: Compatibility
    responses: dict[str, Schema]
    examples: dict[str, Schema]


def variables(path: str) -> list[str]:
    """Return the names of the variables of a path."""
    return _VARIABLE.findall(path)


def path_parameters(path: str) -> list[Schema]:
    """Return the parameters of a path."""
    return [_path_parameter(name) for name in variables(path)]


def _path_parameter(name: str) -> Schema:
    schema: Schema = {"type": "string"}
    is_number = name.rpartition("_")[2] in _NUMBERED
    schema |= {"pattern": words.PATTERNS["identifier"]} if is_number else {"minLength": 1}
    found: Schema = {"name": name, "in": "path", "required": True, "schema": schema}
    return found | ({"description": "A number, made by the server."} if is_number else {})


def query_parameters(names: tuple[str, ...]) -> list[Schema]:
    """Return the parameters of a query."""
    return [_query_parameter(name) for name in names]


def _query_parameter(name: str) -> Schema:
    found: Schema = {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
    return found | ({"description": words.NAMES[name]} if name in words.NAMES else {})


def failed(maker: Maker, operation: Operation, suffix: str, found: list[Failure]) -> dict[str, Schema]:
    """Return the answers to errors by status.

    Those that every call may get are shared under a name that ends with `suffix`; the same name is the same answer.
    """
    if variables(operation.path):
        found = [*found, failures.unknown_path()]
    answers = {}
    for status, some in failures.by_status(found).items():
        answer = failures.response(status, some)
        for content in answer["content"].values():
            content["examples"] = {
                name: _shared(maker.examples, "examples", (name, name + suffix), one)
                for name, one in content["examples"].items()
            }
        is_specific = any(one.is_specific for one in some)
        names = () if is_specific else (f"Status{status}", f"Status{status}{suffix}")
        answers[str(status)] = _shared(maker.responses, "responses", names, answer)
    return answers


def _shared(shelf: dict[str, Schema], where: str, names: tuple[str, ...], part: Schema) -> Schema:
    """Shelve a part under the first name that is free or has the same part, and return how to refer to it."""
    for name in names:
        if shelf.setdefault(name, part) == part:
            return {"$ref": f"#/components/{where}/{name}"}
    return part
