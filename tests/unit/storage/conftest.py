# SPDX-License-Identifier: Apache-2.0
"""A real database for each test of the storage room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.storage.sqlite_lane import SqliteEngine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    opened = SqliteEngine.create(tmp_path / "vault.db")
    yield opened
    opened.close()
