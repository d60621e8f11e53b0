# SPDX-License-Identifier: Apache-2.0
"""Padding hides lengths, costs little, and has one form for each plaintext."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.padding import Measure, curve_length, pad, step_length, unpad

MEASURES = st.sampled_from([step_length, curve_length])
PLAINTEXTS = st.binary(max_size=700) | st.builds(lambda zeros: b"\x80" + bytes(zeros), st.integers(0, 300))


def padme(length: int) -> int:
    """Return the Padmé length as its paper writes it, with logarithms."""
    exponent = math.floor(math.log2(length))
    free = exponent - (math.floor(math.log2(exponent)) + 1)
    return (length + (1 << free) - 1) >> free << free


@given(PLAINTEXTS, MEASURES)
def test_what_was_padded_comes_back(plaintext: bytes, length: Measure) -> None:
    padded = pad(plaintext, length)
    assert len(padded) == length(len(plaintext))
    assert unpad(padded, length) == plaintext


@pytest.mark.parametrize(("plaintext", "padded"), [(0, 128), (127, 128), (128, 256), (255, 256), (256, 384)])
def test_steps_are_multiples_of_128(plaintext: int, padded: int) -> None:
    assert step_length(plaintext) == padded


@pytest.mark.parametrize(
    ("plaintext", "padded"), [(0, 128), (127, 128), (128, 144), (143, 144), (255, 256), (256, 272)]
)
def test_the_curve_starts_at_128(plaintext: int, padded: int) -> None:
    assert curve_length(plaintext) == padded


@given(st.integers(128, 2**21))
def test_the_curve_is_padme_and_costs_at_most_12_per_cent(needed: int) -> None:
    assert curve_length(needed - 1) == padme(needed)
    assert needed <= curve_length(needed - 1) < needed * 1.12 + 1


def test_few_lengths_are_left_to_see() -> None:
    assert len({curve_length(length) for length in range(2**16)}) < 150
    assert len({length for length in range(2**16)}) == 2**16  # noqa: C416  # without padding, every length


@pytest.mark.parametrize(
    "padded",
    [b"", bytes(128), b"a" * 128, b"a\x80" + bytes(125), b"a\x80" + bytes(127), b"\x80" + bytes(255), b"\x80"],
    ids=["empty", "zeros", "no marker", "too short", "too long", "a step too long", "marker alone"],
)
@pytest.mark.parametrize("length", [step_length, curve_length])
def test_padding_of_another_form_is_refused(padded: bytes, length: Measure) -> None:
    assert unpad(b"a\x80" + bytes(126), length) == b"a"
    with pytest.raises(SealBroken):
        unpad(padded, length)


def test_the_form_of_one_measure_is_not_that_of_the_other() -> None:
    assert unpad(pad(bytes(130), curve_length), curve_length) == bytes(130)
    with pytest.raises(SealBroken):
        unpad(pad(bytes(130), curve_length), step_length)
