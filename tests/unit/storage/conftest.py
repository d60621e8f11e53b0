# SPDX-License-Identifier: Apache-2.0
"""A real database for each test of the storage room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.storage.engine import Engine
from tests.support.databases import new_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = new_engine(tmp_path)
    yield opened
    opened.close()
