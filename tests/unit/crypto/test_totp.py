# SPDX-License-Identifier: Apache-2.0
"""TOTP codes of stored seeds. The published values are in tests/vectors."""

import pytest

from mysafe.crypto.totp import totp_code
from mysafe.domain.secret_text import SecretText

SEED = SecretText("JBSWY3DPEHPK3PXP")


def code(seed: str, at: int) -> str:
    return totp_code(SecretText(seed), at).reveal()


def test_a_code_is_good_for_30_seconds() -> None:
    assert {code("JBSWY3DPEHPK3PXP", at) for at in range(60, 90)} == {code("JBSWY3DPEHPK3PXP", 60)}
    assert code("JBSWY3DPEHPK3PXP", 59) != code("JBSWY3DPEHPK3PXP", 60) != code("JBSWY3DPEHPK3PXP", 90)


def test_a_code_has_six_digits_zeros_included() -> None:
    codes = [code("JBSWY3DPEHPK3PXP", 30 * step) for step in range(500)]
    assert {len(one) for one in codes} == {6}
    assert all(one.isdecimal() for one in codes)
    assert any(one.startswith("0") for one in codes)


@pytest.mark.parametrize("length", [10, 12, 13, 15, 16, 18])
def test_missing_padding_is_added(length: int) -> None:
    seed = ("JBSWY3DPEHPK3PXPJBSW")[:length]
    padded = seed + "=" * (-length % 8)
    assert code(seed, 59) == code(padded, 59) == code(seed + "=", 59)


@pytest.mark.parametrize("seed", ["JBSWY3DP1", "jbswy3dpehpk3pxp", "JBSW Y3DP", "é" * 16])
def test_what_is_not_base32_is_an_error_that_does_not_quote_it(seed: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the standard library's own
        code(seed, 59)
    assert seed not in str(raised.value)


@pytest.mark.parametrize("length", [9, 11, 14, 17])
def test_bits_that_fill_no_byte_are_dropped(length: int) -> None:
    seed = ("JBSWY3DPEHPK3PXPJBSW")[:length]
    assert code(seed, 59) == code(seed[:-1], 59)


def test_a_code_is_masked() -> None:
    assert repr(totp_code(SEED, 59)) == "SecretText(***)"
