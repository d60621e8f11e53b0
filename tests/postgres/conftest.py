# SPDX-License-Identifier: Apache-2.0
"""Clusters that a test may restart, block and break."""

from collections.abc import Iterator

import pytest

from private_postgres import Cluster, private_cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with private_cluster() as own:
        yield own
