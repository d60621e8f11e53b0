# SPDX-License-Identifier: Apache-2.0
"""The file of checkpoints outside the data directory: who restores an old database does not have it in their hands.

It is only appended to: one signed note after another, an empty line after each.
"""

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

from mysafe.audit.checkpoint import Found, Note, parse_notes

_TAIL_BYTES = 65_536
"""How much of the end of the file is read to find its last note, which has at most 600 bytes."""

_PAUSE_SECONDS = 0.02


class CheckpointFile:
    """Every method raises OSError if the file cannot be used, or if others may read or write it.

    Args:
        path: where it lies; it is made with mode 0600.
        lock_seconds: how long to wait while another process writes to it. Who may read it can hold it for good.
    """

    def __init__(self, path: Path, lock_seconds: float = 2) -> None:
        self.path = path
        self._lock_seconds = lock_seconds

    def last(self) -> Note | None:
        """Return the last note that is whole, None if there is none or no file. Its signature is not checked."""
        found = self.tail()
        return found.notes[-1] if found.notes else None

    def tail(self) -> Found:
        """Return the last hundred notes or more in their order, and what stands among and after them."""
        return self._read(_TAIL_BYTES)

    def read(self) -> Found:
        """Return all notes in their order; no file is one without notes."""
        return self._read(None)

    def append(self, note: Note) -> None:
        """Write a note behind the others; it is on disk when this returns. Raises TimeoutError while it is locked."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _OPEN_FLAGS, 0o600)
        with open(descriptor, "r+b", buffering=0) as file:
            self._check(descriptor)
            self._lock(descriptor)
            size = os.fstat(descriptor).st_size
            # What an interrupted write left must not spoil the note that follows.
            is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            file.write((b"\n" if is_torn else b"") + note.encode().encode() + b"\n")
            os.fsync(descriptor)
        if not size:
            _sync_directory(self.path.parent)

    def _read(self, most: int | None) -> Found:
        try:
            with open(self.path, "rb", opener=lambda path, flags: os.open(path, flags | _OPEN_FLAGS)) as file:
                size = self._check(file.fileno()).st_size
                start = max(0, size - most) if most is not None else 0
                file.seek(start)
                return parse_notes(file.read().decode("utf-8", "replace"), is_part=start > 0)
        except FileNotFoundError:
            return Found([], 0)

    def _check(self, descriptor: int) -> os.stat_result:
        seen = os.fstat(descriptor)
        mode = stat.S_IMODE(seen.st_mode)
        if not stat.S_ISREG(seen.st_mode):
            self._refuse("is not a regular file")
        if seen.st_uid not in {os.geteuid(), 0}:
            self._refuse("belongs to another user: run chown on it")
        if mode & 0o077:
            self._refuse(f"is open to other users ({mode:04o}): run chmod 600 on it")
        return seen

    def _refuse(self, why: str) -> None:
        raise PermissionError(errno.EACCES, f"the file of checkpoints {why}", str(self.path))

    def _lock(self, descriptor: int) -> None:
        until = time.monotonic() + self._lock_seconds
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    said = "the file of checkpoints is locked by another process"
                    raise TimeoutError(errno.ETIMEDOUT, said, str(self.path)) from None
            time.sleep(_PAUSE_SECONDS)


_OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A symbolic link would let its owner choose the file, and a pipe make us wait."""


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
