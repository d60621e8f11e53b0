# SPDX-License-Identifier: Apache-2.0
"""Clients that create, read and update at a steady rate, and remember whatever was not answered as it should be."""

import threading
import time
from http.client import HTTPConnection, HTTPException

from tests.support.process import exchange

CLIENTS = 5


class Load:
    """About `rate` requests a second, from `start` until `stop`: `done` says how many, `failures` what went wrong.

    `contents` are the secrets by item, as they were acknowledged last. Each item has one writer.
    """

    def __init__(self, port: int, token: str, contents: dict[str, str], rate: float) -> None:
        self._port = port
        self._token = token
        self._pause = CLIENTS / rate
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]
        self._known = sorted(contents)
        self.contents = contents
        self.failures: list[str] = []
        self.done = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _run(self, client: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        mine = self._known[client::CLIENTS]
        number = 0
        while not self._is_over.wait(self._pause):
            began = time.monotonic()
            try:
                wrong = self._step(connection, number, f"{client}-{number}", mine)
            except (OSError, HTTPException) as error:
                wrong = f"{type(error).__name__} after {time.monotonic() - began:.2f} s"
                connection.close()
            number += 1
            with self._lock:
                self.done += 1
                self.failures += [wrong] if wrong else []
        connection.close()

    def _step(self, connection: HTTPConnection, number: int, mark: str, mine: list[str]) -> str:
        """Make one call and return what is wrong with its answer."""
        identifier = mine[number * 7 % len(mine)]
        path = f"/api/mysafe/password/{identifier}"
        body = {"name": "n", "username": "u", "password": f"secret {mark}"}
        match number % 3:
            case 0:
                status, answer = exchange(connection, "GET", path, None, self._token)
                entity = answer.get("password_entity")
                seen = entity["password"] if isinstance(entity, dict) else answer
                return (
                    "" if (status, seen) == (200, self.contents[identifier]) else f"read {identifier}: {status} {seen}"
                )
            case 1:
                path = f"/api/mysafe/password/update/{identifier}"
                status, answer = exchange(connection, "PUT", path, body, self._token)
                if status == 200:
                    self.contents[identifier] = f"secret {mark}"
                return "" if status == 200 else f"update {identifier}: {status} {answer}"
            case _:
                status, answer = exchange(connection, "POST", "/api/mysafe/password", body, self._token)
                made = answer.get("password_entity")
                if status == 201 and isinstance(made, dict):
                    self.contents[str(made["identifier"])] = f"secret {mark}"
                return "" if status == 201 else f"create: {status} {answer}"
