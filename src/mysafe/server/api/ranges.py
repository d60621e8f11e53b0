# SPDX-License-Identifier: Apache-2.0
"""Which part of a content a request asks for (RFC 9110, section 14). One range; several are answered with the whole."""

import re
from typing import NamedTuple

_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.IGNORECASE | re.ASCII)


class Span(NamedTuple):
    """From `start` up to `stop`, of so many bytes. `is_part` says that it was asked for as a range."""

    start: int
    stop: int
    is_part: bool


def find_span(wanted: str | None, if_range: str | None, tag: str, size: int) -> Span | None:
    """Return what to send of a content of `size` bytes; None if the range lies outside of it.

    Args:
        wanted: the header `Range`; what cannot be read is ignored, as the RFC says.
        if_range: the header `If-Range`; the range counts only if it is `tag`.
        tag: the strong entity tag of the content, with its quotes.
        size: of the whole content.
    """
    whole = Span(0, size, is_part=False)
    match = _ONE_RANGE.fullmatch(wanted.strip()) if wanted is not None else None
    if match is None or (if_range is not None and if_range.strip() != tag):
        return whole
    first, last = match[1], match[2]
    if not first:
        if not last:
            return whole
        length = min(int(last), size)
        return Span(size - length, size, is_part=True) if length else None
    if last and int(last) < int(first):
        return whole
    if int(first) >= size:
        return None
    return Span(int(first), min(int(last) + 1, size) if last else size, is_part=True)
