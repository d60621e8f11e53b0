# SPDX-License-Identifier: Apache-2.0
"""Files and pipes of a backup: nothing gets its name before it is whole and on disk."""

import glob
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

_HOST = re.sub("[^0-9A-Za-z]", "-", os.uname().nodename) or "-"
LONGEST_RUN_SECONDS = 24 * 3600
"""What is older was left, even if a process has the number again that left it."""


def through_pipe(write: Callable[[BinaryIO], object], read: Callable[[BinaryIO], T]) -> T:
    """Run `write` on a thread of its own and `read` here, with a pipe from one to the other; return what `read` does.

    Of two failures the one that caused the other is raised: the writer's, unless it only found that nobody reads.
    """
    source_number, target_number = os.pipe()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with open(target_number, "wb", buffering=1024 * 1024) as target:
                write(target)
        except BaseException as error:  # noqa: BLE001  # it is raised again on the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run, name="backup", daemon=True)
    thread.start()
    try:
        with open(source_number, "rb", buffering=1024 * 1024) as source:
            value = read(source)
            while source.read(1024 * 1024):
                pass  # what follows the end of an archive is padding
    except BaseException:
        thread.join()
        _raise_cause(failures)
        raise
    thread.join()
    _raise_cause(failures)
    return value


def _raise_cause(failures: list[BaseException]) -> None:
    if failures and not isinstance(failures[0], BrokenPipeError):
        raise failures[0]


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, that gets its name at the end. Raises OSError, also if it is taken."""
    partial = path.with_name(f".{path.name}.{_run()}.partial")
    try:
        with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, it never takes the name of another file
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def scratch(beside: Path) -> Iterator[Path]:
    """Give an empty directory next to a path, and remove it at the end. What earlier runs left is removed."""
    sweep(beside.parent, glob.escape(beside.name))
    directory = beside.with_name(f".{beside.name}.{_run()}.scratch")
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep(directory: Path, names: str) -> None:
    """Remove what runs that were killed left of files whose names match a pattern: it is not encrypted."""
    for leftover in directory.glob(f".{names}.*.[0-9]*.scratch"):
        if _is_left(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    for leftover in directory.glob(f".{names}.*.[0-9]*.partial"):
        if _is_left(leftover):
            leftover.unlink(missing_ok=True)


def _run() -> str:
    """Return what names this process in the names of its files."""
    return f"{_HOST}.{os.getpid()}"


def _is_left(path: Path) -> bool:
    """Return whether the process that made a path is no more, or is this one, or is of another day.

    Of a process of another machine, with which a directory may be shared, only the time is known.
    """
    try:
        if time.time() - path.stat().st_mtime > LONGEST_RUN_SECONDS:
            return True
        host, number = path.name.split(".")[-3:-1]
        if host != _HOST:
            return False
        if int(number) == os.getpid():
            return True
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except (OSError, ValueError):
        return False  # of somebody else, or gone by now
    return False


def sync_directory(path: Path) -> None:
    """See the names in a directory on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
