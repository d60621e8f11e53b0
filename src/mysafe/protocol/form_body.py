# SPDX-License-Identifier: Apache-2.0
"""Read an `application/x-www-form-urlencoded` body strictly, into what the same fields would be in JSON.

Knows nothing of the fields but which of them are lists (contract 1.2).
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from mysafe.domain.errors import BadBody
from mysafe.protocol.fields import GROUPS_ALLOWED, USERS_ALLOWED
from mysafe.protocol.json_body import BLANK, parse_json_array

MOST_PAIRS = 10_000
"""Most `name=value` pairs of a form; as many as a JSON body has tokens (R-API-04)."""

LARGEST_INDEX = 10_000
"""Largest index of a list element. Indexes only give the order: gaps are closed."""

_LISTS = (USERS_ALLOWED, GROUPS_ALLOWED)
_ELEMENT = re.compile(r"(\w+)\[(0|[1-9][0-9]{0,4})\]\[(\w+)\]", re.ASCII)
_LIST_PREFIXES = tuple(f"{name}[" for name in _LISTS)

# A percent sign that escapes nothing, or a control character, which every serializer escapes.
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})|[\x00-\x1f\x7f]")

_Lists = dict[str, dict[int, dict[str, object]]]


def parse_form(body: bytes) -> dict[str, object]:
    """Return the fields of a form. A list comes as `users_allowed[0][username]=x`, or as JSON in one field.

    JSON that is no array stays text, so that the field is found invalid in its turn (contract 9, rule 20).

    Raises:
        BadBody: bad escapes, not UTF-8, a pair without `=`, a name given twice, a list that cannot be read as one,
            or too many pairs.

    Source: contract 1.2; WHATWG URL, section 5.1, but strict.
    """
    return form_fields(_pairs(body))


def form_fields(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return the fields of a form whose names and values are decoded already. Raises BadBody as `parse_form`."""
    fields: dict[str, object] = {}
    lists: _Lists = {}
    for name, value in pairs:
        if name.startswith(_LIST_PREFIXES):
            _put_member(lists, name, value)
        elif name in fields:
            raise BadBody
        else:
            fields[name] = _list_in_json(value) if name in _LISTS else value
    for name, elements in lists.items():
        if name in fields:
            raise BadBody
        fields[name] = [elements[index] for index in sorted(elements)]
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    if body.count(b"&") >= MOST_PAIRS or _BROKEN.search(body):
        raise BadBody
    pairs = [pair.partition(b"=") for pair in body.split(b"&") if pair]
    if not all(equals for _, equals, _ in pairs):
        raise BadBody
    try:
        return [(_decoded(name), _decoded(value)) for name, _, value in pairs]
    except UnicodeDecodeError:
        pass
    raise BadBody  # out here, because the error in there holds what was sent


def _decoded(raw: bytes) -> str:
    spaced = raw.replace(b"+", b" ")
    return (unquote_to_bytes(spaced) if b"%" in spaced else spaced).decode("utf-8")


def _put_member(lists: _Lists, name: str, value: str) -> None:
    """Put one member of one list element in its place. A sharing that cannot be read must not be passed over."""
    match = _ELEMENT.fullmatch(name)
    if match is None or int(match[2]) > LARGEST_INDEX:
        raise BadBody
    element = lists.setdefault(match[1], {}).setdefault(int(match[2]), {})
    if match[3] in element:
        raise BadBody
    element[match[3]] = value


def _list_in_json(value: str) -> object:
    if not value.strip(BLANK):
        return []  # a form has no other way to say so
    try:
        return parse_json_array(value)
    except BadBody:
        return value
