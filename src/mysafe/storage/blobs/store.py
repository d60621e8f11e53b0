# SPDX-License-Identifier: Apache-2.0
"""What every blob store offers. It sees sealed bytes only. Calls block, and may come from any thread."""

from typing import Protocol


class BlobMissing(Exception):
    """A store has no finished blob of this name, or fewer bytes of it than it should have."""


class BlobWriter(Protocol):
    """Bytes on their way into a store. Nobody can read them before `finish`.

    Every method raises NoSpace when the store is full, and another Unavailable when it cannot be used.
    """

    def write(self, data: bytes | memoryview) -> None:
        """Take more bytes. They need not be on disk when it returns, but they must not be needed any more."""

    def finish(self) -> None:
        """Make the blob readable; it is on disk when this returns."""

    def abort(self) -> None:
        """Drop what was written. Does nothing after `finish`, or when there is nothing any more."""


class BlobReader(Protocol):
    """A finished blob. `size_bytes` is its length as the store says."""

    size_bytes: int

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill a buffer from this place on. Raises BlobMissing if the blob is shorter, Unavailable if it fails."""

    def close(self) -> None:
        """Give back what was opened."""


class BlobStore(Protocol):
    """Where blobs are kept. A name is 32 hexadecimal digits and is used once."""

    def create(self, blob_id: str) -> BlobWriter:
        """Return what takes the bytes of a new blob. Raises NoSpace and other Unavailable errors."""

    def open(self, blob_id: str) -> BlobReader:
        """Return what reads a finished blob. Raises BlobMissing, Unavailable."""

    def remove(self, blob_id: str) -> None:
        """Remove a blob, finished or not; one that is not there is fine. Raises Unavailable."""

    def free_bytes(self) -> int | None:
        """Return how much room is left, None where nobody can say. Raises Unavailable."""
