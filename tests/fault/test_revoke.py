# SPDX-License-Identifier: Apache-2.0
"""T-REVOKE: revocation racing reads. No read that is invoked after the acknowledgement succeeds (R-TOK-05).

Item, list and token endpoint are read in several threads, at the server that revokes and at another one on the same
database file, while the right to read is taken away in every way there is. REVOCATIONS (environment, default 2) says
how often each. The controls remember a decision for a second, and must be found out by the same checker.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mysafe.services.opened_rows import OpenedRows
from tests.support.neighbour import neighbour
from tests.support.process import COMMAND, Installation
from tests.support.readings import READERS, READS_AFTER, History, Read, Reading, late_successes, race
from tests.support.remembering import plant
from tests.support.server import RunningServer, authorization

REVOCATIONS = int(os.environ.get("REVOCATIONS", "2"))
ITEM = {"name": "n", "username": "u", "password": "p"}


class Shared(NamedTuple):
    """An item, its owner's token, and a friend who can read it until that is revoked."""

    owner_token: str
    friend: str
    key: tuple[str, str]
    token: str
    item: str


def ask(
    connection: HTTPConnection, method: str, path: str, token: str = "", body: object = None
) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json"} | (authorization(token) if token else {})
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def read_item(shared: Shared, connection: HTTPConnection) -> tuple[int, bool]:
    status, answer = ask(connection, "GET", f"/api/mysafe/password/{shared.item}", shared.token)
    return status, "password_entity" in answer


def read_list(shared: Shared, connection: HTTPConnection) -> tuple[int, bool]:
    status, answer = ask(connection, "GET", "/api/mysafe/password", shared.token)
    return status, any(line["identifier"] == shared.item for line in answer.get("password_on_list", ()))


def get_token(shared: Shared, connection: HTTPConnection) -> tuple[int, bool]:
    request = {"grant_type": "client_credentials", "client_id": shared.key[0], "client_secret": shared.key[1]}
    status, answer = ask(connection, "POST", "/api/oauth2/token", body=request)
    return status, "access_token" in answer


READS = {"item": read_item, "list": read_list, "token": get_token}


# -- the ways to revoke ------------------------------------------------------------------------------------------------


def share(server: RunningServer, sharing: Callable[[str], dict[str, Any]]) -> Shared:
    friend = server.new_actor()
    server.ensure_group(f"group of {friend}", [friend])
    owner_token = server.new_token(server.new_actor())
    key = server.new_key(friend)
    item = server.create(owner_token, "password", {**ITEM, **sharing(friend)})
    return Shared(owner_token, friend, key, server.token(key), item)


def update(server: RunningServer, shared: Shared, body: dict[str, Any]) -> None:
    with server.client() as client:
        path, headers = f"/api/mysafe/password/update/{shared.item}", authorization(shared.owner_token)
        assert client.put(path, json=body, headers=headers).status_code == 200


def with_user(friend: str) -> dict[str, Any]:
    return {"users_allowed": [{"username": friend}]}


def with_group(friend: str) -> dict[str, Any]:
    return {"groups_allowed": [{"name": f"group of {friend}"}]}


class Way(NamedTuple):
    """How the friend gets the item, how it is taken away, and what each kind of read is answered then."""

    sharing: Callable[[str], dict[str, Any]]
    revoke: Callable[[RunningServer, Shared], None]
    statuses: dict[str, int]


WAYS = {
    "the key is revoked": Way(
        with_user,
        lambda server, shared: server.revoke(shared.key[0]),
        {"item": 401, "list": 401, "token": 401},
    ),
    "the user is disabled": Way(
        with_user,
        lambda server, shared: server.set_user_active(shared.friend, is_active=False),
        {"item": 401, "list": 401, "token": 401},
    ),
    "the address is forbidden": Way(
        with_user,
        lambda server, shared: server.set_addresses(shared.key[0], ["192.0.2.0/24"]),
        {"item": 401, "list": 401, "token": 401},
    ),
    "the share is removed": Way(
        with_user,
        lambda server, shared: update(server, shared, {"users_allowed": []}),
        {"item": 400, "list": 200},
    ),
    "the group's share is removed": Way(
        with_group,
        lambda server, shared: update(server, shared, {"groups_allowed": []}),
        {"item": 400, "list": 200},
    ),
    "the item is deactivated": Way(
        with_user,
        lambda server, shared: server.deactivate(shared.owner_token, "password", shared.item),
        {"item": 400, "list": 200},
    ),
}


def reads_of(shared: Shared, kinds: Iterable[str]) -> dict[str, Read]:
    return {kind: partial(READS[kind], shared) for kind in kinds}


def run(server: RunningServer, addresses: list[str], way: Way) -> History:
    """Race reads at the addresses against one way to revoke at the server."""
    shared = share(server, way.sharing)
    return race(addresses, reads_of(shared, way.statuses), lambda: way.revoke(server, shared))


def statuses_after(history: History) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for reading in history.after():
        found.setdefault(reading.what, set()).add(reading.status)
    return found


@pytest.fixture(scope="module")
def other(server: RunningServer) -> Iterator[str]:
    with neighbour(server) as address:
        yield address


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_read_invoked_after_a_revocation_succeeds(server: RunningServer, other: str, way: Way) -> None:
    for _ in range(REVOCATIONS):
        history = run(server, [server.url, other], way)
        assert len(history.before()) >= 2 * READERS * len(way.statuses)
        assert len(history.after()) >= 2 * READERS * len(way.statuses) * READS_AFTER
        assert late_successes(history) == []
        assert statuses_after(history) == {what: {status} for what, status in way.statuses.items()}


# -- the command line beside a server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("served"))
    installation.start()
    yield installation
    installation.close()


def acknowledged_by_command(installation: Installation, *arguments: str) -> int:
    """Run a command and return the moment its first line came out, in nanoseconds of the monotonic clock."""
    command = [*COMMAND, *arguments, "--data", str(installation.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=installation.variables()) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        acknowledged_at = time.monotonic_ns()
    assert process.returncode == 0
    return acknowledged_at


@pytest.mark.parametrize("word", ["access-key revoke", "user disable"])
def test_a_command_revokes_at_once_in_a_server_that_runs(served: Installation, word: str) -> None:
    owner = f"owner whose {word} comes"
    served.command("user", "add", owner)
    made = served.new_key(owner)
    token = served.token(made)
    _, answer = served.call("POST", "/api/mysafe/password", ITEM, token)
    entity = answer["password_entity"]
    assert isinstance(entity, dict)
    shared = Shared(token, owner, (made["client_id"], made["client_secret"]), token, entity["identifier"])
    argument = made["client_id"] if word == "access-key revoke" else owner
    revoke = partial(acknowledged_by_command, served, *word.split(), argument)
    history = race([f"http://127.0.0.1:{served.port}"], reads_of(shared, READS), revoke)
    assert len(history.before()) >= READERS * len(READS)
    assert late_successes(history) == []
    assert statuses_after(history) == {what: {401} for what in READS}


# -- the checker and its controls --------------------------------------------------------------------------------------


def test_the_checker_allows_what_was_under_way_and_nothing_later() -> None:
    under_way = Reading("item", 90, 110, 200, has_succeeded=True)
    late = Reading("item", 101, 110, 200, has_succeeded=True)
    refused = Reading("item", 101, 110, 401, has_succeeded=False)
    assert late_successes(History([under_way, refused], 100)) == []
    assert late_successes(History([under_way, late, refused], 100)) == [late]


@contextmanager
def forgetful_of_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RunningServer]:
    plant(monkeypatch.setattr)
    server = RunningServer(tmp_path)
    yield server
    server.close()


@pytest.mark.parametrize(("way", "reads"), [
    ("the key is revoked", {"item", "list"}),
    ("the user is disabled", {"item", "list"}),
    ("the address is forbidden", {"item", "list"}),
    ("the share is removed", {"item"}),
    ("the group's share is removed", {"item"}),
])  # fmt: skip
def test_a_server_that_remembers_rights_for_a_second_is_found_out(
    way: str, reads: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with forgetful_of_nothing(monkeypatch, tmp_path) as server:
        late = late_successes(run(server, [server.url], WAYS[way]))
    assert {reading.what for reading in late} == reads


@pytest.mark.parametrize(("way", "reads"), [
    ("the key is revoked", {"item", "list", "token"}),
    ("the user is disabled", {"item", "list", "token"}),
    ("the address is forbidden", {"item", "list", "token"}),
    ("the item is deactivated", {"list"}),
])  # fmt: skip
def test_a_server_that_takes_an_opened_row_for_the_stored_one_is_found_out(
    way: str, reads: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def get(rows: OpenedRows, kind: str, row_id: int, row: tuple[object, ...]) -> object:
        known = rows._opened.get((kind, row_id))
        return known[1] if known is not None else None

    monkeypatch.setattr(OpenedRows, "get", get)
    server = RunningServer(tmp_path)
    try:
        late = late_successes(run(server, [server.url], WAYS[way]))
    finally:
        server.close()
    assert {reading.what for reading in late} == reads
