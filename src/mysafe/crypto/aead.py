# SPDX-License-Identifier: Apache-2.0
"""Authenticated encryption under long-lived keys, and the encoding of associated data. Knows no record.

XAES-256-GCM derives a fresh AES-256-GCM key from the key and the first half of a random 192-bit nonce, so that
no counter is needed however many messages a key seals.

    sealed           = nonce 24 | ciphertext | tag 16
    associated data  = field | field | …         field = length u32 | bytes

Source: C2SP XAES-256-GCM (https://c2sp.org/XAES-256-GCM); NIST SP 800-108r1, SP 800-38B, SP 800-38D.
"""

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 24
TAG_BYTES = 16

_BLOCK_BITS = 128
_CONTEXT_BYTES = 12
_SMALLEST_SEALED = NONCE_BYTES + TAG_BYTES
_number = struct.Struct(">IQ").pack


class SealBroken(Exception):
    """What was sealed does not open: wrong key, wrong place or altered bytes. It never says which."""

    def __init__(self) -> None:
        super().__init__("the seal is broken")


def associated_data(*fields: bytes | int | str) -> bytes:
    """Encode fields so that different lists of fields never have the same bytes.

    Args:
        fields: bytes as they are, text as UTF-8, numbers as unsigned 64-bit big-endian. The type of a field is
            not encoded: a place in a list must always have the same type.

    Raises:
        ValueError: a number is negative or above 64 bits, or a text has half of a surrogate pair.
    """
    encoded = b""
    for field in fields:
        if isinstance(field, int):
            try:
                encoded += _number(8, field)
            except struct.error:
                raise ValueError("a number in associated data must have 64 bits and no sign") from None
        else:
            content = field.encode() if isinstance(field, str) else field
            encoded += len(content).to_bytes(4) + content
    return encoded


class XaesKey:
    """Seal and open under one long-lived key of 32 bytes. Safe to use from several threads at once.

    Not key-committing: what must not open under two keys needs a commitment of its own.
    """

    __slots__ = ("_cipher", "_constant", "_idle")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("an XAES-256-GCM key has 32 bytes")
        self._cipher = Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305  # single blocks of a key derivation
        # An encryptor must not be shared, and making one costs ten times its use. So each derivation takes an idle
        # one off this list and puts it back; taking and putting are atomic.
        self._idle: list[CipherContext] = []
        self._constant = self._derivation_constant()

    def _derivation_constant(self) -> int:
        """Return both derivation blocks with an empty context, masked with CMAC's K1, as one number."""
        mask = int.from_bytes(self._cipher.encryptor().update(bytes(16)))  # step 1
        mask <<= 1  # step 2
        if mask >> _BLOCK_BITS:
            mask ^= 1 << _BLOCK_BITS | 0b10000111
        first, second = (int.from_bytes(bytes((0, number)) + b"X\0" + bytes(_CONTEXT_BYTES)) for number in (1, 2))
        return (first ^ mask) << _BLOCK_BITS | second ^ mask

    def _derive(self, context: bytes) -> AESGCM:
        """Return the key for one nonce. The numbers are the steps of the specification."""
        number = int.from_bytes(context)
        blocks = self._constant ^ (number << _BLOCK_BITS | number)  # steps 3 and 4
        try:
            encryptor = self._idle.pop()
        except IndexError:
            encryptor = self._cipher.encryptor()
        key = encryptor.update(blocks.to_bytes(2 * _BLOCK_BITS // 8))  # step 5, both blocks in one call
        self._idle.append(encryptor)
        return AESGCM(key)

    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """Return nonce, ciphertext and tag of `plaintext`, bound to `associated_data`."""
        return self.seal_with_nonce(os.urandom(NONCE_BYTES), plaintext, associated_data)

    def seal_with_nonce(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Seal under a nonce the caller drew: 24 fresh random bytes, never used before with this key.

        Raises:
            ValueError: the nonce has not 24 bytes.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError("an XAES-256-GCM nonce has 24 bytes")
        sealed = self._derive(nonce[:_CONTEXT_BYTES]).encrypt(nonce[_CONTEXT_BYTES:], plaintext, associated_data)
        return nonce + sealed

    def open(self, blob: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext of what `seal` returned for the same associated data. Raises SealBroken."""
        if len(blob) < _SMALLEST_SEALED:
            raise SealBroken
        gcm = self._derive(blob[:_CONTEXT_BYTES])
        try:
            return gcm.decrypt(blob[_CONTEXT_BYTES:NONCE_BYTES], blob[NONCE_BYTES:], associated_data)
        except InvalidTag:
            raise SealBroken from None
