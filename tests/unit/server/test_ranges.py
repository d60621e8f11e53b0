# SPDX-License-Identifier: Apache-2.0
"""Ranges (RFC 9110, section 14): the answer is what slicing the content gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.server.api.ranges import Span, find_span

TAG = '"tag"'
NUMBERS = st.integers(0, 60)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_range_is_a_slice(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    span = find_span(f"bytes={first}-{last}", None, TAG, size)
    if last < first:
        assert span == Span(0, size, is_part=False)
    elif span is None:
        assert first >= size
    else:
        assert span.is_part
        assert content[span.start : span.stop] == content[first : last + 1] != b""


@given(NUMBERS, NUMBERS)
def test_open_ranges_are_slices_too(number: int, size: int) -> None:
    content = bytes(range(size))
    rest, tail = find_span(f"bytes={number}-", None, TAG, size), find_span(f"bytes=-{number}", None, TAG, size)
    assert (content[rest.start : rest.stop] if rest else b"") == content[number:]
    assert (content[tail.start : tail.stop] if tail else b"") == (content[-number:] if number else b"")
    assert (rest is None) == (number >= size)
    assert (tail is None) == (number == 0 or size == 0)


@pytest.mark.parametrize(
    "wanted", [None, "bytes=-", "bytes=1-2,4-5", "lines=1-2", "bytes 1-2", "bytes=a-b", "bytes=٣-"]
)
def test_what_is_no_single_range_is_answered_with_the_whole(wanted: str | None) -> None:
    assert find_span(wanted, None, TAG, 9) == Span(0, 9, is_part=False)


def test_a_range_of_another_content_is_answered_with_the_whole() -> None:
    assert find_span("bytes=1-2", TAG, TAG, 9) == Span(1, 3, is_part=True)
    for other in ('"other"', 'W/"tag"', "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert find_span("bytes=1-2", other, TAG, 9) == Span(0, 9, is_part=False)
