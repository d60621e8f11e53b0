# SPDX-License-Identifier: Apache-2.0
"""Read single fields of a parsed body, with the contract's rules for types, blanks and lengths.

Knows no resource: which fields there are, and in which order, is said by the module of each resource.
Nothing is trimmed but tags and seeds (contract 9, rules 13, 15, 23). No error holds a value.
"""

import re
from collections.abc import Mapping

from mysafe.domain.errors import BadSeed, InvalidField, MissingField, TooLong
from mysafe.domain.sharing import ShareRequest

USERS_ALLOWED = "users_allowed"
GROUPS_ALLOWED = "groups_allowed"

LIMITS = {
    "name": 255,
    "username": 255,
    "tags": 255,
    "identifier_code": 255,
    "client_id": 255,
    "method": 255,
    "secret_key": 255,
    "url": 2048,
    "notes": 5_000,
    "password": 10_000,
    "client_secret": 10_000,
}
"""Most characters (Unicode code points) of each field (contract 9, rule 22)."""

# At least ten characters of the alphabet. Padding stands at the end or not at all (contract 9, rule 13).
_SEED = re.compile(r"[A-Z2-7]{10,}={0,6}")
_TRUE_TEXTS = ("true", "1")


def required_text(fields: Mapping[str, object], name: str) -> str:
    """Return the text of a field that must be there.

    Raises:
        MissingField: it is absent, null, empty or blank (contract 9, rules 10 and 11).
        InvalidField: it is not a text or a number (rule 12), or cannot be stored.
    """
    value = fields.get(name)
    if value is None:
        raise MissingField(name)
    text = _text(name, value)
    if not text or text.isspace():
        raise MissingField(name)
    return text


def optional_text(fields: Mapping[str, object], name: str) -> str:
    """Return the text of a field, "" when it is absent or null (contract 1.6; contract 9, rule 11).

    Raises:
        InvalidField: it is not a text or a number (rule 12), or cannot be stored.
    """
    value = fields.get(name)
    return "" if value is None else _text(name, value)


def tags(fields: Mapping[str, object], name: str = "tags") -> str:
    """Return the tags as one comma-separated text, as sent but for blanks at its ends. An array is joined.

    Raises:
        InvalidField: it is neither a text, a number, nor an array of such.

    Source: contract 9, rule 15.
    """
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join([_text(name, tag) for tag in value]).strip()
    return _text(name, value).strip()


def shares(fields: Mapping[str, object], name: str, *, key: str) -> tuple[ShareRequest, ...]:
    """Return the entries of a sharing list in order; () when it is absent or null.

    `key` is the member that names the user or group. An entry without it has the name None: it is for
    `shared_error`, not an error.

    Raises:
        InvalidField: it is not an array of objects, or a name is not a text or a number.

    Source: contract 9, rules 11, 12, 20 and 21.
    """
    value = fields.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidField(name)
    return tuple([_share(name, element, key) for element in value])


def check_length(name: str, text: str, limit: int) -> None:
    """Check that a text has at most `limit` characters, counted as Unicode code points.

    Raises:
        TooLong: it has more (contract 9, rule 22).
    """
    if len(text) > limit:
        raise TooLong(name, limit)


def check_share_names(requests: tuple[ShareRequest, ...], key: str) -> None:
    """Check the names of a sharing list like the field `key` itself.

    Raises:
        TooLong: one has more characters than LIMITS allows (contract 9, rule 22).
    """
    limit = LIMITS[key]
    for request in requests:
        if request.name is not None and len(request.name) > limit:
            raise TooLong(key, limit)


def seed(name: str, text: str) -> str | None:
    """Return a TOTP seed as it is stored: without spaces, in upper case; None for "" or only spaces.

    Raises:
        TooLong: it has more characters than LIMITS allows.
        BadSeed: it is not base32 of at least ten characters. Missing padding is no fault.

    Source: contract 9, rules 13 and 22.
    """
    compact = text.replace(" ", "")
    if not compact:
        return None
    check_length(name, compact, LIMITS[name])
    normalised = compact.upper()
    # Upper case first makes ASCII of other letters: ß becomes SS, and ſ becomes S.
    if not compact.isascii() or not _SEED.fullmatch(normalised):
        raise BadSeed(name)
    return normalised


def _text(name: str, value: object) -> str:
    """Return a storable text; a number is its literal (contract 9, rule 12)."""
    if not isinstance(value, str) or "\0" in value or not (value.isascii() or _is_encodable(value)):
        raise InvalidField(name)
    return str(value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _share(name: str, element: object, key: str) -> ShareRequest:
    if not isinstance(element, dict):
        raise InvalidField(name)
    principal = element.get(key)
    can_edit = element.get("can_edit")
    return ShareRequest(
        None if principal is None else _text(name, principal),
        can_edit is True or (isinstance(can_edit, str) and can_edit in _TRUE_TEXTS),
    )
