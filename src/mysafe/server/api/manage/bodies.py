# SPDX-License-Identifier: Apache-2.0
"""Bodies of the management API, as typed models. A field that no model knows is an error: it may be a misspelt one."""

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from mysafe.domain.errors import BadBody, InvalidField, MissingField
from mysafe.domain.secret_text import SecretText
from mysafe.server.api.call import Answer, Call

_PATH = re.compile(r"`\$\.?([^`]*)`\Z")
_QUOTED = re.compile(r"`(\w{1,64})`")


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a request or an answer. A time is ISO 8601 in UTC, a length is counted in characters."""


M = TypeVar("M", bound=Model)

_encode = msgspec.json.Encoder().encode


def read(call: Call, model: type[M]) -> M:
    """Return the body of a request as a model.

    Raises:
        BadBody: it is not a JSON object within our bounds (R-API-04).
        MissingField, InvalidField: a field is missing, unknown, or of another type.
    """
    fields = call.fields()
    complaint: BadBody | MissingField | InvalidField
    try:
        return msgspec.convert(_plain(fields), model, strict=False, dec_hook=_secret)
    except msgspec.ValidationError as error:
        complaint = _complaint(str(error))
    except (ValueError, OverflowError):  # a number of seconds that no calendar has
        complaint = BadBody()
    raise complaint  # out here, without the validation error as its context: that one may quote a value


def _secret(wanted: type, value: object) -> SecretText:
    """Return a field of the type SecretText, so that no repr of a model holds it."""
    if wanted is not SecretText or not isinstance(value, str):
        raise TypeError("not a text")
    return SecretText(value)


def moment(at: int) -> str:
    """Return a time in Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> object:
    """Return parsed JSON whose numbers are plain texts: a model must not carry our own kind of text further."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, str) else value


def answer(model: Model, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """Return an answer whose body is a model."""
    return Answer(status, _encode(model), headers)


def _complaint(text: str) -> BadBody | MissingField | InvalidField:
    """Return what msgspec found wrong, without the value."""
    if "missing required field" in text:
        return MissingField(_field_of(text))
    if "unknown field" in text or _PATH.search(text):
        return InvalidField(_field_of(text))
    return BadBody()


def _field_of(text: str) -> str:
    if "required field" in text or "unknown field" in text:
        named = _QUOTED.search(text.partition("field")[2])
        return named[1] if named else "body"
    path = _PATH.search(text)
    return path[1] if path and path[1] else "body"
