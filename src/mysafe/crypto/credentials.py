# SPDX-License-Identifier: Apache-2.0
"""Make the credentials we give out, and recognise their form. Knows neither users nor what is stored of them.

    session token  "mss_" | as an access token
    link token     "msl_" | as an access token
    access token   "mst_" | 43 base62 digits (32 random bytes, big-endian) | 6 base62 digits (check)    53 characters
    client id      41 hexadecimal characters, lower case
    client secret  32 hexadecimal characters, lower case (128 random bits)

Base62 digits are 0–9, A–Z, a–z in ASCII order. The check is the CRC-32 of the first 47 characters: it refuses junk
before any database work and lets scanners find leaked tokens. It is no secret and proves nothing.
The sizes of client id and secret are those of contract 2.1.
"""

import os
import re
import secrets
import string
import zlib
from collections.abc import Callable
from functools import lru_cache

from mysafe.domain.secret_text import SecretText

TOKEN_ENTROPY_BYTES = 32

_PREFIX = "mst_"
_SESSION_PREFIX = "mss_"
_LINK_PREFIX = "msl_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ENTROPY_DIGITS = 43
_CHECK_DIGITS = 6
_CHECKED_CHARACTERS = len(_PREFIX) + _ENTROPY_DIGITS
_TOKEN_CHARACTERS = _CHECKED_CHARACTERS + _CHECK_DIGITS
_has_form = re.compile(f"ms[tsl]_[0-9A-Za-z]{{{_ENTROPY_DIGITS + _CHECK_DIGITS}}}").fullmatch


def new_access_token(random_bytes: Callable[[int], bytes] = os.urandom) -> SecretText:
    """Return a new access token with 256 random bits.

    Args:
        random_bytes: source of randomness; anything but `os.urandom` is for test vectors.
    """
    return _new_token(_PREFIX, random_bytes)


def new_session_token() -> SecretText:
    """Return what a new session of a browser is known by, with 256 random bits."""
    return _new_token(_SESSION_PREFIX, os.urandom)


def new_link_token() -> SecretText:
    """Return what a new link is known by, with 256 random bits."""
    return _new_token(_LINK_PREFIX, os.urandom)


def looks_like_access_token(text: str) -> bool:
    """Return whether a text has the form of our access tokens. It says nothing about whether one was given out."""
    return text.startswith(_PREFIX) and _looks_like_token(text)


def looks_like_session_token(text: str) -> bool:
    """Return whether a text has the form of our session tokens."""
    return text.startswith(_SESSION_PREFIX) and _looks_like_token(text)


def looks_like_link_token(text: str) -> bool:
    """Return whether a text has the form of our link tokens."""
    return text.startswith(_LINK_PREFIX) and _looks_like_token(text)


def _new_token(prefix: str, random_bytes: Callable[[int], bytes]) -> SecretText:
    checked = prefix + _base62(int.from_bytes(random_bytes(TOKEN_ENTROPY_BYTES)), _ENTROPY_DIGITS)
    return SecretText(checked + _check(checked))


def _looks_like_token(text: str) -> bool:
    return len(text) == _TOKEN_CHARACTERS and _has_right_check(text)


@lru_cache(maxsize=1024)  # the same token comes with each call; what is no token by its length is not kept
def _has_right_check(text: str) -> bool:
    # Comparing the check with == gives nothing away: it follows from the rest of the text, which the caller sent.
    return _has_form(text) is not None and _check(text[:_CHECKED_CHARACTERS]) == text[_CHECKED_CHARACTERS:]


def new_client_id() -> str:
    """Return a new client id: 41 hexadecimal characters. It is no secret."""
    return secrets.token_hex(21)[:41]


def new_client_secret() -> SecretText:
    """Return a new client secret: 32 hexadecimal characters, 128 random bits."""
    return SecretText(secrets.token_hex(16))


def _check(checked: str) -> str:
    return _base62(zlib.crc32(checked.encode()), _CHECK_DIGITS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
