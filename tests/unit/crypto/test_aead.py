# SPDX-License-Identifier: Apache-2.0
"""XAES-256-GCM opens only what was sealed, and associated data is an injective encoding."""

import itertools
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.crypto.aead import NONCE_BYTES, TAG_BYTES, SealBroken, XaesKey, associated_data
from tests.unit.crypto.scene import flips

Field = bytes | int | str

FIELDS = st.lists(st.binary(max_size=12) | st.integers(0, 2**64 - 1) | st.text(st.characters(codec="utf-8")))
PIECES = st.binary(max_size=24).flatmap(
    lambda whole: st.tuples(*[st.lists(st.integers(0, len(whole))).map(lambda cuts: split(whole, cuts))] * 2)
)
"""Two ways to cut the same bytes into fields: where encodings that forget lengths collide."""

KEY = XaesKey(bytes(range(32)))


def split(whole: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(cuts), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(ends)]


def as_bytes(field: Field) -> bytes:
    match field:
        case int():
            return field.to_bytes(8)
        case str():
            return field.encode()
        case _:
            return field


def decoded(encoded: bytes) -> list[bytes]:
    """Read an encoding back, by its description and not by its code."""
    fields = []
    while encoded:
        length = int.from_bytes(encoded[:4])
        assert len(encoded) >= 4 + length
        fields.append(encoded[4 : 4 + length])
        encoded = encoded[4 + length :]
    return fields


def is_injective_on(encode: Callable[..., bytes], one: list[Field], two: list[Field]) -> bool:
    return (encode(*one) == encode(*two)) == ([*map(as_bytes, one)] == [*map(as_bytes, two)])


@given(FIELDS, FIELDS)
def test_different_fields_have_different_associated_data(one: list[Field], two: list[Field]) -> None:
    assert is_injective_on(associated_data, one, two)
    assert is_injective_on(associated_data, one, list(one))


@given(PIECES)
def test_the_same_bytes_cut_differently_have_different_associated_data(pieces: tuple[list[Field], ...]) -> None:
    assert is_injective_on(associated_data, *pieces)


@given(FIELDS)
def test_associated_data_can_be_read_back(fields: list[Field]) -> None:
    assert decoded(associated_data(*fields)) == [as_bytes(field) for field in fields]


def test_plain_concatenation_is_seen_not_to_be_injective() -> None:
    def concatenated(*fields: Field) -> bytes:
        return b"".join(map(as_bytes, fields))

    assert not is_injective_on(concatenated, [b"ab", b"c"], [b"a", b"bc"])


def test_a_list_of_fields_is_the_concatenation_of_its_parts() -> None:
    whole = associated_data("a", 1, b"b", 2)
    assert whole == bytes.fromhex("00000001 61 00000008 0000000000000001 00000001 62 00000008 0000000000000002")
    assert associated_data("a", 1) + associated_data(b"b", 2) == whole


@pytest.mark.parametrize("field", [-1, 2**64, "\ud800"])
def test_a_field_that_cannot_be_encoded_is_refused(field: Field) -> None:
    assert associated_data(2**64 - 1)
    with pytest.raises(ValueError):  # noqa: PT011  # any ValueError will do
        associated_data(field)


@given(st.binary(), st.binary())
def test_what_was_sealed_opens(plaintext: bytes, bound: bytes) -> None:
    sealed = KEY.seal(plaintext, bound)
    assert len(sealed) == NONCE_BYTES + len(plaintext) + TAG_BYTES
    assert KEY.open(sealed, bound) == plaintext


def test_every_flipped_bit_is_detected() -> None:
    sealed = KEY.seal(b"plaintext", b"bound")
    assert KEY.open(sealed, b"bound") == b"plaintext"
    for altered in flips(sealed):
        with pytest.raises(SealBroken):
            KEY.open(altered, b"bound")


def test_another_key_or_other_associated_data_does_not_open() -> None:
    sealed = KEY.seal(b"plaintext", b"bound")
    for key, bound in ((KEY, b"bounD"), (KEY, b""), (XaesKey(bytes(32)), b"bound")):
        with pytest.raises(SealBroken):
            key.open(sealed, bound)


@pytest.mark.parametrize("length", [0, 1, NONCE_BYTES, NONCE_BYTES + TAG_BYTES - 1])
def test_what_is_too_short_does_not_open(length: int) -> None:
    with pytest.raises(SealBroken):
        KEY.open(bytes(length), b"")


def test_a_broken_seal_never_says_why() -> None:
    with pytest.raises(SealBroken) as short:
        KEY.open(b"", b"")
    with pytest.raises(SealBroken) as wrong:
        KEY.open(bytes(99), b"")
    assert str(short.value) == str(wrong.value) == "the seal is broken"
    assert wrong.value.__cause__ is None
    assert wrong.value.__suppress_context__


def test_two_seals_of_the_same_differ() -> None:
    assert len({KEY.seal(b"plaintext", b"bound") for _ in range(1000)}) == 1000


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_only_32_bytes_are_a_key(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        XaesKey(bytes(length))


@pytest.mark.parametrize("length", [0, 12, 23, 25])
def test_only_24_bytes_are_a_nonce(length: int) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        KEY.seal_with_nonce(bytes(length), b"", b"")


def test_a_key_does_not_show_itself() -> None:
    secret = os.urandom(32)
    shown = repr(XaesKey(secret))
    assert "XaesKey" in shown
    assert secret.hex() not in shown
    assert repr(secret) not in shown
