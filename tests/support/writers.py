# SPDX-License-Identifier: Apache-2.0
"""Clients that make and change items whose every field says which version it is of, and remember what they sent."""

import hashlib
import json
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection

from tests.support.process import Installation, exchange

WRITERS = 4
SHARED = [{"username": "friend", "can_edit": True}]


@dataclass
class History:
    """The versions of one item in the order they were sent, each by its mark. `kind` is as in the path."""

    kind: str
    identifier: str
    marks: list[str] = field(default_factory=list)


def fields_of(mark: str) -> dict[str, object]:
    """Return the fields of a password; all of them follow from the mark, and some are as long as a page."""
    return {"name": mark, "username": mark, "password": f"secret of {mark}", "notes": notes_of(mark)}


def notes_of(mark: str) -> str:
    digest = hashlib.sha256(mark.encode()).digest()
    return digest.hex() * (digest[0] % 64)


def content_of(mark: str) -> bytes:
    digest = hashlib.sha256(mark.encode()).digest()
    return digest * (1 + 40 * digest[0])  # up to 320 KiB


class Writers:
    """Write `each` versions in every one of WRITERS clients; `histories` has them by kind and identifier."""

    def __init__(self, installation: Installation, token: str, each: int) -> None:
        self._installation = installation
        self._token = token
        self._each = each
        self._failures: list[BaseException] = []
        self.histories: dict[tuple[str, str], History] = {}

    def run(self) -> None:
        threads = [threading.Thread(target=self._run, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=300)
        if self._failures:
            raise self._failures[0]

    def _run(self, writer: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._installation.port, timeout=60)
        own: list[History] = []
        try:
            for number in range(self._each):
                self._step(connection, own, number, f"mark-{writer}-{number};")
        except BaseException as failure:  # noqa: BLE001  # it is raised where the writers are waited for
            self._failures.append(failure)
        finally:
            connection.close()

    def _step(self, connection: HTTPConnection, own: list[History], number: int, mark: str) -> None:
        passwords = [history for history in own if history.kind == "password"]
        if number % 25 == 7:
            own.append(self._made("file", mark, lambda: self._upload(connection, mark)))
        elif number % 3 == 2 and passwords:
            changed = passwords[number * 7 % len(passwords)]
            path = f"/api/mysafe/password/update/{changed.identifier}"
            status, answer = exchange(connection, "PUT", path, fields_of(mark), self._token)
            assert status == 200, answer
            changed.marks.append(mark)
        else:
            own.append(self._made("password", mark, lambda: self._create(connection, mark)))

    def _made(self, kind: str, mark: str, make: Callable[[], dict[str, object]]) -> History:
        entity = make()[f"{kind}_entity"]
        assert isinstance(entity, dict)
        history = History(kind, str(entity["identifier"]), [mark])
        self.histories[kind, history.identifier] = history
        return history

    def _create(self, connection: HTTPConnection, mark: str) -> dict[str, object]:
        body = {**fields_of(mark), "users_allowed": SHARED}
        status, answer = exchange(connection, "POST", "/api/mysafe/password", body, self._token)
        assert status == 201, answer
        return answer

    def _upload(self, connection: HTTPConnection, mark: str) -> dict[str, object]:
        fields = json.dumps({"name": mark, "file_name": "f", "users_allowed": SHARED}).encode()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/octet-stream",
            "MySafe-Fields": b64encode(fields).decode("ascii"),
        }
        connection.request("POST", "/api/mysafe/file", content_of(mark), headers)
        answer = connection.getresponse()
        made: dict[str, object] = json.loads(answer.read())
        assert answer.status == 201, made
        return made
