# SPDX-License-Identifier: Apache-2.0
"""Credentials have their documented form, are fresh, and junk is told from tokens without a database."""

import re
import string
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.crypto.credentials import looks_like_access_token, new_access_token, new_client_id, new_client_secret

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
TOKEN = new_access_token().reveal()


def number(text: str) -> int:
    total = 0
    for character in text:
        total = total * 62 + DIGITS.index(character)
    return total


@given(st.binary(min_size=32, max_size=32))
def test_a_token_holds_all_its_random_bits_and_a_check(random: bytes) -> None:
    token = new_access_token(lambda count: random[:count]).reveal()
    assert re.fullmatch(r"mst_[0-9A-Za-z]{49}", token)
    assert number(token[4:47]).to_bytes(32) == random
    assert number(token[47:]) == zlib.crc32(token[:47].encode())
    assert looks_like_access_token(token)


def test_credentials_are_fresh() -> None:
    assert len({new_access_token().reveal() for _ in range(500)}) == 500
    assert len({new_client_id() for _ in range(500)}) == 500
    assert len({new_client_secret().reveal() for _ in range(500)}) == 500


def test_client_id_and_secret_have_the_documented_sizes() -> None:
    assert re.fullmatch(r"[0-9a-f]{41}", new_client_id())
    assert re.fullmatch(r"[0-9a-f]{32}", new_client_secret().reveal())
    assert "***" in repr(new_client_secret())


@pytest.mark.parametrize("at", range(4, 53))
def test_a_mistyped_character_is_noticed(at: int) -> None:
    assert looks_like_access_token(TOKEN)
    for character in DIGITS:
        mistyped = TOKEN[:at] + character + TOKEN[at + 1 :]
        assert looks_like_access_token(mistyped) == (character == TOKEN[at])


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "mst_",
        "mst_" + "0" * 49,
        TOKEN[:-1],
        TOKEN + "0",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN[4:],
        TOKEN.upper(),
        "MST_" + TOKEN[4:],
        TOKEN[:20] + "é" + TOKEN[21:],
        TOKEN[:20] + "\0" + TOKEN[21:],
        TOKEN[:-1] + "\uff10",
        "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo",
        "\ud800" * 53,
    ],
)
def test_junk_is_no_token(junk: str) -> None:
    assert not looks_like_access_token(junk)


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    assert not looks_like_access_token(text)
    assert not looks_like_access_token("mst_" + text)


def test_a_huge_junk_is_refused_at_once() -> None:
    began = time.perf_counter()
    assert not looks_like_access_token("mst_" + "a" * 10_000_000)
    assert time.perf_counter() - began < 0.1
