# SPDX-License-Identifier: Apache-2.0
"""The working keys of a vault, and their sealed form. Knows the root key only while it seals and opens.

    sealed      "MK" | format 1 | algorithm 1 | commitment 32 | nonce 24 | ciphertext | tag 16
    plaintext   count u16 | epoch … | K_idx 32 | K_tok 32 | K_aud 32 | K_csrf 32 | SK_chk 32
    epoch       number u32 | state u8 | KEK 32         ascending by number; the KEK of a destroyed epoch is zeros

Numbers are big-endian; states are 1 staged, 2 active (exactly one), 3 decrypt-only, 4 destroyed. XAES-256-GCM under
the root key with the associated data "keyring", vault id, keyring version. The commitment is HMAC-SHA-256 under the
root key of "keyring commitment", vault id, keyring version, and all other bytes, each as a field of
`aead.associated_data`: XAES alone does not commit to its key, and a keyring must not open under two.
"""

import hmac
import os
import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple, NoReturn, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, SealBroken, XaesKey, associated_data

_HEADER = b"MK\x01\x01"
_COMMITMENT_BYTES = 32
_COUNT = struct.Struct(">H")
_EPOCH = struct.Struct(">IB32s")
_SINGLE_KEYS = 5
_NO_KEY = bytes(KEY_BYTES)

RandomBytes = Callable[[int], bytes]


class EpochState(IntEnum):
    """What the key-encryption key of an epoch may do. The values are stored: never renumber."""

    STAGED = 1
    ACTIVE = 2
    DECRYPT_ONLY = 3
    DESTROYED = 4


class EpochInfo(NamedTuple):
    """An epoch without its key."""

    number: int
    state: EpochState


class _Epoch(NamedTuple):
    number: int
    state: EpochState
    kek: bytes

    def __repr__(self) -> str:
        return f"_Epoch({self.number}, {self.state.name})"


@final
class Keyring:
    """Hold the working keys. Each is random and has one purpose; printing or pickling shows none.

    Attributes:
        version: number of the sealed form, from 1; part of its associated data.
        active_epoch: number of the epoch whose KEK wraps new data keys.
        index_key: K_idx, keys the blind indexes.
        verifier_key: K_tok, keys the verifiers of tokens and client secrets.
        audit_key: K_aud, seals audit details.
        csrf_key: K_csrf, keys the tokens of web forms.
        checkpoint_key: SK_chk, signs the checkpoints of the audit tree (Ed25519).
    """

    __slots__ = (
        "_epochs",
        "_keks",
        "_single_keys",
        "active_epoch",
        "audit_key",
        "checkpoint_key",
        "csrf_key",
        "index_key",
        "verifier_key",
        "version",
    )

    def __init__(self, version: int, epochs: Sequence[_Epoch], single_keys: Sequence[bytes]) -> None:
        _check(epochs, single_keys)
        self.version = version
        self._epochs = tuple(epochs)
        self._single_keys = tuple(single_keys)
        self._keks = {epoch.number: XaesKey(epoch.kek) for epoch in epochs if epoch.state is not EpochState.DESTROYED}
        (self.active_epoch,) = (epoch.number for epoch in epochs if epoch.state is EpochState.ACTIVE)
        self.index_key, self.verifier_key, audit_key, self.csrf_key, checkpoint_key = single_keys
        self.audit_key = XaesKey(audit_key)
        self.checkpoint_key = Ed25519PrivateKey.from_private_bytes(checkpoint_key)

    @classmethod
    def create(cls, random_bytes: RandomBytes = os.urandom) -> Self:
        """Return version 1 with a fresh key for every purpose and one active epoch, number 1.

        Args:
            random_bytes: source of randomness; anything but `os.urandom` is for test vectors. Drawn in this order:
                KEK, K_idx, K_tok, K_aud, K_csrf, SK_chk.
        """
        kek, *single_keys = (random_bytes(KEY_BYTES) for _ in range(1 + _SINGLE_KEYS))
        return cls(1, [_Epoch(1, EpochState.ACTIVE, kek)], single_keys)

    @property
    def epochs(self) -> tuple[EpochInfo, ...]:
        """The epochs without their keys, ascending by number."""
        return tuple(EpochInfo(epoch.number, epoch.state) for epoch in self._epochs)

    def numbers_in(self, state: EpochState) -> tuple[int, ...]:
        """Return the numbers of the epochs in a state, ascending."""
        return tuple(epoch.number for epoch in self._epochs if epoch.state is state)

    def staged(self, random_bytes: RandomBytes = os.urandom) -> Self:
        """Return the next version, which has a new epoch that opens what it wrapped and wraps nothing yet.

        Raises:
            ValueError: an epoch is staged already.
        """
        if self.numbers_in(EpochState.STAGED):
            raise ValueError("an epoch is staged already")
        new = _Epoch(self._epochs[-1].number + 1, EpochState.STAGED, random_bytes(KEY_BYTES))
        return self._following((*self._epochs, new))

    def activated(self) -> Self:
        """Return the next version, in which the staged epoch is active, and the one before opens only.

        Raises:
            ValueError: no epoch is staged.
        """
        if not self.numbers_in(EpochState.STAGED):
            raise ValueError("no epoch is staged")
        after = {EpochState.STAGED: EpochState.ACTIVE, EpochState.ACTIVE: EpochState.DECRYPT_ONLY}
        return self._following([epoch._replace(state=after.get(epoch.state, epoch.state)) for epoch in self._epochs])

    def without_retired(self) -> Self:
        """Return the next version, in which the keys of the epochs that opened only are destroyed."""
        is_retired = {epoch.number: epoch.state is EpochState.DECRYPT_ONLY for epoch in self._epochs}
        return self._following(
            [
                epoch._replace(state=EpochState.DESTROYED, kek=_NO_KEY) if is_retired[epoch.number] else epoch
                for epoch in self._epochs
            ]
        )

    def renewed(self) -> Self:
        """Return the next version with the same keys, to be sealed under another root key."""
        return self._following(self._epochs)

    def kek(self, epoch: int) -> XaesKey:
        """Return the key-encryption key of an epoch.

        Raises:
            SealBroken: there is no such epoch, or its key was destroyed.
        """
        try:
            return self._keks[epoch]
        except KeyError:
            raise SealBroken from None

    def seal(self, root_key: bytes, vault_id: bytes, *, random_bytes: RandomBytes = os.urandom) -> bytes:
        """Return the sealed form. `root_key` has 32 bytes, `vault_id` 16."""
        plaintext = b"".join(
            (_COUNT.pack(len(self._epochs)), *(_EPOCH.pack(*epoch) for epoch in self._epochs), *self._single_keys)
        )
        bound = associated_data("keyring", vault_id, self.version)
        sealed = XaesKey(root_key).seal_with_nonce(random_bytes(NONCE_BYTES), plaintext, bound)
        return _HEADER + _commitment(root_key, vault_id, self.version, sealed) + sealed

    @classmethod
    def open(cls, root_key: bytes, vault_id: bytes, version: int, blob: bytes) -> Self:
        """Return the keyring of a sealed form.

        Raises:
            SealBroken: wrong root key, vault or version, or altered bytes.
        """
        header, commitment = blob[: len(_HEADER)], blob[len(_HEADER) : len(_HEADER) + _COMMITMENT_BYTES]
        sealed = blob[len(_HEADER) + _COMMITMENT_BYTES :]
        if header != _HEADER:
            raise SealBroken
        try:
            if not hmac.compare_digest(commitment, _commitment(root_key, vault_id, version, sealed)):
                raise SealBroken
            plaintext = XaesKey(root_key).open(sealed, associated_data("keyring", vault_id, version))
            return cls(version, *_parse(plaintext))
        except ValueError:
            raise SealBroken from None

    def _following(self, epochs: Sequence[_Epoch]) -> Self:
        return type(self)(self.version + 1, epochs, self._single_keys)

    def __repr__(self) -> str:
        return f"Keyring(version={self.version}, active_epoch={self.active_epoch})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keyring cannot be pickled")


def _commitment(root_key: bytes, vault_id: bytes, version: int, sealed: bytes) -> bytes:
    message = associated_data("keyring commitment", vault_id, version, _HEADER, sealed)
    return hmac.digest(root_key, message, "sha256")


def _parse(plaintext: bytes) -> tuple[list[_Epoch], list[bytes]]:
    """Return epochs and single keys. Raises ValueError unless every byte has its place."""
    if len(plaintext) < _COUNT.size:
        raise ValueError("too short")
    (count,) = _COUNT.unpack_from(plaintext)
    end = _COUNT.size + count * _EPOCH.size
    if len(plaintext) != end + _SINGLE_KEYS * KEY_BYTES:
        raise ValueError("wrong length")
    epochs = [
        _Epoch(number, EpochState(state), kek)
        for number, state, kek in _EPOCH.iter_unpack(plaintext[_COUNT.size : end])
    ]
    return epochs, [plaintext[at : at + KEY_BYTES] for at in range(end, len(plaintext), KEY_BYTES)]


def _check(epochs: Sequence[_Epoch], single_keys: Sequence[bytes]) -> None:
    numbers = [epoch.number for epoch in epochs]
    if numbers != sorted(set(numbers)) or numbers[:1] == [0]:
        raise ValueError("epochs ascend from 1 and are given once")
    if [epoch.state for epoch in epochs].count(EpochState.ACTIVE) != 1:
        raise ValueError("exactly one epoch is active")
    if any((epoch.kek == _NO_KEY) != (epoch.state is EpochState.DESTROYED) for epoch in epochs):
        raise ValueError("the key of a destroyed epoch, and no other, is zeros")
    if any(len(key) != KEY_BYTES for key in (*single_keys, *(epoch.kek for epoch in epochs))):
        raise ValueError("every key has 32 bytes")
