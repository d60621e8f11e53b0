# SPDX-License-Identifier: Apache-2.0
"""What is typed opens a sealed vault; what is wrong is told, counted and kept for the audit log."""

import logging

import pytest

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.crypto.root_key.shares import SharesProvider, SharesWanted
from mysafe.domain.errors import TooMany
from mysafe.domain.secret_text import SecretText
from mysafe.services.keys import KeysRefused
from mysafe.services.root.unsealing import MOST_FAILURES, MOST_KEPT, Unsealing
from mysafe.storage.vault_state import SlotRow
from tests.unit.crypto.root_key.scene import KEY, PASSPHRASE, knows


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def unsealing(provider: RootKeyProvider, name: str, ticks: Seconds | None = None) -> Unsealing:
    slot = SlotRow(1, name, "{}", provider.wrap(KEY, b""), 0)

    def open_vault(opener: RootKeyProvider) -> bytes:
        try:
            return opener.unwrap(slot.wrapped, b"")
        except SealBroken:
            raise KeysRefused("the root key does not open this vault") from None

    return Unsealing(slot, open_vault, ticks=ticks or Seconds(), clock=lambda: 0.0)


def shared() -> tuple[Unsealing, list[str]]:
    provider = SharesProvider(lambda what: SecretText(""), SharesWanted(2, 3))
    made = unsealing(provider, "shamir")
    return made, [share.reveal() for share in provider.made]


def test_enough_shares_open_and_progress_is_told() -> None:
    door, shares = shared()
    assert door.progress == ("shamir", 0, 2)
    assert door.give(SecretText(shares[2])) is None
    assert door.progress == ("shamir", 1, 2)
    assert door.give(SecretText(shares[0])) == KEY
    assert door.refusals == []


def test_wrong_shares_are_told_and_kept_without_what_was_typed(caplog: pytest.LogCaptureFixture) -> None:
    door, shares = shared()
    door.give(SecretText(shares[0]))
    with caplog.at_level(logging.WARNING, "mysafe.security"):
        for text in ("not a share", shares[0]):
            with pytest.raises(RootKeyRefused):
                door.give(SecretText(text))
    assert door.progress.given == 1
    kept = "\n".join(door.refusals) + caplog.text
    assert kept.count("1970-01-01T00:00:00+00:00: ") == 2
    assert "was given before" in kept
    assert shares[0] not in kept
    assert "not a share:" not in kept.replace("this is not a share:", "")
    assert len(caplog.records) == 2


def test_a_wrong_passphrase_is_refused_and_the_right_one_opens() -> None:
    door = unsealing(knows(PASSPHRASE), "passphrase")
    with pytest.raises(KeysRefused):
        door.give(SecretText("another passphrase"))
    assert door.give(SecretText(PASSPHRASE)) == KEY
    assert len(door.refusals) == 1


def test_after_five_refusals_in_a_minute_nothing_is_looked_at() -> None:
    ticks = Seconds()
    door, shares = shared()
    door._ticks = ticks
    for _ in range(MOST_FAILURES):
        with pytest.raises(RootKeyRefused):
            door.give(SecretText("x"))
        ticks.now += 1
    with pytest.raises(TooMany) as refused:
        door.give(SecretText(shares[0]))
    assert refused.value.retry_after_seconds == 55
    assert door.progress.given == 0, "not even a right one"
    ticks.now += 55
    door.give(SecretText(shares[0]))
    assert door.progress.given == 1


def test_what_is_kept_of_refusals_is_bounded() -> None:
    ticks = Seconds()
    door, _ = shared()
    door._ticks = ticks
    for _ in range(MOST_KEPT + 7):
        with pytest.raises(RootKeyRefused):
            door.give(SecretText("x"))
        ticks.now += 60
    assert len(door.refusals) == MOST_KEPT + 1
    assert door.refusals[-1] == "7 more were refused"
