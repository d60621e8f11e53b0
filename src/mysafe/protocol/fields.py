# SPDX-License-Identifier: Apache-2.0
"""Read single fields of a parsed body, with the contract's rules for types, blanks and lengths.

Knows no resource: which fields there are, and in which order, is said by the module of each resource.
Nothing is trimmed but tags and seeds (contract 9, rules 13, 15, 23). No error holds a value.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from mysafe.domain.errors import BadSeed, InvalidField, MissingField, TooLong
from mysafe.domain.sharing import ShareRequest

USERS_ALLOWED: Final = "users_allowed"
GROUPS_ALLOWED: Final = "groups_allowed"
TAGS = "tags"
SEED = "secret_key"
NOTE = "note"

LIMITS = {
    "name": 255,
    "username": 255,
    "tags": 255,
    "identifier_code": 255,
    "client_id": 255,
    "method": 255,
    "file_name": 255,
    "media_type": 255,
    "secret_key": 255,
    "url": 2048,
    "notes": 5_000,
    "password": 10_000,
    "client_secret": 10_000,
}
"""Most characters (Unicode code points) of each field (contract 9, rule 22)."""

# At least ten characters, padding included; it stands at the end or not at all (contract 9, rule 13).
_SEED = re.compile(r"(?=.{10})[A-Z2-7]+={0,6}")
_TRUE_TEXTS = ("true", "1")


def texts(
    fields: Mapping[str, object], names: Iterable[str], required: Collection[str], *, is_update: bool
) -> dict[str, str]:
    """Return the texts of a body by name, read in the order of `names`.

    What is absent or null becomes "" when an item is made, and is left out when one is updated. Only tags are trimmed,
    and an array of them is joined.

    Raises:
        MissingField: a required text is absent, null, empty or blank; for an update, empty or blank (9, rules 10, 11).
        InvalidField: one is not a text or a number (9, rule 12), or cannot be stored.

    Source: contract 9, rules 10 to 12 and 15.
    """
    found = {}
    for name in names:
        value = fields.get(name)
        if value is not None:
            text = _tags(name, value) if name == TAGS else _text(name, value)
        elif is_update:
            continue
        else:
            text = ""
        if name in required and (not text or text.isspace()):
            raise MissingField(name)
        found[name] = text
    return found


def checked(given: Mapping[str, str], longest_note: int) -> dict[str, str]:
    """Return the same texts, with a TOTP seed as it is stored.

    Raises:
        TooLong: one has more characters than LIMITS allows, or a note more than `longest_note`.
        BadSeed: the seed is not base32.
    """
    stored = dict(given)
    for name, text in given.items():
        if name == SEED:
            stored[name] = seed(name, text)
        elif len(text) > (longest_note if name == NOTE else LIMITS[name]):
            raise TooLong(name, longest_note if name == NOTE else LIMITS[name])
    return stored


def shares(fields: Mapping[str, object], name: str, *, key: str) -> tuple[ShareRequest, ...] | None:
    """Return the entries of a sharing list in order; None when it is absent or null.

    `key` is the member that names the user or group. An entry without it has the name None: it is for
    `shared_error`, not an error.

    Raises:
        InvalidField: it is not an array of objects, or a name is not a text or a number.

    Source: contract 9, rules 11, 12, 20 and 21.
    """
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise InvalidField(name)
    return tuple([_share(name, element, key) for element in value])


def check_share_names(requests: Iterable[ShareRequest], key: str) -> None:
    """Check the names of a sharing list like the field `key` itself.

    Raises:
        TooLong: one has more characters than LIMITS allows (contract 9, rule 22).
    """
    limit = LIMITS[key]
    for request in requests:
        if request.name is not None and len(request.name) > limit:
            raise TooLong(key, limit)


def seed(name: str, text: str) -> str:
    """Return a TOTP seed as it is stored: without spaces, in upper case; "" for "" or only spaces.

    Raises:
        TooLong: it has more characters than LIMITS allows.
        BadSeed: it is not base32 of at least ten characters. Missing padding is no fault.

    Source: contract 9, rules 13 and 22.
    """
    compact = text.replace(" ", "")
    if not compact:
        return ""
    if len(compact) > LIMITS[name]:
        raise TooLong(name, LIMITS[name])
    normalised = compact.upper()
    # Upper case first makes ASCII of other letters: ß becomes SS, and ſ becomes S.
    if not compact.isascii() or not _SEED.fullmatch(normalised):
        raise BadSeed(name)
    return normalised


def _tags(name: str, value: object) -> str:
    if isinstance(value, list):
        return ", ".join([_text(name, tag) for tag in value]).strip()
    return _text(name, value).strip()


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
