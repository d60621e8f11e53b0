# SPDX-License-Identifier: Apache-2.0
"""Lists in pages: `limit` says how many, `after` which identifier they follow. The answer names the next `after`."""

from typing import NamedTuple

from mysafe.domain.errors import InvalidField
from mysafe.domain.ids import LARGEST_ID

PAGE = ("after", "limit")
"""The query parameters of every list in pages."""

USUAL_LIMIT = 100
HIGHEST_LIMIT = 500
"""Most records of a page: without a limit, and at all."""


class Page(NamedTuple):
    """Which part of a list is asked for."""

    after: int
    limit: int


def read_page(query: dict[str, str]) -> Page:
    """Return the page that query parameters ask for. Raises InvalidField."""
    after, limit = (_number(query, name) for name in PAGE)
    if limit is not None and not 1 <= limit <= HIGHEST_LIMIT:
        raise InvalidField("limit")
    return Page(after or 0, limit or USUAL_LIMIT)


def _number(query: dict[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID)) and int(text) <= LARGEST_ID):
        raise InvalidField(name)
    return int(text)
