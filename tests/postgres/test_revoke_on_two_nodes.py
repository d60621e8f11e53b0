# SPDX-License-Identifier: Apache-2.0
"""T-REVOKE and T-TOCTOU on two nodes: what one node acknowledged as revoked, another process does not read any more.

REVOKED_READS (environment, default 500) says how many reads are made after revocations. The control is a server that
remembers rights for a second, and must be found out by the same checker.
"""

import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault.test_revoke import WAYS, run, statuses_after
from tests.support.nodes import Node
from tests.support.readings import late_successes
from tests.support.server import RunningServer

pytestmark = pytest.mark.postgres

READS = int(os.environ.get("REVOKED_READS", "500"))


@contextmanager
def other_process(server: RunningServer, directory: Path, serve: list[str] | None = None) -> Iterator[str]:
    """Serve the same vault by another process, and yield its address."""
    limits = {"MYSAFE_REQUEST_SECONDS": "5"}
    node = Node(server.settings, directory, serve, limits)
    try:
        node.start()
        yield node.url
    finally:
        node.close()


@pytest.mark.timeout(1800)
def test_no_read_at_any_node_succeeds_after_a_revocation_at_one(server: RunningServer, tmp_path: Path) -> None:
    made = 0
    with other_process(server, tmp_path / "other") as other:
        for name, way in itertools.cycle(WAYS.items()):
            history = run(server, [server.url, other], way)
            assert late_successes(history) == [], name
            assert statuses_after(history) == {what: {status} for what, status in way.statuses.items()}, name
            made += len(history.after())
            if made >= READS:
                break
    assert made >= READS


def test_control_a_node_that_remembers_rights_for_a_second_is_found_out(server: RunningServer, tmp_path: Path) -> None:
    serve = [sys.executable, "-m", "tests.support.remembering", "serve"]
    with other_process(server, tmp_path / "other", serve) as other:
        for name in ("the key is revoked", "the share is removed"):
            history = run(server, [other], WAYS[name])
            assert {reading.what for reading in late_successes(history)} >= {"item"}, name
