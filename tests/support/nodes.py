# SPDX-License-Identifier: Apache-2.0
"""Several server processes on one database: each has a data directory of its own, and they have the key together."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mysafe.config import Settings
from tests.support.process import COMMAND, Installation


class Node(Installation):
    """Another server of a vault that was made with these settings, as a process, with a directory of its own."""

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        serve: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        key = settings.data.with_name("data.key")
        self.environment = {**(environment or {}), "MYSAFE_KEY_FILE": str(key)}
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.settings = settings
        self._temporary = directory / "tmp"
        for path in (directory, self.data, self._temporary):
            path.mkdir(mode=0o700, exist_ok=True)
        self._serve = serve or [*COMMAND, "serve"]
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
    nodes = tuple(Node(made.settings, directory / name, serve, environment) for name in ("a", "b"))
    try:
        for node in nodes:
            node.start()
        yield nodes[0], nodes[1]
    finally:
        for node in nodes:
            node.close()
