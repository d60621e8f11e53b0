# SPDX-License-Identifier: Apache-2.0
"""A passphrase or a recovery code opens its slot, and no cost that somebody wrote into a slot is believed."""

import struct
from collections.abc import Callable

import pytest

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.password_hash import Cost
from mysafe.crypto.root_key import passphrase
from mysafe.crypto.root_key.passphrase import COST, LEAST, MOST, RecoveryProvider, cost_of, new_recovery_code
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.crypto.root_key.typed import ALPHABET, from_text, to_text
from mysafe.domain.secret_text import SecretText
from tests.unit.crypto.root_key.scene import CHEAPEST, KEY, PASSPHRASE, knows

HEAD, ALL = 4 + 12 + 16, 4 + 12 + 16 + 24 + 32 + 16


def with_cost(slot: bytes, cost: Cost) -> bytes:
    return slot[:4] + struct.pack(">III", *cost) + slot[16:]


def test_a_passphrase_opens_its_slot() -> None:
    slot = knows(PASSPHRASE).wrap(KEY, b"bound")
    assert (len(slot), slot[:4]) == (ALL, b"MR\x01\x02")
    assert knows(PASSPHRASE).unwrap(slot, b"bound") == KEY
    assert knows(PASSPHRASE).wrap(KEY, b"bound")[16:32] != slot[16:32], "the salt is fresh"
    assert knows(PASSPHRASE).health() is None


def test_texts_that_look_the_same_are_the_same_passphrase() -> None:
    slot = knows("Zoe\u0308 and fourteen more").wrap(KEY, b"")
    assert knows("Zoë and fourteen more").unwrap(slot, b"") == KEY


def test_another_passphrase_or_place_does_not_open_a_slot() -> None:
    slot = knows(PASSPHRASE).wrap(KEY, b"bound")
    with pytest.raises(SealBroken):
        knows(PASSPHRASE + ".").unwrap(slot, b"bound")
    with pytest.raises(SealBroken):
        knows(PASSPHRASE).unwrap(slot, b"other")


def test_a_new_passphrase_must_be_long() -> None:
    with pytest.raises(RootKeyRefused, match="15 characters") as refused:
        knows("fourteen chars").wrap(KEY, b"")
    assert "fourteen" not in str(refused.value)


def test_a_new_slot_costs_256_mib_and_three_passes() -> None:
    assert COST == (256 * 1024, 3, 4)
    slot = knows(PASSPHRASE).wrap(KEY, b"")
    assert cost_of(slot) == CHEAPEST
    assert cost_of(b"MR\x01\x01") is None


OUT_OF_BOUNDS = (
    LEAST._replace(memory_kib=LEAST.memory_kib - 1),
    LEAST._replace(passes=2),
    LEAST._replace(lanes=0),
    MOST._replace(memory_kib=MOST.memory_kib + 1),
    LEAST._replace(passes=MOST.passes + 1),
    LEAST._replace(lanes=MOST.lanes + 1),
)


@pytest.mark.parametrize("cost", OUT_OF_BOUNDS, ids=str)
def test_a_cost_out_of_bounds_is_refused_before_anything_is_computed(
    cost: Cost, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = knows(PASSPHRASE).wrap(KEY, b"")
    computed: list[bytes] = []

    def derive(text: bytes, head: bytes) -> bytes:
        computed.append(head)
        return bytes(32)

    monkeypatch.setattr(passphrase, "_derive", derive)
    with pytest.raises(SealBroken):
        knows(PASSPHRASE).unwrap(with_cost(slot, cost), b"")
    assert computed == []
    with pytest.raises(SealBroken):
        knows(PASSPHRASE).unwrap(slot, b"")  # the control: with a good cost it comes to computing
    assert len(computed) == 1


def test_a_cost_within_bounds_that_was_changed_is_detected() -> None:
    slot = knows(PASSPHRASE).wrap(KEY, b"")
    with pytest.raises(SealBroken):
        knows(PASSPHRASE).unwrap(with_cost(slot, CHEAPEST._replace(passes=4)), b"")


def test_the_cost_is_authenticated_even_if_it_would_give_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "_derive", lambda text, head: bytes(32))
    slot = knows(PASSPHRASE).wrap(KEY, b"")
    assert knows(PASSPHRASE).unwrap(slot, b"") == KEY
    for at in range(len(slot)):
        with pytest.raises(SealBroken):
            knows(PASSPHRASE).unwrap(slot[:at] + bytes((slot[at] ^ 1,)) + slot[at + 1 :], b"")
    for altered in (b"", slot[:HEAD], slot[:-1], slot + b"\0"):
        with pytest.raises(SealBroken):
            knows(PASSPHRASE).unwrap(altered, b"")


def recovers(code: str) -> RecoveryProvider:
    return RecoveryProvider(lambda what: SecretText(code), cost=CHEAPEST)


def test_a_recovery_code_has_160_random_bits_and_can_be_typed() -> None:
    code = new_recovery_code().reveal()
    assert [len(group) for group in code.split("-")] == [4] * 10
    slot = recovers(code).wrap(KEY, b"")
    assert recovers(code.lower().replace("-", " ").replace("0", "o").replace("1", "l")).unwrap(slot, b"") == KEY
    assert len({new_recovery_code().reveal() for _ in range(100)}) == 100
    with pytest.raises(SealBroken):
        recovers(new_recovery_code().reveal()).unwrap(slot, b"")


SLIPS: dict[str, Callable[[str], str]] = {
    "one less": lambda code: code[:-1],
    "one more": lambda code: code + "7",
    "no digit": lambda code: "U" + code[1:],
    "two swapped": lambda code: code[1] + code[0] + code[2:],
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_in_a_recovery_code_is_told(slip: Callable[[str], str]) -> None:
    code = "1234" + "-" + recovery_code_from("1234")
    with pytest.raises(RootKeyRefused, match="not copied") as refused:
        recovers(slip(code)).wrap(KEY, b"")
    assert code[5:] not in str(refused.value)
    assert recovers(code).wrap(KEY, b"")


def recovery_code_from(first: str) -> str:
    """Return the rest of a code that begins with four digits of one's choice."""
    content = from_text(new_recovery_code().reveal(), 20, 5)
    number = sum(ALPHABET.index(digit) << 5 * (3 - at) for at, digit in enumerate(first))
    bits = (int.from_bytes(content) & (1 << 140) - 1) | number << 140
    return to_text(bits.to_bytes(20), 5)[5:]
