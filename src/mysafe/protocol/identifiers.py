# SPDX-License-Identifier: Apache-2.0
"""Read the identifier in a path. Knows no kind of record."""

from mysafe.domain.errors import BadIdentifier
from mysafe.domain.ids import LARGEST_ID

_MOST_DIGITS = len(str(LARGEST_ID))


def parse_identifier(text: str) -> int:
    """Return the number of an identifier; LARGEST_ID + 1, which no record has, for every larger one.

    Raises:
        BadIdentifier: it is not `[1-9][0-9]*` in ASCII.

    Source: contract 1.6 (anything else is 1010; too large for storage is 1005).
    """
    if not (text.isascii() and text.isdigit()) or text[0] == "0":
        raise BadIdentifier
    if len(text) > _MOST_DIGITS:
        return LARGEST_ID + 1
    return min(int(text), LARGEST_ID + 1)
