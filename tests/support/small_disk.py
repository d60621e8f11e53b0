# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, or can only be read, when a test says so.

A `Mounted` one is a file system of its own in memory: the real thing, where this process may mount one. A `Pretended`
one works everywhere: below the product, whatever writes to a file is refused as a full disk refuses it.
"""

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

SIZE = "size=24m"
_BALLAST, _FLAG = "ballast", "full"


COMMAND = [sys.executable, "-m", "tests.support.full_command"]
"""The product, below which a disk may pretend to be full."""


class Disk(Protocol):
    """A disk. `environment` is what COMMAND needs to know of it."""

    @property
    def environment(self) -> dict[str, str]: ...
    def fill(self) -> None: ...
    def clear(self) -> None: ...


class Mounted:
    """A file system in memory, of SIZE. It needs nothing from COMMAND."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment: dict[str, str] = {}

    def fill(self) -> None:
        """Write until there is not a byte left."""
        with (self.directory / _BALLAST).open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def clear(self) -> None:
        """Give the room back."""
        (self.directory / _BALLAST).unlink()

    def set_writable(self, *, is_writable: bool) -> None:
        """Let it be written to, or only read."""
        _mount("-o", f"remount,{'rw' if is_writable else 'ro'}", str(self.directory))


class Pretended:
    """A directory as it is, under a product that is told that the disk is full: see `full_command`."""

    def __init__(self, directory: Path) -> None:
        self._flag = directory / _FLAG
        self.environment = {"FULL_WHILE": str(self._flag)}

    def fill(self) -> None:
        """Let everything be refused from now on."""
        self._flag.touch()

    def clear(self) -> None:
        """Refuse nothing any more."""
        self._flag.unlink()


@cache
def can_mount() -> bool:
    """Return whether this process may mount a file system."""
    with TemporaryDirectory() as directory:
        try:
            with mounted(Path(directory)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextmanager
def mounted(directory: Path) -> Iterator[Mounted]:
    """Mount a small disk on a directory, until the end."""
    _mount("-t", "tmpfs", "-o", SIZE, "none", str(directory))
    try:
        yield Mounted(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True, capture_output=True)


@contextmanager
def pretended(directory: Path) -> Iterator[Pretended]:
    """Use a directory as it is."""
    yield Pretended(directory)


def kinds() -> list[Callable[[Path], AbstractContextManager[Disk]]]:
    """Return the kinds of small disks there are here."""
    return [pretended, *([mounted] if can_mount() else [])]


def _mount(*arguments: str) -> None:
    assert shutil.which("mount"), "there is no mount(8)"
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
