# SPDX-License-Identifier: Apache-2.0
"""The scene of these tests."""

from collections.abc import Iterator

import pytest

from tests.contract.api.manage.scene import Scene
from tests.support.server import RunningServer


@pytest.fixture
def scene(server: RunningServer) -> Iterator[Scene]:
    with server.client() as client:
        yield Scene(server, client)


@pytest.fixture
def fresh_scene(fresh_server: RunningServer) -> Iterator[Scene]:
    with fresh_server.client() as client:
        yield Scene(fresh_server, client)
