# SPDX-License-Identifier: Apache-2.0
"""Read a document for the page: operations by tag, references followed, schemas as flat lists of fields."""

from collections.abc import Iterator
from typing import NamedTuple

from mysafe.server.api.description.schemas import Schema

_METHODS = ("get", "post", "put", "patch", "delete")

_ENVELOPE = frozenset({"code", "response"})

_DEEPEST = 4
"""How far fields within fields are listed."""


class Described(NamedTuple):
    """An operation of the document with its place."""

    method: str
    path: str
    id: str
    part: Schema


class Field(NamedTuple):
    """A line about a parameter or a field: its name, its type, whether it is needed, and what it means."""

    name: str
    type: str
    need: str
    text: str


class Reader:
    """Look things up in a document."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def operations(self, tag: str) -> list[Described]:
        """Return the operations of a part, in the order of the document."""
        return [
            Described(method, path, part[method]["operationId"], part[method])
            for path, part in self._document["paths"].items()
            for method in part
            if method in _METHODS and tag in part[method]["tags"]
        ]

    def resolved(self, part: Schema) -> Schema:
        """Return what a part refers to, or itself."""
        while "$ref" in part:
            found: Schema = self._document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part

    def parameters(self, operation: Schema) -> list[Field]:
        """Return the parameters of an operation."""
        return [
            Field(one["name"], one["in"], "Required." if one["required"] else "", one.get("description", ""))
            for one in operation["parameters"]
        ]

    def fields(self, schema: Schema) -> list[Field]:
        """Return the fields of a schema, those within others too: `users_allowed[].username`.

        What the answers of the documented API have in common is left out (contract 1.3).
        """
        is_wrapped = set(schema.get("properties", ())) >= _ENVELOPE
        left_out = _ENVELOPE if is_wrapped else frozenset[str]()
        return [field for field in self._fields(schema, "", 0) if field.name.partition(".")[0] not in left_out]

    def examples(self, content: Schema) -> list[tuple[str, object]]:
        """Return the examples of a content with their names."""
        if "example" in content:
            return [("answer", content["example"])]
        found = [self.resolved(one) for one in content.get("examples", {}).values()]
        return [(one["summary"], one["value"]) for one in found]

    def _fields(self, schema: Schema, prefix: str, depth: int) -> Iterator[Field]:
        schema = self._inner(schema)
        required = schema.get("required", ())
        for name, one in schema.get("properties", {}).items():
            end = self.resolved(one)
            is_list = end.get("type") == "array"
            need = "" if name in required else "Optional."
            full = prefix + name + ("[]" if is_list else "")
            yield Field(full, self._type(end), need, _meaning(one, end))
            if depth < _DEEPEST:
                yield from self._fields(end["items"] if is_list and "items" in end else end, full + ".", depth + 1)

    def _inner(self, schema: Schema) -> Schema:
        """Return the object among the choices of a schema, its elements if it is a list."""
        schema = self.resolved(schema)
        if schema.get("type") == "array":
            return self._inner(schema.get("items", {}))
        for choice in schema.get("anyOf", ()):
            if "$ref" in choice:
                return self._inner(choice)
        return schema

    def _type(self, schema: Schema) -> str:
        schema = self.resolved(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._type(one) for one in schema["anyOf"]))
        if schema.get("type") == "array":
            return f"list of {self._type(schema.get('items', {}))}"
        if "const" in schema:
            return str(schema["const"])
        if "enum" in schema:
            return "one of several"
        return str(schema.get("type", "any"))


def _meaning(one: Schema, end: Schema) -> str:
    texts = [one.get("description", "") or end.get("description", "")]
    if "maxLength" in end:
        texts.append(f"At most {end['maxLength']} characters.")
    return " ".join(filter(None, texts))
