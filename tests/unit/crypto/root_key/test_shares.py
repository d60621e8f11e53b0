# SPDX-License-Identifier: Apache-2.0
"""Any t shares give the key back, fewer say nothing, and of each wrong one it is told what is wrong with it."""

from itertools import combinations, islice, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.polynomials import MOST_SHARES, join, multiply, split
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.crypto.root_key.shares import ShareCollector, SharesProvider, SharesWanted, open_with
from mysafe.crypto.root_key.typed import ALPHABET, NotTyped, from_text, to_text
from mysafe.domain.secret_text import SecretText
from tests.unit.crypto.root_key.scene import KEY
from tests.unit.crypto.scene import flips


def nobody(what: str) -> SecretText:
    raise AssertionError(what)


def made(threshold: int = 2, total: int = 3) -> tuple[bytes, list[str]]:
    """Return a slot and its shares."""
    provider = SharesProvider(nobody, SharesWanted(threshold, total))
    slot = provider.wrap(KEY, b"bound")
    return slot, [share.reveal() for share in provider.made]


def test_the_field_is_that_of_aes() -> None:
    assert multiply(0x57, 0x83) == 0xC1  # FIPS 197, section 4.2
    assert multiply(0x57, 0x13) == 0xFE
    for left, right in combinations(range(0, 256, 5), 2):
        assert multiply(left, right) == multiply(right, left) == slow_product(left, right)


def slow_product(left: int, right: int) -> int:
    """Multiply as in school, then divide by the polynomial of AES."""
    product = 0
    for bit in range(8):
        if right >> bit & 1:
            product ^= left << bit
    for bit in reversed(range(8, 16)):
        if product >> bit & 1:
            product ^= 0x11B << bit - 8
    return product


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=32, max_size=32), st.integers(2, MOST_SHARES), st.integers(0, MOST_SHARES - 2))
def test_any_shares_enough_give_the_secret_back(secret: bytes, threshold: int, more: int) -> None:
    total = min(MOST_SHARES, threshold + more)
    shares = dict(enumerate(split(secret, threshold, total), 1))
    for chosen in (list(shares)[:threshold], list(shares)[-threshold:]):
        assert join({index: shares[index] for index in chosen}) == secret


def test_one_share_too_few_fits_every_secret() -> None:
    """For each of 256 secrets there is a second share that goes with the first one: so the first says nothing."""
    share = split(b"\x07", 2, 3)[0]
    secrets = {join({1: share, 2: bytes((other,))}) for other in range(256)}
    assert len(secrets) == 256


@pytest.mark.parametrize(("threshold", "total"), [(1, 3), (0, 2), (4, 3), (2, 17)])
def test_sets_that_make_no_sense_are_refused(threshold: int, total: int) -> None:
    with pytest.raises(ValueError, match="shares need"):
        split(bytes(32), threshold, total)


@pytest.mark.parametrize(("threshold", "total"), [(2, 2), (2, 3), (3, 5), (16, 16)])
def test_shares_open_their_slot_in_any_order(threshold: int, total: int) -> None:
    slot, shares = made(threshold, total)
    for chosen in islice(permutations(shares, threshold), 12):
        remaining = list(chosen)
        provider = SharesProvider(lambda what, left=remaining: SecretText(left.pop()))  # type: ignore[misc]
        assert provider.unwrap(slot, b"bound") == KEY
        assert remaining == []


def test_a_slot_of_shares_is_bound_to_its_place_and_every_bit_of_it_counts() -> None:
    slot, shares = made()

    def opened(altered: bytes, aad: bytes) -> bytes:
        collector = ShareCollector(altered)
        for share in shares[:2]:
            collector.give(SecretText(share))
        return open_with(collector, altered, aad)

    assert opened(slot, b"bound") == KEY
    with pytest.raises(SealBroken):
        opened(slot, b"other")
    for altered in (*list(flips(slot))[::7], b"", slot[:-1], slot + b"\0"):
        with pytest.raises((SealBroken, RootKeyRefused, ValueError)):
            opened(altered, b"bound")


def test_each_wrong_share_is_told_apart() -> None:
    slot, shares = made()
    collector = ShareCollector(slot)
    collector.give(SecretText(shares[0]))
    assert (collector.given, collector.needed, collector.total) == (1, 2, 3)
    raw = from_text(shares[1], 38, 4)
    forged = to_text(raw[:-1] + bytes((raw[-1] ^ 1,)), 4)  # with a right check: no slip, but a lie
    beyond = to_text(raw[:5] + b"\x09" + raw[6:], 4)
    for text, words in (
        (shares[0], "share 1 was given before"),
        (shares[1][:-1], "not copied"),
        (shares[1][:-1] + ALPHABET[(ALPHABET.index(shares[1][-1]) + 1) % 32], "not copied"),
        ("", "not copied"),
        (made()[1][1], "another set"),
        (forged, "share is wrong"),
        (beyond, "share is wrong"),
    ):
        with pytest.raises(RootKeyRefused, match=words) as refused:
            collector.give(SecretText(text))
        assert text == "" or text not in str(refused.value)
        assert collector.given == 1
    with pytest.raises(ValueError, match="more shares"):
        collector.key()
    collector.give(SecretText(shares[2].lower()))
    assert open_with(collector, slot, b"bound") == KEY


def test_shares_are_not_made_without_saying_how_many() -> None:
    with pytest.raises(RootKeyRefused, match="how many"):
        SharesProvider(nobody).wrap(KEY, b"")


def test_nothing_of_a_share_is_in_the_slot() -> None:
    slot, shares = made(3, 5)
    for share in shares:
        assert from_text(share, 38, 4)[6:] not in slot


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=1, max_size=64), st.integers(1, 8))
def test_what_is_typed_comes_back(content: bytes, check: int) -> None:
    text = to_text(content, check)
    assert from_text(text, len(content), check) == content
    assert (
        from_text(f" {text.lower().replace('-', ' ').replace('0', 'o').replace('1', 'I')}\n", len(content), check)
        == content
    )


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=38, max_size=38), st.integers(0, 67), st.integers(1, 31))
def test_one_wrong_character_is_noticed(content: bytes, at: int, by: int) -> None:
    text = to_text(content, 4).replace("-", "")
    other = ALPHABET[(ALPHABET.index(text[at]) + by) % 32]
    with pytest.raises(NotTyped):
        from_text(text[:at] + other + text[at + 1 :], 38, 4)
