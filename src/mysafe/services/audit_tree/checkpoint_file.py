# SPDX-License-Identifier: Apache-2.0
"""The file of checkpoints outside the data directory: who restores an old database does not have it in their hands.

It is only appended to: one signed note after another, an empty line after each.
"""

import fcntl
import os
from pathlib import Path

from mysafe.audit.checkpoint import Found, Note, parse_notes

_TAIL_BYTES = 65_536
"""How much of the end of the file is read to find its last note, which has at most 600 bytes."""


class CheckpointFile:
    """Every method raises OSError if the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self) -> Note | None:
        """Return the last note that is whole, None if there is none or no file. Its signature is not checked."""
        found = self._read(_TAIL_BYTES)
        return found.notes[-1] if found.notes else None

    def read(self) -> Found:
        """Return all notes in their order; no file is one without notes."""
        return self._read(None)

    def append(self, note: Note) -> None:
        """Write a note behind the others; it is on disk when this returns."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            # What an interrupted write left must not spoil the note that follows.
            is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            file.write((b"\n" if is_torn else b"") + note.encode().encode() + b"\n")
            os.fsync(descriptor)
        if not size:
            _sync_directory(self.path.parent)

    def _read(self, most: int | None) -> Found:
        try:
            with self.path.open("rb") as file:
                if most is not None:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - most))
                return parse_notes(file.read().decode("utf-8", "replace"))
        except FileNotFoundError:
            return Found([], 0)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
