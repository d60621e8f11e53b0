# SPDX-License-Identifier: Apache-2.0
"""T-ROTATE on two nodes: keys rotate while both serve about 50 requests a second together, and one of them is killed.

NODE_ITEMS (environment, default 100) says how many items there are at the beginning.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mysafe import opening
from mysafe.config import Settings
from mysafe.services.rotation import epochs
from mysafe.services.rotation.epochs import Progress, RotationRefused
from mysafe.storage import items
from mysafe.storage.postgres.engine import PostgresEngine
from mysafe.storage.rotation.wrapped_keys import WrappedKey
from tests.fault.test_rotation import ITEM, unopened
from tests.support.load import Load
from tests.support.nodes import Node, two_nodes
from tests.support.server import RunningServer

pytestmark = pytest.mark.postgres

ITEMS = int(os.environ.get("NODE_ITEMS", "100"))
RATE = 25.0
LIVE_SECONDS = 11
"""Less than in the product, so that the rotation does not wait long for the node that was killed; more than a beat."""


class Scene:
    """Two nodes, each with items of its own and a load on them."""

    def __init__(self, nodes: tuple[Node, Node]) -> None:
        self.nodes = nodes
        nodes[0].command("user", "add", "owner")
        nodes[0].command("group", "add", "Team", "--member", "owner")
        self.token = nodes[0].token(nodes[0].new_key("owner"))
        self.contents: list[dict[str, str]] = [{}, {}]
        for node, contents in zip(nodes, self.contents, strict=True):
            self._fill(node, contents)
        self.loads = [
            Load(node.port, self.token, contents, RATE) for node, contents in zip(nodes, self.contents, strict=True)
        ]

    def _fill(self, node: Node, contents: dict[str, str]) -> None:
        for _ in range(ITEMS // 2):
            status, answer = node.call("POST", "/api/mysafe/password", ITEM, self.token)
            assert status == 201
            entity = answer["password_entity"]
            assert isinstance(entity, dict)
            contents[str(entity["identifier"])] = str(ITEM["password"])

    def wrong_reads(self, node: Node) -> list[str]:
        """Read every item at one node, and return those whose secret is not the acknowledged one."""
        known = self.contents[0] | self.contents[1]
        return [f"{item}: {seen}" for item, secret in known.items() if (seen := self._read(node, item)) != secret]

    def _read(self, node: Node, item: str) -> str:
        status, answer = node.call("GET", f"/api/mysafe/password/{item}", None, self.token)
        entity = answer.get("password_entity")
        return str(entity["password"]) if isinstance(entity, dict) else f"status {status}"


def unopened_now(settings: Settings) -> list[WrappedKey]:
    """Return the data keys that a process does not open which begins now."""
    vault = opening.open_vault(settings)
    try:
        return unopened(vault)
    finally:
        vault.close()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(epochs, "LIVE_SECONDS", LIVE_SECONDS)
    with two_nodes(tmp_path) as nodes:
        yield Scene(nodes)


@pytest.mark.timeout(900)
def test_keys_rotate_on_two_nodes_under_load_and_one_is_killed_and_no_request_fails(scene: Scene) -> None:
    first, second = scene.nodes
    steady, broken = scene.loads
    vault = opening.open_vault(first.settings)
    for load in scene.loads:
        load.start()
    assert epochs.rotate(vault, lambda progress: None).destroyed == (1,)
    assert [load.failures for load in scene.loads] == [[], []]

    was_killed = threading.Event()

    def kill_while_it_rewraps(progress: Progress) -> None:
        if progress.doing == "rewrapping" and not was_killed.is_set():
            second.kill()
            was_killed.set()

    assert epochs.rotate(vault, kill_while_it_rewraps).destroyed == (2,)
    assert was_killed.is_set()
    for load in scene.loads:
        load.stop()
    assert steady.failures == []
    assert all(" after " in failure for failure in broken.failures), "only connections broke"
    assert unopened_now(first.settings) == []
    second.start()
    for node in scene.nodes:
        wrong = scene.wrong_reads(node)
        # What the killed node had not acknowledged may have happened or not.
        assert [one for one in wrong if one.partition(":")[0] in scene.contents[0]] == []
        assert len(wrong) <= len(broken._threads)
    vault.close()


# -- a transaction from before the activation --------------------------------------------------------------------------


@contextmanager
def create_under_way(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Create an item, whose transaction has sealed it under the active epoch, and commits at the end of this."""
    is_in, may_go_on, real = threading.Event(), threading.Event(), items.insert

    def insert(*arguments: Any) -> None:
        real(*arguments)
        is_in.set()
        may_go_on.wait(30)

    token = server.new_token(server.new_actor())
    with ThreadPoolExecutor(1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(items, "insert", insert)
            made = pool.submit(server.create, token, "password", ITEM)
            assert is_in.wait(20)
        try:
            yield
        finally:
            may_go_on.set()
        assert made.result(20)


def test_an_epoch_is_not_destroyed_while_a_transaction_from_before_goes_on(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = opening.open_vault(server.settings)
    has_not_ended = pytest.raises(RotationRefused, match="a transaction in the database has not ended")
    with create_under_way(server, monkeypatch), has_not_ended:
        epochs.rotate(vault, lambda progress: None, wait_seconds=1)
    done = epochs.rotate(vault, lambda progress: None)
    assert done.is_resumed
    assert done.destroyed
    assert unopened_now(server.settings) == []
    vault.close()


def test_control_an_epoch_that_is_destroyed_at_once_leaves_an_item_that_does_not_open(
    fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = opening.open_vault(fresh_server.settings)
    monkeypatch.setattr(PostgresEngine, "wait_for_earlier", lambda engine, seconds: True)
    with create_under_way(fresh_server, monkeypatch):
        assert epochs.rotate(vault, lambda progress: None).destroyed == (1,)
    assert [one.kind for one in unopened_now(fresh_server.settings)] == ["password"]
    vault.close()
