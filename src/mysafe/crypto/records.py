# SPDX-License-Identifier: Apache-2.0
"""Seal and open the versions of a record, each under a data key (DEK) of its own. Knows addresses, not rows.

    dek     "MS" | format 1 | algorithm 1 | epoch u32 | nonce 24 | wrapped DEK 32 | tag 16      80 bytes
    meta    nonce 12 | ciphertext | tag 16          plaintext padded to a multiple of 128
    secret  nonce 12 | ciphertext | tag 16          plaintext padded to 128 or a Padmé length

Numbers are big-endian. The DEK is wrapped with XAES-256-GCM under the key-encryption key (KEK) of the epoch; the
parts are sealed with AES-256-GCM under the DEK. Associated data, encoded by `aead.associated_data`:

    wrapped DEK   "dek", vault id, table, kind, record id, version, algorithm, epoch
    part          "mysafe/v1", vault id, table, kind, record id, owner id, version, "meta" or "secret", algorithm

The epoch is bound by the wrap alone, so that a rotation rewraps 80 bytes and leaves the parts as they are.
Audit details are sealed directly under the audit key, padded like a meta, with "audit", vault id, bound.
"""

import os
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, TAG_BYTES, SealBroken, associated_data
from mysafe.crypto.keyring import Keyring
from mysafe.crypto.padding import Measure, curve_length, pad, step_length, unpad

LARGEST_RECORD_BYTES = 5 * 1024 * 1024
"""Most bytes of a sealed record, its three parts together."""

ALGORITHM = 1
"""XAES-256-GCM wrap, AES-256-GCM parts. The only algorithm of this version."""

_MAGIC = b"MS"
_FORMAT = 1
_HEADER = struct.Struct(">2sBBI")
_DEK_BYTES = _HEADER.size + NONCE_BYTES + KEY_BYTES + TAG_BYTES
_PART_NONCE_BYTES = 12
_PART_OVERHEAD = _PART_NONCE_BYTES + TAG_BYTES
# What `associated_data` makes of three or four numbers, at a fifth of its cost: each call needs it several times.
_three_numbers = struct.Struct(">IQIQIQ").pack
_four_numbers = struct.Struct(">IQIQIQIQ").pack
_META_FIELDS = associated_data("meta", ALGORITHM)
_SECRET_FIELDS = associated_data("secret", ALGORITHM)

# One draw of randomness for a record, cut into its uses.
_DEK = slice(0, KEY_BYTES)
_WRAP_NONCE = slice(KEY_BYTES, KEY_BYTES + NONCE_BYTES)
_META_NONCE = slice(_WRAP_NONCE.stop, _WRAP_NONCE.stop + _PART_NONCE_BYTES)
_SECRET_NONCE = slice(_META_NONCE.stop, _META_NONCE.stop + _PART_NONCE_BYTES)


class RecordAddress(NamedTuple):
    """Where a record version belongs. It opens nowhere else. Numbers have 64 bits and no sign."""

    table: str
    kind: str
    record_id: int
    owner_id: int
    version: int


class SealedRecord(NamedTuple):
    """The byte strings of one record version, as they are stored. `secret` is None for records without one."""

    dek: bytes
    meta: bytes
    secret: bytes | None


class RecordKey:
    """Open the parts of one record version. Its data key seals nothing any more."""

    __slots__ = ("_gcm", "_meta_bound", "_secret_bound")

    def __init__(self, gcm: AESGCM, meta_bound: bytes, secret_bound: bytes) -> None:
        self._gcm = gcm
        self._meta_bound = meta_bound
        self._secret_bound = secret_bound

    def open_meta(self, blob: bytes) -> bytes:
        """Return the meta of the record version. Raises SealBroken."""
        return self._open(blob, self._meta_bound, step_length)

    def open_secret(self, blob: bytes) -> bytes:
        """Return the secret of the record version. Raises SealBroken."""
        return self._open(blob, self._secret_bound, curve_length)

    def _open(self, blob: bytes, bound: bytes, length: Measure) -> bytes:
        if len(blob) < _PART_OVERHEAD:
            raise SealBroken
        try:
            padded = self._gcm.decrypt(blob[:_PART_NONCE_BYTES], blob[_PART_NONCE_BYTES:], bound)
        except InvalidTag:
            raise SealBroken from None
        return unpad(padded, length)


class RecordCipher:
    """Seal and open the records of one vault. Safe to use from several threads at once.

    Args:
        vault_id: 16 bytes; rows of another vault never open.
        keyring: the open keyring.
        random_bytes: source of randomness; anything but `os.urandom` is for test vectors.
    """

    def __init__(self, vault_id: bytes, keyring: Keyring, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._vault_id = vault_id
        self._keyring = keyring
        self._random_bytes = random_bytes
        self._place = lru_cache(maxsize=64)(self._encode_place)
        self._audit_place = associated_data("audit", vault_id)

    @property
    def epoch(self) -> int:
        """The epoch under which new records are sealed."""
        return self._keyring.active_epoch

    @property
    def keyring_version(self) -> int:
        """The version of the keyring in use."""
        return self._keyring.version

    def seal(self, address: RecordAddress, meta: bytes, secret: bytes | None = None) -> SealedRecord:
        """Return a record version sealed under a fresh data key, which encrypts these two messages and no other.

        Raises:
            ValueError: the sealed record would be larger than 5 MiB, or a number of the address has more than
                64 bits or a sign.
        """
        padded_meta, padded_secret = pad(meta, step_length), None if secret is None else pad(secret, curve_length)
        _check_size(padded_meta, padded_secret)
        random = self._random_bytes(_SECRET_NONCE.stop)
        gcm = AESGCM(random[_DEK])
        try:
            meta_bound, secret_bound = self._part_bounds(address)
        except struct.error:
            raise ValueError("a number of an address has 64 bits and no sign") from None
        dek = self._wrap(address, random[_DEK], random[_WRAP_NONCE])
        nonce = random[_META_NONCE]
        sealed_meta = nonce + gcm.encrypt(nonce, padded_meta, meta_bound)
        if padded_secret is None:
            return SealedRecord(dek, sealed_meta, None)
        nonce = random[_SECRET_NONCE]
        return SealedRecord(dek, sealed_meta, nonce + gcm.encrypt(nonce, padded_secret, secret_bound))

    def unwrap(self, address: RecordAddress, dek: bytes) -> RecordKey:
        """Return what opens the parts of the record version at `address`. Raises SealBroken.

        An unknown format, algorithm or epoch is an error: nothing is tried and nothing is guessed (R-CRY-04).
        """
        key = self._open_dek(address, dek)
        try:
            return RecordKey(AESGCM(key), *self._part_bounds(address))
        except struct.error:  # a column holds what no address can hold
            raise SealBroken from None

    def rewrap(self, address: RecordAddress, dek: bytes) -> bytes:
        """Return a wrapped data key wrapped anew under the active epoch; the parts stay as they are.

        The owner's id of the address does not matter: it is bound by the parts. Raises SealBroken.
        """
        return self._wrap(address, self._open_dek(address, dek), self._random_bytes(NONCE_BYTES))

    def seal_details(self, details: bytes, bound: bytes) -> bytes:
        """Return the sealed part of an audit entry. `bound` is the rest of the entry, which it then vouches for."""
        nonce = self._random_bytes(NONCE_BYTES)
        return self._keyring.audit_key.seal_with_nonce(nonce, pad(details, step_length), self._audit_bound(bound))

    def open_details(self, blob: bytes, bound: bytes) -> bytes:
        """Return the sealed part of an audit entry. Raises SealBroken."""
        return unpad(self._keyring.audit_key.open(blob, self._audit_bound(bound)), step_length)

    def _open_dek(self, address: RecordAddress, dek: bytes) -> bytes:
        if len(dek) != _DEK_BYTES:
            raise SealBroken
        magic, form, algorithm, epoch = _HEADER.unpack_from(dek)
        if magic != _MAGIC or form != _FORMAT or algorithm != ALGORITHM:
            raise SealBroken
        try:
            wrap_bound = self._wrap_bound(address, epoch)
        except struct.error:  # as above
            raise SealBroken from None
        return self._keyring.kek(epoch).open(dek[_HEADER.size :], wrap_bound)

    def _wrap(self, address: RecordAddress, key: bytes, nonce: bytes) -> bytes:
        epoch = self._keyring.active_epoch
        wrapped = self._keyring.kek(epoch).seal_with_nonce(nonce, key, self._wrap_bound(address, epoch))
        return _HEADER.pack(_MAGIC, _FORMAT, ALGORITHM, epoch) + wrapped

    def _encode_place(self, label: str, table: str, kind: str) -> bytes:
        return associated_data(label, self._vault_id, table, kind)

    def _wrap_bound(self, address: RecordAddress, epoch: int) -> bytes:
        table, kind, record_id, _, version = address
        return self._place("dek", table, kind) + _four_numbers(8, record_id, 8, version, 8, ALGORITHM, 8, epoch)

    def _part_bounds(self, address: RecordAddress) -> tuple[bytes, bytes]:
        """Return the associated data of meta and secret."""
        table, kind, record_id, owner_id, version = address
        bound = self._place("mysafe/v1", table, kind) + _three_numbers(8, record_id, 8, owner_id, 8, version)
        return bound + _META_FIELDS, bound + _SECRET_FIELDS

    def _audit_bound(self, bound: bytes) -> bytes:
        return self._audit_place + len(bound).to_bytes(4) + bound


def _check_size(padded_meta: bytes, padded_secret: bytes | None) -> None:
    size = _DEK_BYTES + _PART_OVERHEAD + len(padded_meta)
    if padded_secret is not None:
        size += _PART_OVERHEAD + len(padded_secret)
    if size > LARGEST_RECORD_BYTES:
        raise ValueError("a sealed record has at most 5 MiB")
