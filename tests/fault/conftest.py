# SPDX-License-Identifier: Apache-2.0
"""An engine on a file layer that can fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.faulty_files import FaultyFiles, faulty_files


@pytest.fixture
def files() -> Iterator[FaultyFiles]:
    with faulty_files() as layer:
        yield layer


@pytest.fixture
def fatal() -> list[str]:
    return []


@pytest.fixture
def engine(files: FaultyFiles, tmp_path: Path, fatal: list[str]) -> Iterator[SqliteEngine]:
    path = tmp_path / "vault.db"
    SqliteEngine.create(path).close()
    opened = SqliteEngine(path, on_fatal=lambda: fatal.append("stopped"))
    files.trace.clear()
    yield opened
    files.write_fault = files.sync_fault = 0
    opened.close()
