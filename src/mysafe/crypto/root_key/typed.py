# SPDX-License-Identifier: Apache-2.0
"""Bytes that people copy from paper: Crockford's base32 in groups of four, with a check against slips.

    text        base32 of (content | first bytes of SHA-256 of the content), most significant bits first

Capitals and small letters are the same, spaces and dashes count for nothing; O is read as 0, I and L as 1. The check
is no protection: it tells a slip from a wrong secret before anything is tried.

Source: https://www.crockford.com/base32.html
"""

import re
from hashlib import sha256

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUP = 4
_SLIPS = str.maketrans("OIL", "011", "- \t\r\n")


class NotTyped(ValueError):
    """A text is not what was printed. The text of this error quotes nothing of it."""


def to_text(content: bytes, check_bytes: int) -> str:
    """Return the text of a content with that many bytes of check."""
    whole = content + _check(content, check_bytes)
    count = -(-8 * len(whole) // 5)
    number = int.from_bytes(whole)
    digits = "".join(ALPHABET[number >> 5 * at & 31] for at in reversed(range(count)))
    return "-".join(digits[at : at + _GROUP] for at in range(0, count, _GROUP))


def from_text(text: str, content_bytes: int, check_bytes: int) -> bytes:
    """Return the content of a text that `to_text` made. Raises NotTyped."""
    size = content_bytes + check_bytes
    digits = text.upper().translate(_SLIPS)
    if not re.fullmatch(f"[{ALPHABET}]{{{-(-8 * size // 5)}}}", digits):
        raise NotTyped
    number = 0
    for digit in digits:
        number = number << 5 | ALPHABET.index(digit)
    if number >> 8 * size:
        raise NotTyped
    whole = number.to_bytes(size)
    content, check = whole[:content_bytes], whole[content_bytes:]
    if check != _check(content, check_bytes):
        raise NotTyped
    return content


def _check(content: bytes, check_bytes: int) -> bytes:
    return sha256(content).digest()[:check_bytes]
