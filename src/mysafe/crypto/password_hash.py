# SPDX-License-Identifier: Apache-2.0
"""Hash the passwords of people with Argon2id. Knows no user.

    $argon2id$v=19$m=65536,t=3,p=1$<salt>$<hash>      PHC string; m in KiB; base64 without padding

A hash takes 64 MiB and a tenth of a second on purpose: never call this inside a unit of work.

Source: RFC 9106; the PHC string format; security design, section 3.
"""

import base64
import hmac
import os
import re
import threading
import unicodedata
from typing import NamedTuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mysafe.domain.secret_text import SecretText

SALT_BYTES = 16
HASH_BYTES = 32
MOST_AT_ONCE = 2
"""Hashes computed at the same time in this process; others wait. Bounds the memory to 128 MiB."""


class Cost(NamedTuple):
    """What a hash costs: memory in KiB, passes over it, lanes."""

    memory_kib: int
    passes: int
    lanes: int


COST = Cost(64 * 1024, 3, 1)
"""The cost of new hashes."""

LEAST = Cost(64 * 1024, 3, 1)
"""The floors: a stored hash that cost less is refused, whoever stored it (R-CRY-07)."""

MOST = Cost(1024 * 1024, 10, 16)
"""The ceilings: a stored hash must not stop the server either."""

_slots = threading.BoundedSemaphore(MOST_AT_ONCE)
_phc = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,8}),t=([1-9][0-9]{0,8}),p=([1-9][0-9]{0,8})"
    r"\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})"
).fullmatch


def hash_password(password: SecretText) -> str:
    """Return the PHC string of a password under a fresh salt. Canonically equal passwords are equal (NFC)."""
    salt = os.urandom(SALT_BYTES)
    digest = _derive(password, salt, COST)
    return f"$argon2id$v=19$m={COST.memory_kib},t={COST.passes},p={COST.lanes}${_encode(salt)}${_encode(digest)}"


def verify_password(stored: str, password: SecretText) -> bool:
    """Return whether `password` is the one behind a PHC string.

    Raises:
        ValueError: the string is not one of ours, or its cost is below the floors or above the ceilings.
    """
    parts = _phc(stored)
    if parts is None:
        raise ValueError("the stored hash has not the form of ours")
    cost = Cost(*map(int, parts.groups()[:3]))
    if not all(least <= value <= most for least, value, most in zip(LEAST, cost, MOST, strict=True)):
        raise ValueError("the cost of the stored hash is out of bounds")
    salt, digest = _decode(parts[4]), _decode(parts[5])
    return hmac.compare_digest(digest, _derive(password, salt, cost))


def spend_dummy_hash() -> None:
    """Take as long as `verify_password`, for a user who does not exist (R-AUTH-04)."""
    _derive(SecretText(""), bytes(SALT_BYTES), COST)


def _derive(password: SecretText, salt: bytes, cost: Cost) -> bytes:
    # Halves of surrogate pairs pass: they are hashed as they are, and an encoding error would hold the password.
    text = unicodedata.normalize("NFC", password.reveal()).encode("utf-8", "surrogatepass")
    with _slots:
        return Argon2id(
            salt=salt, length=HASH_BYTES, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib
        ).derive(text)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    content = base64.b64decode(text + "=" * (-len(text) % 4))
    if _encode(content) != text:
        raise ValueError("the stored hash has not the form of ours")
    return content
