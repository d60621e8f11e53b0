# SPDX-License-Identifier: Apache-2.0
"""Keep blobs in a local directory: DIR/ab/abcd….  While it is written, a blob is called abcd….part."""

import errno
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from mysafe.domain.errors import StoreFull, Unavailable
from mysafe.storage.blobs.store import BlobMissing

PENDING = ".part"

SYNC_BYTES = 128 * 1024 * 1024
"""After how much the disk is told to begin, while more arrives: one long wait at the end would hold up everybody's
commits. With much less, it is told too often (measured)."""

_SYNC_THREADS = 2

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def _explained() -> Iterator[None]:
    """Say what an error of the operating system means here. It names a path, so it is not carried on."""
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing from None
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull from None
        raise Unavailable from None


class DirectoryStore:
    """Blobs as files, readable by their owner only. The directory is made when it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._syncers = ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="sync")

    def create(self, blob_id: str) -> "_Writer":
        """Return what takes the bytes of a new blob. Raises StoreFull, Unavailable."""
        path = self._path(blob_id)
        with _explained():
            for folder in (self._directory, path.parent):
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _sync_directory(folder.parent)
            return _Writer(path, self._syncers)

    def open(self, blob_id: str) -> "_Reader":
        """Return what reads a finished blob. Raises BlobMissing, Unavailable."""
        with _explained():
            return _Reader(self._path(blob_id))

    def remove(self, blob_id: str) -> None:
        """Remove a blob, finished or not. Raises Unavailable."""
        path = self._path(blob_id)
        with _explained():
            _pending(path).unlink(missing_ok=True)  # first: a writer may be about to give it its name
            path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return how many bytes are free to us on the disk. Raises Unavailable."""
        place = self._directory if self._directory.is_dir() else self._directory.parent
        with _explained():
            return shutil.disk_usage(place).free

    def _path(self, blob_id: str) -> Path:
        return self._directory / blob_id[:2] / blob_id


def _pending(path: Path) -> Path:
    return path.with_name(path.name + PENDING)


class _Writer:
    """A file that gets its name when it is complete and on disk."""

    def __init__(self, path: Path, syncers: Executor) -> None:
        self._path = path
        self._syncers = syncers
        self._syncing: Future[None] | None = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor: int | None = os.open(_pending(path), flags, 0o600)
        self._unsynced = 0

    def write(self, data: bytes | memoryview) -> None:
        with _explained(), memoryview(data) as rest:
            written = 0
            while written < len(data):
                written += os.write(self._open_descriptor(), rest[written:])
            self._unsynced += written
            if self._unsynced >= SYNC_BYTES:
                self._wait()
                self._syncing = self._syncers.submit(os.fdatasync, self._open_descriptor())
                self._unsynced = 0

    def finish(self) -> None:
        with _explained():
            self._wait()
            os.fsync(self._open_descriptor())
            self._close()
            os.rename(_pending(self._path), self._path)
            _sync_directory(self._path.parent)

    def abort(self) -> None:
        with _explained():
            self._close()
            _pending(self._path).unlink(missing_ok=True)

    def _wait(self) -> None:
        """Wait for the disk, which has what it was told last; raise what went wrong there."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError("the blob is finished")
        return self._descriptor

    def _close(self) -> None:
        if self._syncing is not None:
            wait((self._syncing,))  # the number of the file may belong to another one as soon as it is closed
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Reader:
    """An open file. Several places of it may be read at once."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.size_bytes = os.fstat(self._descriptor).st_size

    def read_into(self, offset: int, into: memoryview) -> None:
        filled = 0
        with _explained():
            while filled < len(into):
                more = os.preadv(self._descriptor, (into[filled:],), offset + filled)
                if not more:
                    raise BlobMissing
                filled += more

    def close(self) -> None:
        os.close(self._descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
