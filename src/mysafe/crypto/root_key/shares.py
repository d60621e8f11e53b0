# SPDX-License-Identifier: Apache-2.0
"""Root key under a random key that was split among people: any t of n shares open the slot.

    slot      "MR" | format 1 | algorithm 3 | t u8 | n u8 | set id 4 | digest 32 … (n) | nonce 24 | root key 32 | tag 16
    share     set id 4 | t u8 | index u8 | value 32, printed as text with a check of 4 bytes (see typed.py)
    digest    SHA-256 of associated_data("mysafe share", the 38 bytes of the share)

XAES-256-GCM under the key that was split, with the associated data "shamir slot", what the slot is bound to, and all
bytes before the nonce. A share has 256 random bits, so its digest betrays nothing; with it a wrong share is told from
a right one before the others are there (R-CRY-11).
"""

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, SealBroken, associated_data
from mysafe.crypto.root_key.passphrase import AskSecret
from mysafe.crypto.root_key.polynomials import MOST_SHARES, join, split
from mysafe.crypto.root_key.provider import (
    MAGIC,
    SEALED_BYTES,
    RandomBytes,
    RootKeyRefused,
    open_root_key,
    seal_root_key,
)
from mysafe.crypto.root_key.typed import NotTyped, from_text, to_text
from mysafe.domain.secret_text import SecretText

SET_ID_BYTES = 4
_SHARE_BYTES = SET_ID_BYTES + 2 + KEY_BYTES
_CHECK_BYTES = 4
_DIGEST_BYTES = 32
_HEADER = MAGIC + b"\x03"
_FIXED_BYTES = len(_HEADER) + 2 + SET_ID_BYTES


class SharesWanted(NamedTuple):
    """How many shares there shall be, and how many of them open: 2 <= threshold <= total <= 16."""

    threshold: int
    total: int


class ShareCollector:
    """Take shares of one slot, one after the other, and say of each what is wrong with it.

    Raises:
        SealBroken: the slot is not one of shares.
    """

    def __init__(self, blob: bytes) -> None:
        self._slot = _parse(blob)
        self._values: dict[int, bytes] = {}

    @property
    def needed(self) -> int:
        """How many shares open the slot."""
        return self._slot.threshold

    @property
    def given(self) -> int:
        """How many right shares were given so far."""
        return len(self._values)

    @property
    def total(self) -> int:
        """How many shares were made."""
        return len(self._slot.digests)

    def give(self, text: SecretText) -> None:
        """Take a share.

        Raises:
            RootKeyRefused: it was not copied as it is printed, is of another set, was given before, or is wrong.
        """
        try:
            share = from_text(text.reveal(), _SHARE_BYTES, _CHECK_BYTES)
        except NotTyped:
            raise RootKeyRefused("this is not a share: it was not copied as it is printed") from None
        index, slot = share[SET_ID_BYTES + 1], self._slot
        if share[:SET_ID_BYTES] != slot.set_id:
            raise RootKeyRefused("this share belongs to another set: of another vault, or made before the present one")
        if not 1 <= index <= len(slot.digests) or not hmac.compare_digest(slot.digests[index - 1], _digest(share)):
            raise RootKeyRefused("this share is wrong: it is not one of those that were made")
        if index in self._values:
            raise RootKeyRefused(f"share {index} was given before: another one is needed")
        self._values[index] = share[SET_ID_BYTES + 2 :]

    def key(self) -> bytes:
        """Return the key of the slot. Raises ValueError before enough shares were given."""
        if self.given < self.needed:
            raise ValueError("more shares are needed")
        return join(dict(list(self._values.items())[: self.needed]))


class SharesProvider:
    """Wrap the root key under a key that is split when the slot is made, and joined when it is opened.

    Args:
        ask: returns one share each time it is asked.
        wanted: how many shares a new slot gets; None where none is made.
        random_bytes: source of key, set id, polynomials and nonce, in this order; only test vectors have another one.

    Attributes:
        made: the shares of the slot that was wrapped last, to be handed out.
    """

    name = "shamir"

    def __init__(
        self, ask: AskSecret, wanted: SharesWanted | None = None, *, random_bytes: RandomBytes = os.urandom
    ) -> None:
        self._ask = ask
        self._wanted = wanted
        self._random_bytes = random_bytes
        self.made: tuple[SecretText, ...] = ()

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the slot of a root key, and leave its shares in `made`. Raises RootKeyRefused."""
        if self._wanted is None:
            raise RootKeyRefused("it was not said how many shares there shall be: such as 2/3")
        threshold, total = self._wanted
        slot_key, set_id = self._random_bytes(KEY_BYTES), self._random_bytes(SET_ID_BYTES)
        values = split(slot_key, threshold, total, self._random_bytes)
        shares = [set_id + bytes((threshold, index)) + value for index, value in enumerate(values, 1)]
        head = _HEADER + bytes(self._wanted) + set_id + b"".join(map(_digest, shares))
        sealed = seal_root_key(slot_key, self._random_bytes(NONCE_BYTES), key, _bound(aad, head))
        self.made = tuple(SecretText(to_text(share, _CHECK_BYTES)) for share in shares)
        return head + sealed

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of a slot, asking for share after share. Raises RootKeyRefused, SealBroken."""
        collector = ShareCollector(blob)
        while collector.given < collector.needed:
            collector.give(self._ask(f"share {collector.given + 1} of {collector.needed}"))
        return open_with(collector, blob, aad)

    def health(self) -> str | None:
        """Return None: whether people are there cannot be known."""
        return None


def is_of_shares(blob: bytes) -> bool:
    """Return whether a slot says that it is opened by shares."""
    return blob.startswith(_HEADER)


def open_with(collector: ShareCollector, blob: bytes, aad: bytes) -> bytes:
    """Return the root key of a slot whose shares were collected. Raises SealBroken."""
    head, sealed = blob[:-SEALED_BYTES], blob[-SEALED_BYTES:]
    return open_root_key(collector.key(), sealed, _bound(aad, head))


class _Slot(NamedTuple):
    threshold: int
    set_id: bytes
    digests: Sequence[bytes]


def _parse(blob: bytes) -> _Slot:
    """Return what stands before the sealed key. Raises SealBroken."""
    if len(blob) < _FIXED_BYTES or not blob.startswith(_HEADER):
        raise SealBroken
    threshold, count = blob[len(_HEADER) : len(_HEADER) + 2]
    is_whole = len(blob) == _FIXED_BYTES + count * _DIGEST_BYTES + SEALED_BYTES
    if not (is_whole and 2 <= threshold <= count <= MOST_SHARES):
        raise SealBroken
    set_id = blob[len(_HEADER) + 2 : _FIXED_BYTES]
    starts = range(_FIXED_BYTES, _FIXED_BYTES + count * _DIGEST_BYTES, _DIGEST_BYTES)
    return _Slot(threshold, set_id, [blob[at : at + _DIGEST_BYTES] for at in starts])


def _digest(share: bytes) -> bytes:
    return sha256(associated_data("mysafe share", share)).digest()


def _bound(aad: bytes, head: bytes) -> bytes:
    return associated_data("shamir slot", aad, head)
