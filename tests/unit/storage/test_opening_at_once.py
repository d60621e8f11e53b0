# SPDX-License-Identifier: Apache-2.0
"""Two that open one file at the same moment both get it, whether it is new or has a schema already."""

import threading
from pathlib import Path

import pytest

from mysafe.storage.engine import StorageRefused
from mysafe.storage.sqlite_connection import create_file
from mysafe.storage.sqlite_lane import SqliteEngine

pytestmark = pytest.mark.sqlite("it opens files of SQLite")

ROUNDS = 60


def refusals(path: Path) -> list[str]:
    """Open a file twice at once; return what was refused."""
    refused: list[str] = []
    start = threading.Barrier(2)

    def open_it() -> None:
        start.wait()
        try:
            SqliteEngine.open(path).close()
        except StorageRefused as error:
            refused.append(str(error))

    threads = [threading.Thread(target=open_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


@pytest.mark.parametrize("is_new", [False, True], ids=["with a schema", "new"])
def test_two_who_open_a_file_at_once_are_both_let_in(tmp_path: Path, is_new: bool) -> None:
    refused: list[str] = []
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.db"
        if is_new:
            create_file(path)
        else:
            SqliteEngine.create(path).close()
        refused += refusals(path)
    assert refused == []
