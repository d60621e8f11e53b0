# SPDX-License-Identifier: Apache-2.0
"""Copy a SQLite database while others write to it."""

from pathlib import Path

import apsw

from mysafe.storage.engine import StorageRefused
from mysafe.storage.migrations.declared import check_declared
from mysafe.storage.sqlite_connection import check_file, connect, create_file

_MOVE_ON = "INSERT INTO sequences (name, next) VALUES (?1, 1 + ?2) ON CONFLICT (name) DO UPDATE SET next = next + ?2"


def copy_database(source: Path, target: Path) -> None:
    """Make a new file with the state of a database at one moment. Writers go on meanwhile.

    Raises:
        StorageRefused: the source cannot be read, or there is a target already, or no room for it.
    """
    check_file(source)
    create_file(target)
    reader = connect(source, is_reader=True)
    writer = apsw.Connection(str(target))
    try:
        # In one go: the WAL keeps the state that was begun with, and nobody can make it start anew.
        with writer.backup("main", reader, "main") as copying:
            copying.step(-1)
    except apsw.Error as error:
        raise StorageRefused(f"the database {source} cannot be copied: {type(error).__name__}") from None
    finally:
        writer.close()
        reader.close()


def is_sound(path: Path, revision: str) -> bool:
    """Return whether SQLite finds nothing wrong with a database, and it is made as a known revision makes it.

    Whoever knows a recipient can encrypt to it: what they add to the schema would run whenever the vault is used.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        check_declared(connection, revision)
        return connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
    except (apsw.Error, StorageRefused):
        return False
    finally:
        connection.close()


def move_ids_on(path: Path, names: tuple[str, ...], by: int) -> None:
    """Skip this many numbers of each sequence, so that none of them is given again. Raises StorageRefused."""
    connection = connect(path)
    try:
        for name in names:
            connection.execute(_MOVE_ON, (name, by))
    except apsw.Error as error:
        raise StorageRefused(f"the database {path} cannot be written: {type(error).__name__}") from None
    finally:
        connection.close()
