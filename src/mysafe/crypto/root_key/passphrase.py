# SPDX-License-Identifier: Apache-2.0
"""Root key under what a person knows: a passphrase, or the code of a recovery kit.

    slot      "MR" | format 1 | algorithm 2 | m u32 (KiB) | t u32 | p u32 | salt 16 | nonce 24 | root key 32 | tag 16

Argon2id with m, t, p over salt and text gives the key of the slot; XAES-256-GCM under it, with the associated data
"passphrase slot", what the slot is bound to, and all bytes before the nonce. Numbers are big-endian.

Source: RFC 9106; security design, section 3; R-CRY-07.
"""

import os
import struct
import threading
import unicodedata
from collections.abc import Callable

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, SealBroken, associated_data
from mysafe.crypto.password_hash import Cost
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

COST = Cost(256 * 1024, 3, 4)
"""What opening a new slot costs: 256 MiB, three passes, four lanes."""

LEAST = Cost(64 * 1024, 3, 1)
"""The floors: a slot that cost less is refused, whoever wrote it."""

MOST = Cost(2 * 1024 * 1024, 20, 16)
"""The ceilings: a slot that somebody wrote into the database must not use up the machine."""

SHORTEST_PASSPHRASE = 15
"""Characters of a new passphrase, at least."""

SALT_BYTES = 16
CODE_BYTES = 20
"""Randomness of a recovery code: 160 bits."""

_CODE_CHECK_BYTES = 5
_HEADER = MAGIC + b"\x02"
_COST = struct.Struct(">III")
_HEAD_BYTES = len(_HEADER) + _COST.size + SALT_BYTES

_one_at_a_time = threading.Lock()

AskSecret = Callable[[str], SecretText]
"""Ask a person for what the argument names. Raises RootKeyRefused where nobody can be asked."""


class PassphraseProvider:
    """Wrap the root key under a passphrase. Texts that look the same are the same (NFC).

    Args:
        ask: returns the passphrase when it is needed, each time.
        cost: of new slots; at least LEAST.
        random_bytes: source of salt and nonce, in this order; anything but `os.urandom` is for test vectors.
    """

    name = "passphrase"

    def __init__(self, ask: AskSecret, *, cost: Cost = COST, random_bytes: RandomBytes = os.urandom) -> None:
        self._ask = ask
        self._cost = cost
        self._random_bytes = random_bytes

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the slot of a root key. Raises RootKeyRefused if the passphrase is too short."""
        text = self._new_text(self._ask("new passphrase"))
        head = _HEADER + _COST.pack(*self._cost) + self._random_bytes(SALT_BYTES)
        nonce = self._random_bytes(NONCE_BYTES)
        return head + seal_root_key(_derive(text, head), nonce, key, _bound(aad, head))

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of a slot. Raises RootKeyRefused; SealBroken for a wrong passphrase or slot."""
        if len(blob) != _HEAD_BYTES + SEALED_BYTES or not blob.startswith(_HEADER):
            raise SealBroken
        head = blob[:_HEAD_BYTES]
        _check_cost(head)
        text = self._known_text(self._ask(self.name))
        return open_root_key(_derive(text, head), blob[_HEAD_BYTES:], _bound(aad, head))

    def health(self) -> str | None:
        """Return None: whether a person is there cannot be known."""
        return None

    def _new_text(self, passphrase: SecretText) -> bytes:
        if len(passphrase.reveal()) < SHORTEST_PASSPHRASE:
            raise RootKeyRefused(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
        return self._known_text(passphrase)

    def _known_text(self, passphrase: SecretText) -> bytes:
        # Halves of surrogate pairs pass: an encoding error would hold the passphrase.
        return unicodedata.normalize("NFC", passphrase.reveal()).encode("utf-8", "surrogatepass")


class RecoveryProvider(PassphraseProvider):
    """Wrap the root key under a random code that is kept on paper. `wrap` and `unwrap` ask for the code."""

    name = "recovery"

    def _new_text(self, passphrase: SecretText) -> bytes:
        return self._known_text(passphrase)

    def _known_text(self, passphrase: SecretText) -> bytes:
        try:
            return from_text(passphrase.reveal(), CODE_BYTES, _CODE_CHECK_BYTES)
        except NotTyped:
            raise RootKeyRefused("this is not a recovery code: it was not copied as it is printed") from None


def new_recovery_code(random_bytes: RandomBytes = os.urandom) -> SecretText:
    """Return a new recovery code of 160 random bits: ten groups of four characters."""
    return SecretText(to_text(random_bytes(CODE_BYTES), _CODE_CHECK_BYTES))


def cost_of(blob: bytes) -> Cost | None:
    """Return what opening a slot costs, None if it is not one of passphrases. Raises SealBroken if it is too short."""
    if not blob.startswith(_HEADER):
        return None
    if len(blob) < _HEAD_BYTES:
        raise SealBroken
    return Cost(*_COST.unpack_from(blob, len(_HEADER)))


def _bound(aad: bytes, head: bytes) -> bytes:
    return associated_data("passphrase slot", aad, head)


def _check_cost(head: bytes) -> None:
    cost = _COST.unpack_from(head, len(_HEADER))
    if not all(least <= value <= most for least, value, most in zip(LEAST, cost, MOST, strict=True)):
        raise SealBroken


def _derive(text: bytes, head: bytes) -> bytes:
    """Return the key of a slot. It takes a second and its memory on purpose, so one at a time."""
    memory_kib, passes, lanes = _COST.unpack_from(head, len(_HEADER))
    salt = head[-SALT_BYTES:]
    with _one_at_a_time:
        return Argon2id(salt=salt, length=KEY_BYTES, iterations=passes, lanes=lanes, memory_cost=memory_kib).derive(
            text
        )
