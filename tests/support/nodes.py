# SPDX-License-Identifier: Apache-2.0
"""Several server processes on one database: each has a data directory of its own, and they have the key together."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.process import Installation


class Node(Installation):
    """Another server of the vault of an installation."""

    def __init__(self, first: Installation, directory: Path, serve: list[str] | None = None) -> None:
        self.environment = {**first.environment, "MYSAFE_KEY_FILE": str(first.data.with_name("data.key"))}
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.settings = first.settings
        self._temporary = directory / "tmp"
        for path in (directory, self.data, self._temporary):
            path.mkdir(mode=0o700, exist_ok=True)
        self._serve = serve or first._serve
        self._process = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def two_nodes(directory: Path, serve: list[str] | None = None, **environment: str) -> Iterator[tuple[Node, Node]]:
    """Two servers of a new vault, both running."""
    made = Installation(directory, serve, environment)
    nodes = Node(made, directory / "a"), Node(made, directory / "b")
    try:
        for node in nodes:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.close()


def created(node: Installation, kind: str, body: Any, token: str) -> str:
    """Create an item and return its identifier."""
    status, answer = node.call("POST", f"/api/mysafe/{kind}", body, token)
    assert status == 201, answer
    (entity,) = (value for key, value in answer.items() if key.endswith("_entity"))
    assert isinstance(entity, dict)
    return str(entity["identifier"])
