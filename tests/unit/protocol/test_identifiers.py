# SPDX-License-Identifier: Apache-2.0
"""Identifiers in paths (contract 1.6)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.errors import BadIdentifier
from mysafe.domain.ids import LARGEST_ID
from mysafe.protocol.identifiers import parse_identifier


@pytest.mark.parametrize("number", [1, 9, 10, 312, 999_999_999, LARGEST_ID - 1, LARGEST_ID])
def test_a_number_is_its_value(number: int) -> None:
    assert parse_identifier(str(number)) == number


@pytest.mark.parametrize("text", [str(LARGEST_ID + 1), "9" * 19, "9" * 20, "1" + "0" * 5000, "9" * 1_000_000])
def test_a_number_too_large_for_storage_is_one_that_no_record_has(text: str) -> None:
    began = time.perf_counter()
    assert parse_identifier(text) == LARGEST_ID + 1
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    "text",
    ["", "0", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "1_000", "abc", "1a", "%31", "null",
     "٣", "１", "²", "1²", "1\0"],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_identifier(text: str) -> None:
    with pytest.raises(BadIdentifier):
        parse_identifier(text)


@pytest.mark.parametrize("text", ["01", " 1", "1\n", "1_000", "+1", "٣"])
def test_a_plain_conversion_would_take_it(text: str) -> None:
    assert int(text) > 0


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{1,25}", fullmatch=True))
def test_any_text_is_a_possible_identifier_or_refused(text: str) -> None:
    try:
        number = parse_identifier(text)
    except BadIdentifier:
        assert not (text.isascii() and text.isdecimal() and int(text) > 0 and text[0] != "0")
    else:
        assert number == min(int(text), LARGEST_ID + 1)
        assert number >= 1
