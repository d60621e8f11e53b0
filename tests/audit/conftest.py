# SPDX-License-Identifier: Apache-2.0
"""A scene for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.scene import AuditScene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[AuditScene]:
    made = AuditScene(tmp_path)
    yield made
    made.close()
