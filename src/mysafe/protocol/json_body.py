# SPDX-License-Identifier: Apache-2.0
"""Read a JSON body strictly. Knows nothing of fields, forms or routes.

The standard library's scanner does the reading. It is too kind in five ways, and each is closed here: it takes NaN
and Infinity, keys given twice, lone surrogates, numbers of any size, and any depth until the stack ends. A reader
that guesses differently from another one in front of it is how two programs come to see two requests in one body.

No error raised here has the body in it, nor an error of the scanner that has.
"""

import json
import math
import re
from typing import NoReturn

from mysafe.domain.errors import BadBody

DEEPEST = 32
"""Most brackets and braces that may be open at once, the outermost included (R-API-04)."""

MOST_TOKENS = 10_000
"""Most tokens of a body. Brackets, braces, colons and commas are tokens too (R-API-04; RFC 8259, section 2)."""

SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**63 - 1
"""Integers are within 64 bits with a sign (R-API-04)."""

BLANK = " \t\r\n"
"""The white space of JSON (RFC 8259, section 2). A byte order mark is none of it."""

_LONGEST_INTEGER = len(str(SMALLEST_INTEGER))

# The end of the body ends a string as well: otherwise each quote of a string left open would be tried as a start.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = b"[]{}"
_STRUCTURE = _BRACKETS + b":,"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STRUCTURE_TO_SPACE = bytes.maketrans(_STRUCTURE, b" " * len(_STRUCTURE))


class NumberText(str):
    """The literal text of a JSON number: `1.50` stays `1.50` (contract 9, rule 12: a number is its text)."""

    __slots__ = ()


def parse_json(body: bytes) -> dict[str, object]:
    """Return the object that a body consists of.

    Values are `str`, `NumberText`, `bool`, `None`, `list` and `dict`.

    Raises:
        BadBody: it is not JSON within our bounds, or not an object.

    Source: contract 9, rule 19; R-API-04, R-API-05.
    """
    value = _parse(body)
    if not isinstance(value, dict):
        raise BadBody
    return value


def parse_json_array(text: str) -> list[object]:
    """Return the array that a text consists of; its bounds are those of a body.

    Raises:
        BadBody: it is not JSON within our bounds, or not an array.

    Source: contract 1.2 (lists in forms).
    """
    value = _parse(text.encode("utf-8", "surrogatepass"))  # what that lets pass is then refused as UTF-8
    if not isinstance(value, list):
        raise BadBody
    return value


def _parse(body: bytes) -> object:
    if not _is_bounded(body):
        raise BadBody
    value: object = None
    end = -1
    text = ""
    try:
        text = body.decode("utf-8").strip(BLANK)
        value, end = _decode(text)
    except ValueError:  # also UnicodeDecodeError
        end = -1
    # Raised out here, because the error in there holds the whole body and would come along as the context.
    if end != len(text) or not _is_unicode(body, value):
        raise BadBody
    return value


def _is_bounded(body: bytes) -> bool:
    """Return whether a body keeps to DEEPEST and MOST_TOKENS, as far as it is JSON at all.

    A token has at least one byte, so most bodies are judged by two counts. Others lose their strings first.
    """
    if len(body) <= MOST_TOKENS and body.count(b"{") + body.count(b"[") <= DEEPEST:
        return True
    skeleton, strings = _STRING.subn(b'"', body, count=MOST_TOKENS + 1)
    if strings > MOST_TOKENS:
        return False
    structure = sum(skeleton.count(byte) for byte in (b"[", b"]", b"{", b"}", b":", b","))
    if structure > MOST_TOKENS:
        return False
    words = skeleton.translate(_STRUCTURE_TO_SPACE).split(None, MOST_TOKENS)
    return structure + len(words) <= MOST_TOKENS and _depth(skeleton) <= DEEPEST


def _depth(skeleton: bytes) -> int:
    depth = deepest = 0
    for byte in skeleton.translate(None, _NOT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _is_unicode(body: bytes, value: object) -> bool:
    r"""Return whether no string has half of a surrogate pair. UTF-8 has none: only `\ud800` to `\udfff` make them."""
    if b"\\u" not in body:
        return True
    try:
        _encode(value).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object whose keys differ after their escapes are undone."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadBody
    return members


def _integer(text: str) -> NumberText:
    if len(text) > _LONGEST_INTEGER or not SMALLEST_INTEGER <= int(text) <= LARGEST_INTEGER:
        raise BadBody
    return NumberText(text)


def _fraction(text: str) -> NumberText:
    if math.isinf(float(text)):
        raise BadBody
    return NumberText(text)


def _constant(text: str) -> NoReturn:
    """Refuse NaN, Infinity and -Infinity, which are not JSON."""
    raise BadBody


_decode = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
).raw_decode
_encode = json.JSONEncoder(ensure_ascii=False).encode
