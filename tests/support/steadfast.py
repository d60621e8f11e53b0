# SPDX-License-Identifier: Apache-2.0
"""Clients that go on whatever happens, and remember what they were told: the judge of a failover."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from http.client import HTTPConnection

from tests.support.process import exchange

CLIENTS = 4
PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 60
ITEMS = "/api/mysafe/password"


class Clients:
    """Each creates an item, changes it, and begins again.

    `acknowledged` is the last secret of each item that was answered with success, `doubtful` what was tried since,
    `tried` all that was ever sent. `failures` are the answers without success.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]
        self._answered_at = 0.0  # when the request was sent that was answered with success last
        self.acknowledged: dict[str, str] = {}
        self.doubtful: dict[str, set[str]] = defaultdict(set)
        self.tried: set[str] = set()
        self.given_twice: set[str] = set()
        self.failures: list[tuple[int, object]] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def wait_for_success(self, after: float) -> float:
        """Wait until a request that was sent after a time of `time.monotonic()` succeeds; return when it is noticed."""
        while self._answered_at <= after:
            assert time.monotonic() < after + PATIENCE_SECONDS, "nothing is written any more"
            threading.Event().wait(0.01)
        return time.monotonic()

    def wait_for_items(self, more: int) -> None:
        """Wait until so many more items are acknowledged."""
        wanted, end = len(self.acknowledged) + more, time.monotonic() + PATIENCE_SECONDS
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < end, "nothing is written any more"
            threading.Event().wait(0.01)

    def wrong(self, stored: Iterable[str]) -> set[str]:
        """Return the items that do not answer as they must.

        An acknowledged one must hold what was acknowledged last, or tried since; one that is merely in the database,
        what some request wanted, as a whole. And none is made twice under one identifier.
        """
        items = {*stored, *self.acknowledged}
        return self.given_twice | {item for item in items if self._secret_of(item) not in self._allowed(item)}

    def _allowed(self, item: str) -> set[str]:
        known = self.acknowledged.get(item)
        return self.tried if known is None else {known, *self.doubtful[item]}

    def _secret_of(self, item: str) -> str | None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        status, answer = exchange(connection, "GET", f"{ITEMS}/{item}", None, self._token)
        connection.close()
        entity = answer.get("password_entity")
        if status != 200 or not isinstance(entity, dict) or entity["username"] != entity["password"]:
            return None
        return str(entity["password"])

    def _run(self, client: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        number = 0
        while not self._is_over.wait(PAUSE_SECONDS):
            number += 1
            item = self._create(connection, f"{client}-{number}")
            if item is not None:
                self._change(connection, item, f"{client}-{number}-changed")
        connection.close()

    def _create(self, connection: HTTPConnection, secret: str) -> str | None:
        answer = self._send(connection, ("POST", ITEMS), secret)
        if answer is None:
            return None
        entity = answer["password_entity"]
        assert isinstance(entity, dict)
        item = str(entity["identifier"])
        with self._lock:
            if item in self.acknowledged:
                self.given_twice.add(item)
            self.acknowledged[item] = secret
        return item

    def _change(self, connection: HTTPConnection, item: str, secret: str) -> None:
        self.doubtful[item].add(secret)
        if self._send(connection, ("PUT", f"{ITEMS}/update/{item}"), secret) is not None:
            self.acknowledged[item] = secret
            self.doubtful[item].clear()

    def _send(self, connection: HTTPConnection, request: tuple[str, str], secret: str) -> dict[str, object] | None:
        """Send a request; return its answer, None if it did not succeed."""
        self.tried.add(secret)
        sent_at = time.monotonic()
        body = {"name": "n", "username": secret, "password": secret}
        status, answer = exchange(connection, *request, body, self._token)
        with self._lock:
            if status in {200, 201}:
                self._answered_at = max(self._answered_at, sent_at)
                return answer
            self.failures.append((status, answer))
        return None
