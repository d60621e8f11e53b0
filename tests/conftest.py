# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that need a running server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import IS_ON_POSTGRESQL
from tests.support.loopback import stay_on_loopback
from tests.support.server import RunningServer


def pytest_configure() -> None:
    """Take the network beyond this machine away before anything is collected."""
    stay_on_loopback()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other database than the one under test."""
    other = "sqlite" if IS_ON_POSTGRESQL else "postgres"
    left_out = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server shared by the tests of a module; each test makes its own actors."""
    running = RunningServer(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server of the test's own, for tests that change what all calls share."""
    running = RunningServer(tmp_path)
    yield running
    running.close()
