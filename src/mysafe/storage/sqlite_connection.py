# SPDX-License-Identifier: Apache-2.0
"""Open SQLite safely, and say its errors in our words."""

import os
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from mysafe.domain.errors import Busy, DatabaseUnreachable, NoSpace, Unavailable
from mysafe.storage.engine import StorageRefused, UniqueClash

T = TypeVar("T")

OLDEST_SQLITE = (3, 51, 3)
"""Earlier versions can corrupt a database in WAL mode that has more than one connection."""

BUSY_MILLISECONDS = 5000
"""How long a connection waits for another process."""

SYNCHRONOUS_FULL = 2

_PAUSE_SECONDS = 0.01

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -16384",
)


def check_sqlite_version(version: str) -> None:
    """Return if this SQLite is safe to use. Raises StorageRefused."""
    if tuple(int(part) for part in version.split(".")) < OLDEST_SQLITE:
        oldest = ".".join(str(part) for part in OLDEST_SQLITE)
        raise StorageRefused(f"SQLite {version} can corrupt the database: {oldest} or newer is needed")


def create_file(path: Path) -> None:
    """Make an empty database file for its owner only. Raises StorageRefused."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageRefused(f"the database {path} cannot be made: {error.strerror}") from None


def check_file(path: Path) -> None:
    """Return if the database is a regular file for its owner only. Raises StorageRefused."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise StorageRefused(f"the database {path} cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise StorageRefused(f"the database {path} is not a regular file")
    if mode & 0o077:
        raise StorageRefused(f"the database {path} may be read or changed by others: run chmod 600 on it")


def connect(path: Path, *, is_reader: bool = False) -> apsw.Connection:
    """Return a connection whose commits are on disk when they return.

    Raises:
        StorageRefused: it is no database, or does not accept the settings that make it durable.
    """
    check_sqlite_version(apsw.sqlite_lib_version())
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        for pragma in _PRAGMAS:
            patiently(partial(connection.execute, pragma))
        (mode,) = connection.execute("PRAGMA journal_mode").fetchall()[0]
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchall()[0]
        if is_reader:
            connection.execute("PRAGMA query_only = ON")
    except apsw.Error as error:
        raise StorageRefused(f"the database {path} cannot be opened: {type(error).__name__}") from None
    if (mode, synchronous) != ("wal", SYNCHRONOUS_FULL):
        raise StorageRefused(f"the database {path} is not durable: journal {mode}, synchronous {synchronous}")
    return connection


def patiently(step: Callable[[], T]) -> T:
    """Return what a step of opening a database returns; while another process has it, try again for a while.

    SQLite's own timeout does not hold while a journal is being switched: then it reports BUSY at once.
    """
    until = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            return step()
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE_SECONDS)


def is_journal_emptied(connection: apsw.Connection) -> bool:
    """Move what is committed into the database, cut the WAL to nothing, and return whether that was possible.

    It waits for nobody: while somebody reads an older state, the WAL has to stay, and the next commit tries again.
    """
    connection.set_busy_timeout(0)
    try:
        (row,) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except apsw.Error as error:
        if is_failed_sync(error):
            raise
        return False
    finally:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
    return row[0] == 0


def empty_journal(path: Path, seconds: float) -> bool:
    """Do as `is_journal_emptied` does, again and again for so long; return whether it was possible at last.

    Raises:
        StorageRefused: the database cannot be opened.
    """
    connection = connect(path)
    try:
        until = time.monotonic() + seconds
        while not (is_done := is_journal_emptied(connection)) and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
        return is_done
    finally:
        connection.close()


def translated(error: apsw.Error) -> Exception:
    """Return a driver's error in the words of the domain. What it says in text stays behind."""
    match error:
        case apsw.ConstraintError():
            return UniqueClash()
        case apsw.BusyError() | apsw.LockedError():
            return Busy()
        case apsw.FullError():
            return NoSpace()
        case apsw.ReadOnlyError():
            return Unavailable()
        case apsw.IOError() if _code_of(error) == apsw.SQLITE_IOERR_WRITE:
            return Unavailable()  # the disk can only be read, or a quota is full
        case _:
            return DatabaseUnreachable()


def is_failed_sync(error: apsw.Error) -> bool:
    """Return whether an fsync failed: what is on disk is unknown from then on."""
    return _code_of(error) in {apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC}


def _code_of(error: apsw.Error) -> int:
    """Return SQLite's extended result code, 0 where there is none."""
    code: int = getattr(error, "extendedresult", 0)
    return code
