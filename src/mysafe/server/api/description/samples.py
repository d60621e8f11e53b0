# SPDX-License-Identifier: Apache-2.0
"""Make an example of a schema. What it cannot know is the plainest value of the type."""

from collections.abc import Mapping

from mysafe.server.api.description.schemas import REFERENCE, Schema

_PLAINEST: Mapping[object, object] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": False,
    "null": None,
}


def sample(
    schema: Schema, components: Mapping[str, Schema], values: Mapping[str, object], *, is_complete: bool = False
) -> object:
    """Return an example of a schema.

    Args:
        schema: what it is an example of.
        components: what the schema may refer to by name.
        values: by name of a property; for a list, the values of its element, or the whole list.
        is_complete: whether properties that may be left out are there too.
    """
    if "$ref" in schema:
        return sample(components[schema["$ref"].removeprefix(REFERENCE)], components, values, is_complete=is_complete)
    if "enum" in schema or "const" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for choice in schema.get("anyOf", ()):
        return sample(choice, components, values, is_complete=is_complete)
    if schema.get("type") == "array":
        return [sample(schema.get("items", {}), components, values, is_complete=is_complete)]
    if schema.get("type") != "object":
        return _PLAINEST.get(schema.get("type"))
    wanted = schema.get("properties", {}) if is_complete else schema.get("required", ())
    return {
        name: _value(values.get(name), schema["properties"][name], components, is_complete=is_complete)
        for name in schema.get("properties", {})
        if name in wanted
    }


def _value(value: object, schema: Schema, components: Mapping[str, Schema], *, is_complete: bool) -> object:
    if value is None or isinstance(value, dict):
        return sample(schema, components, value or {}, is_complete=is_complete)
    return value
