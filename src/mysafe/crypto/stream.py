# SPDX-License-Identifier: Apache-2.0
"""Chunked encryption of contents too long for memory: written as a stream, read at any place. Knows bytes, not files.

    blob     "MS" | format u8 = 1 | algorithm u8 = 3 | zeros 4 | salt 24 | commitment 32 | chunk | chunk | …
    chunk    ciphertext of 16,384 bytes, the last one of fewer, maybe none | tag 16
    padded   content | 0x80 | 0x00 …                    up to 128 or the next Padmé length

From the salt on this is Cobblestone-256 of the C2SP chunked-encryption specification: AES-256-GCM, and keys by
HKDF-Expand with SHA-512.

    key 32 | base nonce 12 | commitment 32 = HKDF-Expand(blob key, label | salt | context)

Chunk k has the base nonce XOR k. Only the last chunk is short, so a blob that was cut, continued or put in another
order does not open; the commitment says at once that key or context are wrong. A blob key is for one blob.

Source: C2SP chunked-encryption (https://c2sp.org/chunked-encryption); RFC 5869; NIST SP 800-38D.
"""

import hmac
import os
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mysafe.crypto.aead import KEY_BYTES, TAG_BYTES, SealBroken, associated_data
from mysafe.crypto.padding import curve_length

ALGORITHM = 3
"""The only algorithm of this version for blobs; numbers 1 and 2 belong to records."""

CHUNK_BYTES = 16_384
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES

_HEADER = struct.pack(">2sBBI", b"MS", 1, ALGORITHM, 0)
_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
_SALT_BYTES = 24
_COMMITMENT_BYTES = 32
_NONCE_BYTES = 12
_ZEROS = bytes(16 * CHUNK_BYTES)

HEAD_BYTES = len(_HEADER) + _SALT_BYTES + _COMMITMENT_BYTES
"""Bytes of a blob before its first chunk."""


def blob_context(vault_id: bytes, blob_id: str) -> bytes:
    """Return what a blob is bound to: it opens in no other vault and under no other name."""
    return associated_data("mysafe/v1", vault_id, "blobs", blob_id, "file", ALGORITHM)


def sealed_bytes(content_bytes: int) -> int:
    """Return how long the blob of a content of so many bytes is. Padding costs at most 12 %, of long ones 3 %."""
    padded = curve_length(content_bytes)
    return HEAD_BYTES + padded + TAG_BYTES * (padded // CHUNK_BYTES + 1)


class _Keys(NamedTuple):
    """What one blob is sealed with."""

    gcm: AESGCM
    base_nonce: int
    commitment: bytes

    def nonce(self, chunk: int) -> bytes:
        return (self.base_nonce ^ chunk).to_bytes(_NONCE_BYTES)


def _derive(key: bytes, salt: bytes, context: bytes) -> _Keys:
    if len(key) != KEY_BYTES:
        raise ValueError("a blob key has 32 bytes")
    derived = HKDFExpand(SHA512(), KEY_BYTES + _NONCE_BYTES + _COMMITMENT_BYTES, _LABEL + salt + context).derive(key)
    rest = derived[KEY_BYTES:]
    return _Keys(AESGCM(derived[:KEY_BYTES]), int.from_bytes(rest[:_NONCE_BYTES]), rest[_NONCE_BYTES:])


class StreamSealer:
    """Seal one content as it arrives: `head`, then what `update` writes each time, then what `finish` yields.

    Args:
        key: 32 fresh random bytes, for this blob and no other.
        context: see `blob_context`.
        random_bytes: source of randomness; anything but `os.urandom` is for test vectors.
    """

    def __init__(self, key: bytes, context: bytes, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        salt = random_bytes(_SALT_BYTES)
        self._keys = _derive(key, salt, context)
        self._begun = bytearray()  # the chunk that is not full yet
        self._chunk = 0
        self.head = _HEADER + salt + self._keys.commitment
        self.content_bytes = 0

    def update(self, data: bytes | memoryview, into: memoryview) -> int:
        """Take more of the content, write the chunks that are full now, and return how many bytes those are.

        `into` has room for `room_for` bytes. A buffer that is used again and again is what makes this fast: fresh
        memory costs more than the encryption.
        """
        self.content_bytes += len(data)
        return self._seal(data, into)

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the blob, its padding included. Nothing may be taken after it."""
        missing = curve_length(self.content_bytes) - self.content_bytes - 1
        out = memoryview(bytearray(room_for(len(_ZEROS))))
        yield bytes(out[: self._seal(b"\x80", out)])
        while missing > 0:
            step = min(missing, len(_ZEROS))
            yield bytes(out[: self._seal(memoryview(_ZEROS)[:step], out)])
            missing -= step
        yield self._keys.gcm.encrypt(self._keys.nonce(self._chunk), bytes(self._begun), None)

    def _seal(self, data: bytes | memoryview, into: memoryview) -> int:
        begun, start, written = self._begun, 0, 0
        if begun:
            start = min(CHUNK_BYTES - len(begun), len(data))
            begun += data[:start]
            if len(begun) < CHUNK_BYTES:
                return 0
            written = self._seal_chunk(bytes(begun), into)
            begun.clear()
        with memoryview(data) as source:
            stop = start + (len(data) - start) // CHUNK_BYTES * CHUNK_BYTES
            for place in range(start, stop, CHUNK_BYTES):
                written += self._seal_chunk(source[place : place + CHUNK_BYTES], into[written:])
            begun += source[stop:]
        return written

    def _seal_chunk(self, chunk: bytes | memoryview, into: memoryview) -> int:
        nonce = self._keys.nonce(self._chunk)
        self._chunk += 1
        return self._keys.gcm.encrypt_into(nonce, chunk, None, into[:SEALED_CHUNK_BYTES])


def room_for(data_bytes: int) -> int:
    """Return how much `StreamSealer.update` may write when it takes this many bytes."""
    return (data_bytes // CHUNK_BYTES + 1) * SEALED_CHUNK_BYTES


class StreamOpener:
    """Open a blob at any place. Every chunk is checked before a byte of it comes out.

    Args:
        key: the blob's key.
        context: see `blob_context`.
        head: the first HEAD_BYTES of the blob.
        content_bytes: how long the content is, from a trusted place: the blob alone cannot say that it was cut.

    Raises:
        SealBroken: the head is not that of a blob sealed under this key for this context.
    """

    def __init__(self, key: bytes, context: bytes, head: bytes, content_bytes: int) -> None:
        header, salt = head[: len(_HEADER)], head[len(_HEADER) : -_COMMITMENT_BYTES]
        if len(head) != HEAD_BYTES or header != _HEADER:
            raise SealBroken
        self._keys = _derive(key, salt, context)
        if not hmac.compare_digest(self._keys.commitment, head[-_COMMITMENT_BYTES:]):
            raise SealBroken
        self._padded_bytes = curve_length(content_bytes)

    def place(self, chunk: int, count: int) -> tuple[int, int]:
        """Return offset and length, in the blob, of `count` chunks from number `chunk` on; fewer at its end."""
        start = HEAD_BYTES + chunk * SEALED_CHUNK_BYTES
        end = HEAD_BYTES + self._padded_bytes + TAG_BYTES * (self._padded_bytes // CHUNK_BYTES + 1)
        return start, min(count * SEALED_CHUNK_BYTES, end - start)

    def open(self, chunk: int, sealed: bytes | memoryview) -> bytearray:
        """Return what chunks hold that follow each other, `chunk` first: padding included, where it is among them.

        Raises:
            SealBroken: they are not those chunks of this blob, or not as long as they must be.
        """
        count = -(-len(sealed) // SEALED_CHUNK_BYTES)
        if not sealed or self.place(chunk, count)[1] != len(sealed):
            raise SealBroken
        content = bytearray(len(sealed) - TAG_BYTES * count)
        with memoryview(sealed) as source, memoryview(content) as target:
            try:
                for number in range(count):
                    part = source[number * SEALED_CHUNK_BYTES : (number + 1) * SEALED_CHUNK_BYTES]
                    into = target[number * CHUNK_BYTES : number * CHUNK_BYTES + len(part) - TAG_BYTES]
                    self._keys.gcm.decrypt_into(self._keys.nonce(chunk + number), part, None, into)
            except InvalidTag:
                raise SealBroken from None
        return content
