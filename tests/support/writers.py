# SPDX-License-Identifier: Apache-2.0
"""Clients that make and change items whose every field says which version it is of, and remember what they sent."""

import hashlib
import itertools
import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

from tests.support.process import Installation, exchange
from tests.support.waiting import until

WRITERS = 4
SHARED = [{"username": "friend", "can_edit": True}]
NOT_FOUND = 400
REFUSED = {503, 507}
"""Answers that say: nothing was changed. Any other one but success leaves open what happened."""


@dataclass
class History:
    """The versions of one item in the order they were acknowledged, each by its mark. `kind` is as in the path.

    `open` are the marks of versions that were sent, and nobody was told what became of them.
    """

    kind: str
    identifier: str
    marks: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)


@dataclass
class Written:
    """All that writers did: the histories by kind and identifier, and the marks of items that

    `open`: were sent, and nobody was told what became of them; `refused`: were refused, or were refused as a version.
    `gone` are identifiers of passwords that were acknowledged, and were not found when they should be changed.
    """

    histories: dict[tuple[str, str], History] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def acknowledged(self) -> set[str]:
        """Return the marks of all versions that were acknowledged."""
        return {mark for history in list(self.histories.values()) for mark in history.marks}


class _Unanswered(Exception):
    """The server did not say what became of a version."""


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
    """WRITERS clients. Each writes `each` versions, or as many as it can until `stop` or until the server is gone.

    `name` tells these writers from those before them, whose `written` they may go on with.
    """

    def __init__(
        self,
        installation: Installation,
        token: str,
        each: int | None = None,
        *,
        name: int = 0,
        written: Written | None = None,
    ) -> None:
        self._installation = installation
        self._token = token
        self._steps: Iterable[int] = itertools.count() if each is None else range(each)
        self._threads = [
            threading.Thread(target=self._run, args=(WRITERS * name + writer,)) for writer in range(WRITERS)
        ]
        self._failures: list[BaseException] = []
        self._is_over = threading.Event()
        self.written = written or Written()

    def run(self) -> None:
        """Write to the end. Raises what went wrong in a client."""
        self.start()
        self.join()

    def start(self) -> None:
        """Begin to write."""
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, versions: int) -> None:
        """Wait until so many more versions were acknowledged."""
        done = len(self.written.acknowledged())
        until(lambda: len(self.written.acknowledged()) >= done + versions)

    def wait_for_refusals(self, versions: int) -> None:
        """Wait until so many more versions were refused."""
        done = len(self.written.refused)
        until(lambda: len(self.written.refused) >= done + versions)

    def stop(self) -> None:
        """Let every client finish what it does, and write no more."""
        self._is_over.set()
        self.join()

    def join(self) -> None:
        """Wait until the clients have ended. Raises what went wrong in one: that the server was gone is not wrong."""
        for thread in self._threads:
            thread.join(timeout=300)
        if self._failures:
            raise self._failures[0]

    def _run(self, writer: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._installation.port, timeout=60)
        own: list[History] = []
        try:
            for number in iter(self._steps):
                if self._is_over.is_set():
                    break
                self._step(connection, own, number, f"mark-{writer}-{number};")
        except (OSError, HTTPException, _Unanswered):
            pass  # what it sent last stays open
        except BaseException as failure:  # noqa: BLE001  # it is raised where the writers are waited for
            self._failures.append(failure)
        finally:
            connection.close()

    def _step(self, connection: HTTPConnection, own: list[History], number: int, mark: str) -> None:
        passwords = [history for history in own if history.kind == "password"]
        if number % 25 == 7:
            own.extend(self._made("file", mark, lambda: self._upload(connection, mark)))
        elif number % 3 == 2 and passwords:
            self._change(connection, passwords[number * 7 % len(passwords)], mark)
        else:
            own.extend(self._made("password", mark, lambda: self._create(connection, mark)))

    def _change(self, connection: HTTPConnection, changed: History, mark: str) -> None:
        changed.open.add(mark)
        path = f"/api/mysafe/password/update/{changed.identifier}"
        answer = exchange(connection, "PUT", path, fields_of(mark), self._token)
        if answer[0] == NOT_FOUND:
            self.written.gone.add(changed.identifier)
            raise _Unanswered
        if self._is_done(answer, 200, mark):
            changed.marks.append(mark)
        changed.open.discard(mark)

    def _made(self, kind: str, mark: str, make: Callable[[], tuple[int, dict[str, object]]]) -> list[History]:
        self.written.open.add(mark)
        answer = make()
        made = []
        if self._is_done(answer, 201, mark):
            entity = answer[1][f"{kind}_entity"]
            assert isinstance(entity, dict)
            made.append(History(kind, str(entity["identifier"]), [mark]))
            self.written.histories[kind, made[0].identifier] = made[0]
        self.written.open.discard(mark)
        return made

    def _is_done(self, answer: tuple[int, dict[str, object]], good: int, mark: str) -> bool:
        status, body = answer
        if status >= 500 and status not in REFUSED:
            raise _Unanswered
        assert status in {good, *REFUSED}, body
        if status in REFUSED:
            self.written.refused.add(mark)
        return status == good

    def _create(self, connection: HTTPConnection, mark: str) -> tuple[int, dict[str, object]]:
        body = {**fields_of(mark), "users_allowed": SHARED}
        return exchange(connection, "POST", "/api/mysafe/password", body, self._token)

    def _upload(self, connection: HTTPConnection, mark: str) -> tuple[int, dict[str, object]]:
        fields = json.dumps({"name": mark, "file_name": "f", "users_allowed": SHARED}).encode()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/octet-stream",
            "MySafe-Fields": b64encode(fields).decode("ascii"),
        }
        connection.request("POST", "/api/mysafe/file", content_of(mark), headers)
        answer = connection.getresponse()
        made: dict[str, object] = json.loads(answer.read())
        return answer.status, made
