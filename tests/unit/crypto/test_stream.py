# SPDX-License-Identifier: Apache-2.0
"""Chunked encryption: what goes in comes out, from any place, and nothing comes out of a blob that was touched."""

import os
from collections.abc import Callable

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from mysafe.crypto import stream
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.stream import (
    CHUNK_BYTES,
    HEAD_BYTES,
    SEALED_CHUNK_BYTES,
    StreamOpener,
    StreamSealer,
    blob_context,
    room_for,
    sealed_bytes,
)
from tests.unit.crypto.scene import OTHER_VAULT, VAULT, flips

KEY = bytes(range(32))
CONTEXT = blob_context(VAULT, "0" * 32)
SIZES = (0, 1, 127, 128, 16_000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 70_000)
LONG = os.urandom(70_000)


def sealed(content: bytes, key: bytes = KEY, context: bytes = CONTEXT, step: int = 1 << 20) -> bytes:
    sealer = StreamSealer(key, context)
    blob = bytearray(sealer.head)
    for start in range(0, len(content), step):
        piece = content[start : start + step]
        out = memoryview(bytearray(room_for(len(piece))))
        blob += out[: sealer.update(piece, out)]
    return bytes(blob + b"".join(sealer.finish()))


def opened(blob: bytes, size: int, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    """Return the content as a reader gets it: chunk by chunk."""
    opener = StreamOpener(key, context, blob[:HEAD_BYTES], size)
    content = b""
    for chunk in range(size // CHUNK_BYTES + 1):
        offset, length = opener.place(chunk, 1)
        content += opener.open(chunk, blob[offset : offset + length])
    return content[:size]


@pytest.mark.parametrize("size", SIZES)
def test_a_content_comes_back(size: int) -> None:
    blob = sealed(LONG[:size])
    assert len(blob) == sealed_bytes(size)
    assert opened(blob, size) == LONG[:size]


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_of_the_specification_opens_it(size: int) -> None:
    opener = Cobblestone256Decryptor(KEY, CONTEXT)
    padded = opener.update(sealed(LONG[:size])[8:]) + opener.finalize()
    assert padded.rstrip(b"\0") == LONG[:size] + b"\x80"


@given(st.integers(0, 70_000), st.integers(1, 40_000))
@settings(max_examples=60, deadline=None)
def test_it_does_not_matter_in_which_pieces_a_content_arrives(size: int, step: int) -> None:
    assert opened(sealed(LONG[:size], step=step), size) == LONG[:size]


def test_the_same_content_is_never_sealed_to_the_same_bytes() -> None:
    one, two = sealed(LONG), sealed(LONG)
    assert one[HEAD_BYTES:] != two[HEAD_BYTES:]
    assert one[8:32] != two[8:32]


def test_contents_of_about_the_same_length_have_blobs_of_the_same_length() -> None:
    assert len({len(sealed(LONG[:size])) for size in range(66_000, 67_000, 100)}) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda blob: blob[:-1],
        lambda blob: blob[:-SEALED_CHUNK_BYTES],
        lambda blob: blob[: HEAD_BYTES + 2 * SEALED_CHUNK_BYTES],
        lambda blob: (
            blob[:HEAD_BYTES]
            + blob[HEAD_BYTES + SEALED_CHUNK_BYTES : HEAD_BYTES + 2 * SEALED_CHUNK_BYTES]
            + blob[HEAD_BYTES : HEAD_BYTES + SEALED_CHUNK_BYTES]
            + blob[HEAD_BYTES + 2 * SEALED_CHUNK_BYTES :]
        ),
        lambda blob: blob[: HEAD_BYTES + SEALED_CHUNK_BYTES] + blob[HEAD_BYTES:],
        lambda blob: sealed(LONG)[:HEAD_BYTES] + blob[HEAD_BYTES:],
        lambda blob: blob[:HEAD_BYTES] + sealed(LONG)[HEAD_BYTES:],
        lambda blob: sealed(LONG, key=bytes(32)),
        lambda blob: sealed(LONG, context=blob_context(OTHER_VAULT, "0" * 32)),
        lambda blob: sealed(LONG, context=blob_context(VAULT, "1" * 32)),
    ],
    ids=[
        "a byte less",
        "a chunk less",
        "cut between chunks",
        "two chunks swapped",
        "a chunk twice",
        "the head of another",
        "the chunks of another",
        "another key",
        "another vault",
        "another blob",
    ],
)
def test_a_blob_that_was_touched_does_not_open(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SealBroken):
        opened(change(sealed(LONG)), len(LONG))


def test_no_flipped_bit_goes_unnoticed() -> None:
    blob = sealed(b"content")
    for flipped in flips(blob):
        with pytest.raises(SealBroken):
            opened(flipped, 7)


def test_a_wrong_size_is_noticed() -> None:
    for size in (69_999 - 2048, 80_000):
        blob = sealed(LONG)
        opener = StreamOpener(KEY, CONTEXT, blob[:HEAD_BYTES], size)
        with pytest.raises(SealBroken):
            opener.open(0, blob[HEAD_BYTES:])


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        StreamSealer(b"short", CONTEXT)


def test_nonces_are_never_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_nonces(monkeypatch)) == 5


def test_a_constant_nonce_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream._Keys, "nonce", lambda self, chunk: bytes(12))
    assert len(_nonces(monkeypatch)) == 1


def _nonces(monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """Return the nonces that sealing LONG takes; every chunk asks for one."""
    seen: list[bytes] = []
    real = stream._Keys.nonce

    def spy(self: stream._Keys, chunk: int) -> bytes:
        seen.append(real(self, chunk))
        return seen[-1]

    monkeypatch.setattr(stream._Keys, "nonce", spy)
    sealed(LONG)
    assert len(seen) == 5
    return set(seen)
