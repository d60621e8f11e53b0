# SPDX-License-Identifier: Apache-2.0
"""T-CAS: many updates of one item at once (R-API; RFC 9110, 13.1.1), at one server and at two on the same database.

With If-Match no update is lost: versions have no gap, each success has its own, the others are 412. Without it the
end is one whole write, never a mixture of two. The control does not look at the version, and must be found out.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from mysafe.server.api import items as handlers
from tests.support.databases import beside
from tests.support.neighbour import neighbour
from tests.support.server import RunningServer, authorization
from tests.support.writings import Writing, complaints

WRITERS = 8
ROUNDS = 6
PATIENCE_SECONDS = 30
FIELDS = {
    "password": ("name", "url", "username", "password", "notes", "tags"),
    "note": ("name", "note", "tags"),
    "secretapi": ("name", "url", "client_id", "client_secret", "identifier_code", "method", "tags", "notes"),
}


class Seen(NamedTuple):
    """What one read showed."""

    version: int
    fields: dict[str, Any]

    def marks(self, kind: str) -> set[str]:
        return {self.fields[name] for name in FIELDS[kind]}


class Client:
    """A connection to one server, for one item."""

    def __init__(self, address: str, token: str, kind: str, item: str) -> None:
        parts = urlsplit(address)
        self._connection = HTTPConnection(str(parts.hostname), int(parts.port or 0), timeout=PATIENCE_SECONDS)
        self._headers = {**authorization(token), "Content-Type": "application/json"}
        self._kind = kind
        self._item = item

    def read(self) -> Seen:
        self._connection.request("GET", f"/api/mysafe/{self._kind}/{self._item}", headers=self._headers)
        answer = self._connection.getresponse()
        body = json.loads(answer.read())
        (entity,) = (value for key, value in body.items() if key.endswith("_entity"))
        return Seen(version_of(answer.headers["ETag"]), entity)

    def write(self, mark: str, expected: int | None, names: tuple[str, ...] = ()) -> Writing:
        """Write the mark into the fields of these names, or into all of them."""
        body = json.dumps(dict.fromkeys(names or FIELDS[self._kind], mark))
        condition = {} if expected is None else {"If-Match": f'"{expected}"'}
        invoked_at = time.monotonic_ns()
        path = f"/api/mysafe/{self._kind}/update/{self._item}"
        self._connection.request("PUT", path, body, {**self._headers, **condition})
        answer = self._connection.getresponse()
        answer.read()
        version = version_of(answer.headers["ETag"]) if answer.status == 200 else None
        return Writing(invoked_at, time.monotonic_ns(), expected, answer.status, version, mark)

    def close(self) -> None:
        self._connection.close()


def version_of(tag: str) -> int:
    return int(tag.strip('"'))


class Scene:
    """One item of a kind, and clients of it spread over the servers."""

    def __init__(self, server: RunningServer, addresses: list[str], kind: str) -> None:
        self.server = server
        self.kind = kind
        token = server.new_token(server.new_actor())
        self.item = server.create(token, kind, dict.fromkeys(FIELDS[kind], "first"))
        self.clients = [Client(addresses[turn % len(addresses)], token, kind, self.item) for turn in range(WRITERS)]

    def all_at_once(self, work: Callable[[int, Client], list[Writing]]) -> list[Writing]:
        """Let every client do its work in a thread, and return what they all did."""
        with ThreadPoolExecutor(WRITERS) as pool:
            runs = [pool.submit(work, turn, client) for turn, client in enumerate(self.clients)]
            return [writing for run in runs for writing in run.result(timeout=60)]

    def judge(self, history: list[Writing]) -> list[str]:
        """Return what is wrong with a history from the creation to now, in the answers and in the database."""
        end = self.clients[0].read()
        wrong = complaints(history, 1, end.version, end.fields["name"])
        kept = self._kept_versions()
        return wrong + ([f"kept versions {kept}"] if kept != list(range(1, end.version)) else [])

    def _kept_versions(self) -> list[int]:
        statement = "SELECT version FROM item_versions WHERE kind = ? AND id = ? ORDER BY version"
        kind = {"secretapi": "api_secret"}.get(self.kind, self.kind)
        with beside(self.server.settings) as connection:
            return [int(str(version)) for (version,) in connection.execute(statement, (kind, int(self.item)))]

    def close(self) -> None:
        for client in self.clients:
            client.close()


@pytest.fixture(scope="module")
def other(server: RunningServer) -> Iterator[str]:
    with neighbour(server) as address:
        yield address


@pytest.fixture(params=[("password", 1), ("password", 2), ("note", 2), ("secretapi", 2)], ids=str)
def scene(server: RunningServer, other: str, request: pytest.FixtureRequest) -> Iterator[Scene]:
    kind, servers = request.param
    made = Scene(server, [server.url, other][:servers], kind)
    yield made
    made.close()


# -- with If-Match -----------------------------------------------------------------------------------------------------


def rounds_of_one_version(scene: Scene) -> list[Writing]:
    """Let all clients name the same version at the same moment, several times."""
    line = threading.Barrier(WRITERS, timeout=PATIENCE_SECONDS)

    def write(turn: int, client: Client) -> list[Writing]:
        done = []
        for number in range(ROUNDS):
            expected = client.read().version
            line.wait()
            done.append(client.write(f"{turn} in {number}", expected))
            line.wait()
        return done

    return scene.all_at_once(write)


def test_of_all_who_name_one_version_one_succeeds(scene: Scene) -> None:
    history = rounds_of_one_version(scene)
    assert sorted(writing.status for writing in history) == [200] * ROUNDS + [412] * ROUNDS * (WRITERS - 1)
    assert scene.judge(history) == []


def test_no_update_is_lost_when_all_write_as_fast_as_they_can(scene: Scene) -> None:
    def write(turn: int, client: Client) -> list[Writing]:
        done: list[Writing] = []
        while sum(writing.status == 200 for writing in done) < ROUNDS:
            done.append(client.write(f"{turn} after {len(done)}", client.read().version))
        return done

    history = scene.all_at_once(write)
    assert sum(writing.status == 200 for writing in history) == WRITERS * ROUNDS
    assert scene.judge(history) == []


# -- without -----------------------------------------------------------------------------------------------------------


def test_without_a_condition_the_end_is_one_whole_write(scene: Scene) -> None:
    mixtures: list[set[str]] = []

    def write(turn: int, client: Client) -> list[Writing]:
        done = []
        for number in range(ROUNDS):
            done.append(client.write(f"{turn} in {number}", None))
            marks = client.read().marks(scene.kind)
            mixtures.extend([marks] if len(marks) > 1 else [])
        return done

    history = scene.all_at_once(write)
    assert {writing.status for writing in history} == {200}
    assert mixtures == []
    assert scene.judge(history) == []


def test_writers_of_different_fields_do_not_undo_each_other(scene: Scene) -> None:
    names = FIELDS[scene.kind]

    def write(turn: int, client: Client) -> list[Writing]:
        if turn >= len(names):
            return []
        return [client.write(f"{turn} in {number}", None, (names[turn],)) for number in range(ROUNDS)]

    history = scene.all_at_once(write)
    assert {writing.status for writing in history} == {200}
    end = scene.clients[0].read()
    assert [end.fields[name] for name in names] == [
        f"{turn} in {ROUNDS - 1}" if turn < WRITERS else "first" for turn in range(len(names))
    ]
    assert sorted(writing.version or 0 for writing in history) == list(range(2, end.version + 1))


# -- the checker and its controls --------------------------------------------------------------------------------------


def test_a_server_that_does_not_look_at_the_version_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "expected_versions", lambda call: None)
    server = RunningServer(tmp_path)
    scene = Scene(server, [server.url], "note")
    try:
        wrong = scene.judge(rounds_of_one_version(scene))
    finally:
        scene.close()
        server.close()
    assert sum(line.startswith("named another version") for line in wrong) == ROUNDS * (WRITERS - 1)


def test_writers_who_send_their_write_in_two_halves_are_found_out(server: RunningServer) -> None:
    scene = Scene(server, [server.url], "password")
    one, two = scene.clients[:2]
    first, second = FIELDS["password"][:3], FIELDS["password"][3:]
    one.write("one", None, first)
    two.write("two", None)
    one.write("one", None, second)
    assert one.read().marks("password") == {"one", "two"}
    scene.close()


GOOD = [Writing(1, 4, 1, 200, 2, "a"), Writing(2, 5, 1, 412, None, "b"), Writing(6, 7, 2, 200, 3, "c")]


@pytest.mark.parametrize(
    ("planted", "last", "mark", "word"),
    [
        (GOOD, 3, "c", ""),
        (GOOD[:2], 3, "a", "versions [2] from 1 to 3"),
        ([*GOOD, Writing(6, 8, 2, 200, 3, "d")], 3, "d", "versions [2, 3, 3]"),
        ([*GOOD, Writing(6, 8, 2, 503, None, "d")], 3, "c", "answered 503"),
        (GOOD, 3, "a", "the last version holds a"),
        ([*GOOD[:2], Writing(6, 7, 1, 200, 3, "c")], 3, "c", "named another version"),
        ([*GOOD, Writing(9, 10, 3, 412, None, "d")], 3, "c", "refused for no reason"),
        ([GOOD[0]._replace(invoked_at=20, answered_at=21), GOOD[2]], 3, "c", "out of order"),
    ],
)
def test_the_checker_finds_what_is_planted(planted: list[Writing], last: int, mark: str, word: str) -> None:
    wrong = complaints(planted, 1, last, mark)
    assert [line for line in wrong if not line.startswith(word)] == []
    assert bool(wrong) == bool(word)
