# SPDX-License-Identifier: Apache-2.0
"""Tests of what is in deploy/. Some need programs that `make deploy-check` installs; elsewhere they are left out."""

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs other programs, unless they were installed."""
    if os.environ.get("DEPLOY_CHECK"):
        return
    left_out = [item for item in items if item.get_closest_marker("deploy")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
