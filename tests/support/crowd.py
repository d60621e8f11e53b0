# SPDX-License-Identifier: Apache-2.0
"""A crowd at two servers: writers who create, share and update, and friends who read. All use now one, now the other.

What a call says is believed; a connection that breaks leaves its call unknown, and then the next server is asked.
"""

import itertools
import random
import threading
import time
from http.client import HTTPConnection, HTTPException

from tests.support.nodes import Node
from tests.support.process import exchange
from tests.support.registers import DONE, REFUSED, UNKNOWN, Step

WRITERS = READERS = 3
MOST_UPDATES = 8
"""So often an item is updated before the next one is created."""

REFUSALS = {503}
"""What a server may answer that is too busy: nothing was changed."""


class Crowd:
    """Writers and readers, from `start` until `stop`. `history` has what they did, `failures` what must not be."""

    def __init__(self, nodes: tuple[Node, Node], owner_token: str, friend_token: str) -> None:
        self._nodes = nodes
        self._tokens = {"owner": owner_token, "friend": friend_token}
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._items: list[str] = []
        self.history: list[Step] = []
        self.failures: list[str] = []
        work = [self._write] * WRITERS + [self._read] * READERS
        self._threads = [threading.Thread(target=one, args=(number,)) for number, one in enumerate(work)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()

    def until_more(self, steps: int) -> None:
        """Wait until so many more calls were answered."""
        wanted, until = len(self.history) + steps, time.monotonic() + 60
        while len(self.history) < wanted:
            assert time.monotonic() < until, "nothing is answered any more"
            threading.Event().wait(0.01)

    def acknowledged(self) -> set[str]:
        """Return the items whose creation was acknowledged."""
        return {step.item for step in self.history if step.is_write and step.value == 0 and step.end == DONE}

    def look_at_all(self, node: Node) -> None:
        """Read every item as the friend, at one server."""
        connection = HTTPConnection("127.0.0.1", node.port, timeout=20)
        for item in sorted(self.acknowledged()):
            self._note(self._call(connection, "friend", item, 0, is_write=False))
        connection.close()

    def _write(self, number: int) -> None:
        nodes = itertools.cycle(self._nodes if number % 2 else self._nodes[::-1])
        item: str | None = None
        value = 0
        while not self._is_over.is_set():
            connection = HTTPConnection("127.0.0.1", next(nodes).port, timeout=20)
            step = self._call(connection, "owner", item, value, is_write=True)
            connection.close()
            self._note(step)
            if step.end == DONE and value == 0:
                item = step.item
                with self._lock:
                    self._items.append(item)
            if step.end == UNKNOWN or value >= MOST_UPDATES:
                item, value = None, 0
            elif item is not None:
                value += 1  # also after a refusal: a number is used once

    def _read(self, number: int) -> None:
        nodes = itertools.cycle(self._nodes)
        while not self._is_over.is_set():
            connection = HTTPConnection("127.0.0.1", next(nodes).port, timeout=20)
            with self._lock:
                items = [random.choice(self._items) for _ in range(5)] if self._items else []
            for item in items:
                self._note(self._call(connection, "friend", item, 0, is_write=False))
            connection.close()

    def _note(self, step: Step) -> None:
        with self._lock:
            self.history.append(step)

    def _call(self, connection: HTTPConnection, who: str, item: str | None, value: int, *, is_write: bool) -> Step:
        began, end = time.monotonic_ns(), UNKNOWN
        body: dict[str, object] = {"name": "n", "username": "u", "password": str(value)}
        method, path = "GET", f"/api/mysafe/password/{item}"
        if is_write and item is None:
            method, path, body["users_allowed"] = "POST", "/api/mysafe/password", [{"username": "friend"}]
        elif is_write:
            method, path = "PUT", f"/api/mysafe/password/update/{item}"
        try:
            status, answer = exchange(connection, method, path, body if is_write else None, self._tokens[who])
        except (OSError, HTTPException):
            connection.close()
            return Step(item or "none", value, began, time.monotonic_ns(), is_write, UNKNOWN)
        entity = answer.get("password_entity")
        if status in {200, 201} and isinstance(entity, dict):
            end, item = DONE, str(entity["identifier"])
            value = value if is_write else int(entity["password"])
        elif status in REFUSALS:
            end = REFUSED
        else:
            self.failures.append(f"{method} {path}: {status} {answer}")
        return Step(item or "none", value, began, time.monotonic_ns(), is_write, end)
