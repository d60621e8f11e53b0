# SPDX-License-Identifier: Apache-2.0
"""A model of a disk that loses power: from the calls of a server, what may be left of its files.

What was synced is there. What was written after it may be there or not, and a write may be torn between sectors.
Names that were made, changed or taken away reach the disk in their order, at the latest when their directory is synced.
"""

import random
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from tests.support.syscalls import Call

SECTOR_BYTES = 512


class Mode(StrEnum):
    """What becomes of that which was not synced."""

    DROPPED = "all of it is lost"
    KEPT = "all of it is there"
    RANDOM = "each write is there or not"
    TORN = "each sector of a write is there or not"


class _Write(NamedTuple):
    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(self.data)] = self.data

    def torn(self, chance: random.Random) -> "list[_Write | _Cut]":
        starts = range(0, len(self.data), SECTOR_BYTES)
        pieces = [_Write(self.offset + start, self.data[start : start + SECTOR_BYTES]) for start in starts]
        return [piece for piece in pieces if chance.random() < 0.5]


class _Cut(NamedTuple):
    size: int

    def apply(self, content: bytearray) -> None:
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))

    def torn(self, chance: random.Random) -> "list[_Write | _Cut]":
        return [self] if chance.random() < 0.5 else []


class _File:
    def __init__(self, content: bytes = b"") -> None:
        self.durable = bytearray(content)
        self.pending: list[_Write | _Cut] = []
        self.size = len(content)

    def add(self, change: _Write | _Cut) -> None:
        self.pending.append(change)
        self.size = change.size if isinstance(change, _Cut) else max(self.size, change.offset + len(change.data))

    def sync(self, count: int) -> None:
        for change in self.pending[:count]:
            change.apply(self.durable)
        del self.pending[:count]

    def left(self, mode: Mode, chance: random.Random) -> bytes:
        content = bytearray(self.durable)
        for change in self.pending if mode is not Mode.DROPPED else ():
            for one in self._survivors(change, mode, chance):
                one.apply(content)
        return bytes(content)

    def _survivors(self, change: _Write | _Cut, mode: Mode, chance: random.Random) -> list[_Write | _Cut]:
        if mode is Mode.TORN:
            return change.torn(chance)
        return [change] if mode is Mode.KEPT or chance.random() < 0.5 else []


class _Naming(NamedTuple):
    """A change of the names in a directory."""

    directory: str
    apply: Callable[[dict[str, _File]], object]


class Disk:
    """The files below `root`, from their state before the first call on. `sent` collects what went into sockets."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names = {str(path): _File(path.read_bytes()) for path in root.rglob("*") if path.is_file()}
        self._durable_names = dict(self._names)
        self._namings: list[_Naming] = []
        self._syncing: dict[int, tuple[_File | None, int]] = {}
        self.sent: list[bytes] = []

    def see(self, call: Call) -> None:
        """Take in the begin or the end of a call."""
        is_begin = call.result is None
        match call.name:
            case "pwrite64" | "write" | "writev" | "sendto" | "sendmsg" if is_begin:
                self._write(call)
            case "ftruncate" if is_begin:
                if call.path in self._names:
                    self._names[call.path].add(_Cut(call.numbers[0]))
            case "fsync" | "fdatasync":
                self._sync(call)
            case "openat" if call.result is not None and call.result >= 0 and "O_CREAT" in call.flags:
                self._create(call.texts[-1].decode())
            case "rename" | "renameat" | "renameat2" if call.result == 0:
                self._rename(*(text.decode() for text in call.texts))
            case "unlink" | "unlinkat" if call.result == 0:
                self._remove(call.texts[-1].decode())
            case _:
                pass  # the other half of a call, or one that failed

    def write_what_is_left(self, directory: Path, mode: Mode, chance: random.Random) -> None:
        """Write the files into an empty directory as they may be after a power cut now."""
        names = dict(self._durable_names)
        survivors = {Mode.DROPPED: 0, Mode.KEPT: len(self._namings)}.get(mode, chance.randint(0, len(self._namings)))
        for naming in self._namings[:survivors]:
            naming.apply(names)
        for name, file in names.items():
            path = directory / Path(name).relative_to(self._root)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(file.left(mode, chance))
            path.chmod(0o600)

    def unsynced(self) -> int:
        """Return how many changes are not synced, but for SQLite's file of shared memory, which never is."""
        files = (file for name, file in self._names.items() if not name.endswith("-shm"))
        return sum(len(file.pending) for file in files) + len(self._namings)

    def _write(self, call: Call) -> None:
        file = self._names.get(call.path)
        if file is not None:
            offset = call.numbers[-1] if call.name == "pwrite64" else file.size  # a content is written in its order
            file.add(_Write(offset, b"".join(call.texts)))
        elif not call.path.startswith(self._root):
            self.sent.extend(call.texts)

    def _sync(self, call: Call) -> None:
        if call.result is None:
            file = self._names.get(call.path)
            self._syncing[call.thread] = file, len(file.pending) if file else 0
            return
        file, count = self._syncing.pop(call.thread)
        if call.result != 0:
            return
        if file is not None:
            file.sync(count)
            return
        settled = [at for at, naming in enumerate(self._namings) if naming.directory == call.path]
        for naming in self._namings[: settled[-1] + 1] if settled else ():  # in their order
            naming.apply(self._durable_names)
        del self._namings[: settled[-1] + 1 if settled else 0]

    def _create(self, path: str) -> None:
        if path.startswith(self._root) and path not in self._names:
            file = _File()
            self._name(path, lambda names: names.update({path: file}))

    def _rename(self, old: str, new: str) -> None:
        if old in self._names:
            self._name(new, lambda names: names.update({new: names.pop(old)}) if old in names else None)

    def _remove(self, path: str) -> None:
        if path in self._names:
            self._name(path, lambda names: names.pop(path, None))

    def _name(self, path: str, apply: Callable[[dict[str, _File]], object]) -> None:
        apply(self._names)
        self._namings.append(_Naming(str(Path(path).parent), apply))
