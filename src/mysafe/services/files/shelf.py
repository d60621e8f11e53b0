# SPDX-License-Identifier: Apache-2.0
"""The shelf: contents of files in and out of the blob store, sealed on this side of it.

Everything here blocks, and none of it may run in a unit of work. Who may read or write was decided before.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mysafe.crypto.aead import KEY_BYTES, SealBroken
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
from mysafe.domain.errors import StoreFull, Unavailable
from mysafe.domain.files import FileContent, StoredContent, Ticket
from mysafe.domain.secret_text import SecretText
from mysafe.storage.blobs.store import BlobMissing, BlobReader, BlobStore, BlobWriter

_security = logging.getLogger("mysafe.security")

CHUNKS_READ = 64
"""How many chunks are read in one go: a megabyte. Each time, the event loop and a thread wait for each other."""

CHUNKS_OPENED = 4
"""How many chunks are opened in one go. 64 KiB is memory that is at hand; for much more, the system makes new pages,
and that costs more than the decryption (measured)."""

_LOOK_EVERY_BYTES = 16 * 1024 * 1024


class Shelf:
    """Keep contents of files. `free_bytes` must stay free in the store."""

    def __init__(self, vault_id: bytes, store: BlobStore, *, free_bytes: int = 0) -> None:
        self._vault_id = vault_id
        self._store = store
        self._free_bytes = free_bytes

    def fill(self, ticket: Ticket) -> "Filling":
        """Begin to store a content. Raises StoreFull, Unavailable."""
        self.check_room()
        key = os.urandom(KEY_BYTES)
        sealer = StreamSealer(key, blob_context(self._vault_id, ticket.blob_id))
        return Filling(self, self._store.create(ticket.blob_id), ticket.blob_id, key, sealer)

    def read(self, content: FileContent) -> "Reading":
        """Begin to read a content. Raises Unavailable, and SealBroken if the blob is not what was stored."""
        try:
            return Reading(self._store.open(content.blob_id), self._vault_id, content)
        except (SealBroken, BlobMissing):
            _report(content)
            raise SealBroken from None

    def remove(self, blob_id: str) -> None:
        """Remove the bytes of a blob, if there are any. Raises Unavailable."""
        self._store.remove(blob_id)

    def check_room(self) -> None:
        """Raise StoreFull if less is free than must stay free."""
        if self._free_bytes:
            free = self._store.free_bytes()
            if free is not None and free < self._free_bytes:
                raise StoreFull


class Filling:
    """A content on its way into the store. Only its sealed bytes leave this object."""

    def __init__(self, shelf: Shelf, writer: BlobWriter, blob_id: str, key: bytes, sealer: StreamSealer) -> None:
        self._shelf = shelf
        self._writer = writer
        self._blob_id = blob_id
        self._key = key
        self._sealer = sealer
        self._buffer = bytearray()
        self._unlooked = 0
        writer.write(sealer.head)

    def seal(self, pieces: Sequence[bytes | memoryview]) -> memoryview:
        """Return more of the content as it is stored; it is overwritten by the next call.

        This does not block: a megabyte takes a fifth of a millisecond.
        """
        needed = room_for(sum(map(len, pieces)))
        if needed > len(self._buffer):
            self._buffer = bytearray(needed)
        sealed, written = memoryview(self._buffer), 0
        for piece in pieces:
            written += self._sealer.update(piece, sealed[written:])
        return sealed[:written]

    def write(self, sealed: bytes | memoryview) -> None:
        """Take what `seal` returned. Raises StoreFull, Unavailable."""
        self._writer.write(sealed)
        self._unlooked += len(sealed)
        if self._unlooked >= _LOOK_EVERY_BYTES:
            self._shelf.check_room()
            self._unlooked = 0

    def finish(self) -> StoredContent:
        """Return the content, which is on disk now. Raises StoreFull, Unavailable."""
        try:
            for sealed in self._sealer.finish():
                self._writer.write(sealed)
            self._writer.finish()
        except BlobMissing:  # it was collected meanwhile
            raise Unavailable from None
        size = self._sealer.content_bytes
        return StoredContent(self._blob_id, SecretText(self._key.hex()), size, sealed_bytes(size))

    def abort(self) -> None:
        """Drop what was written. Raises Unavailable."""
        self._writer.abort()


class Reading:
    """A content that is being read."""

    def __init__(self, blob: BlobReader, vault_id: bytes, content: FileContent) -> None:
        self._blob = blob
        self._content = content
        self._buffers = [bytearray(min(CHUNKS_READ * SEALED_CHUNK_BYTES, blob.size_bytes)) for _ in range(2)]
        try:
            if blob.size_bytes != sealed_bytes(content.size_bytes):
                raise SealBroken
            key, context = bytes.fromhex(content.key.reveal()), blob_context(vault_id, content.blob_id)
            head = bytearray(HEAD_BYTES)
            blob.read_into(0, memoryview(head))
            self._opener = StreamOpener(key, context, bytes(head), content.size_bytes)
        except BaseException:
            blob.close()
            raise

    def fetch(self, start: int, stop: int) -> "Fetched | None":
        """Return sealed bytes of the content from `start` on, or None when `start` is `stop`. This blocks.

        They are overwritten by the call after the next: while one is opened, the next may be fetched.

        Raises:
            SealBroken: the blob is damaged.
            Unavailable: the store cannot be read.
        """
        if start >= stop:
            return None
        first = start // CHUNK_BYTES
        count = min(CHUNKS_READ, (stop - 1) // CHUNK_BYTES + 1 - first)
        try:
            offset, length = self._opener.place(first, count)
            self._buffers.reverse()
            sealed = memoryview(self._buffers[0])[:length]
            self._blob.read_into(offset, sealed)
        except BlobMissing:
            _report(self._content)
            raise SealBroken from None
        return Fetched(sealed, start, min(stop, (first + count) * CHUNK_BYTES))

    def open(self, fetched: "Fetched") -> Iterator[memoryview]:
        """Yield what was fetched, opened. This does not block: a megabyte takes a third of a millisecond.

        Raises:
            SealBroken: the blob is damaged; what was yielded before is good.
        """
        sealed, start, stop = fetched
        first = start // CHUNK_BYTES
        step = CHUNKS_OPENED * SEALED_CHUNK_BYTES
        for place in range(0, len(sealed), step):
            chunk = first + place // SEALED_CHUNK_BYTES
            try:
                opened = self._opener.open(chunk, sealed[place : place + step])
            except SealBroken:
                _report(self._content)
                raise
            yield memoryview(opened)[max(start - chunk * CHUNK_BYTES, 0) : stop - chunk * CHUNK_BYTES]

    def close(self) -> None:
        """Give back what was opened."""
        self._blob.close()


class Fetched(NamedTuple):
    """Sealed chunks, and which bytes of the content are wanted of them: from `start` up to `stop`."""

    sealed: memoryview
    start: int
    stop: int


def _report(content: FileContent) -> None:
    _security.error("seal broken: content of %s %d", *content.ref)
