# SPDX-License-Identifier: Apache-2.0
"""Root key under a key that never leaves a device or a service: a PKCS#11 token, a key management service.

    slot      "MR" | format 1 | algorithm 4 | length u16 | encrypted slot key | nonce 24 | root key 32 | tag 16

The device encrypts a random key of 32 bytes, the slot key, in a form of its own. XAES-256-GCM under the slot key, with
the associated data "device slot", name of the provider, what the slot is bound to, and all bytes before the nonce. So
the binding is ours, whatever the device can bind.
"""

import os
import struct
from typing import Protocol

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, SealBroken, associated_data
from mysafe.crypto.root_key.provider import (
    MAGIC,
    SEALED_BYTES,
    RandomBytes,
    RootKeyRefused,
    open_root_key,
    seal_root_key,
)

_HEADER = MAGIC + b"\x04"
_LENGTH = struct.Struct(">H")
_FIXED_BYTES = len(_HEADER) + _LENGTH.size


class Device(Protocol):
    """A key that encrypts and decrypts a few bytes, elsewhere. `name` is that of the provider."""

    name: str

    def encrypt(self, plain: bytes) -> bytes:
        """Return 32 bytes encrypted, at most 65,535 bytes. Raises RootKeyRefused."""

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return what was encrypted. Raises RootKeyRefused; SealBroken if the device says it is not its own."""


class EnvelopeProvider:
    """Wrap the root key under a random key that a device encrypts."""

    def __init__(self, device: Device, *, random_bytes: RandomBytes = os.urandom) -> None:
        self.name = device.name
        self._device = device
        self._random_bytes = random_bytes

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the slot of a root key. Raises RootKeyRefused."""
        slot_key = self._random_bytes(KEY_BYTES)
        encrypted = self._device.encrypt(slot_key)
        head = _HEADER + _LENGTH.pack(len(encrypted)) + encrypted
        return head + seal_root_key(slot_key, self._random_bytes(NONCE_BYTES), key, self._bound(aad, head))

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of a slot. Raises RootKeyRefused, SealBroken."""
        head = blob[:-SEALED_BYTES]
        if len(head) < _FIXED_BYTES or not blob.startswith(_HEADER):
            raise SealBroken
        encrypted = head[_FIXED_BYTES:]
        if _LENGTH.unpack_from(head, len(_HEADER)) != (len(encrypted),):
            raise SealBroken
        slot_key = self._device.decrypt(encrypted)
        if len(slot_key) != KEY_BYTES:
            raise SealBroken
        return open_root_key(slot_key, blob[-SEALED_BYTES:], self._bound(aad, head))

    def health(self) -> str | None:
        """Return what is wrong with the device in one sentence, or None. It encrypts and decrypts something."""
        try:
            tried = os.urandom(KEY_BYTES)
            is_good = self._device.decrypt(self._device.encrypt(tried)) == tried
        except RootKeyRefused as refused:
            return str(refused)
        except SealBroken:
            is_good = False
        return None if is_good else f"{self.name} does not decrypt what it encrypted"

    def _bound(self, aad: bytes, head: bytes) -> bytes:
        return associated_data("device slot", self.name, aad, head)
