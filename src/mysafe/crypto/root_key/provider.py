# SPDX-License-Identifier: Apache-2.0
"""What every provider of the root key is, and the seal that most slots share.

    slot        "MR" | format 1 | algorithm | what the algorithm needs | nonce 24 | wrapped root key 32 | tag 16

XAES-256-GCM under the key of the slot. Where there is more than a nonce, everything before it is authenticated with
what the slot is bound to, so that no parameter can be changed (R-CRY-07).
"""

import os
from collections.abc import Callable
from typing import Protocol

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, TAG_BYTES, SealBroken, XaesKey

RandomBytes = Callable[[int], bytes]

MAGIC = b"MR\x01"
"""What every slot begins with; the algorithm follows."""

SEALED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
"""Length of a sealed root key."""


class RootKeyRefused(Exception):
    """The root key cannot be had safely. The text is one sentence for the operator, without key material."""


class RootKeyProvider(Protocol):
    """Wrap and unwrap the root key. `name` is stored with each slot and finds the provider again."""

    @property
    def name(self) -> str:
        """The name in the entry-point group, as stored with a slot."""

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the root key wrapped and bound to `aad`. Raises RootKeyRefused."""

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of what `wrap` returned for the same `aad`. Raises RootKeyRefused, SealBroken."""

    def health(self) -> str | None:
        """Return what is wrong with the provider in one sentence, or None."""


def new_root_key() -> bytes:
    """Return a new root key: 32 random bytes."""
    return os.urandom(KEY_BYTES)


def seal_root_key(slot_key: bytes, nonce: bytes, key: bytes, aad: bytes) -> bytes:
    """Return nonce, sealed root key and tag. Raises ValueError if the root key has not 32 bytes."""
    if len(key) != KEY_BYTES:
        raise ValueError("a root key has 32 bytes")
    return XaesKey(slot_key).seal_with_nonce(nonce, key, aad)


def open_root_key(slot_key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Return the root key that was sealed. Raises SealBroken."""
    if len(sealed) != SEALED_BYTES:
        raise SealBroken
    return XaesKey(slot_key).open(sealed, aad)
