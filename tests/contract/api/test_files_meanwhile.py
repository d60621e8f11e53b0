# SPDX-License-Identifier: Apache-2.0
"""What happens while a file arrives counts: the right to store it is looked at again when it is complete."""

import http.client
import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mysafe.domain.errors import StoreFull
from mysafe.domain.files import Ticket
from mysafe.services.authentication import local_operator
from mysafe.services.background.rounds import Rounds
from mysafe.services.files.collector import AGE_SECONDS, Collector, collect
from mysafe.services.files.shelf import Shelf
from mysafe.services.files.uploads import discard
from mysafe.services.vault import LOCAL
from mysafe.storage.blobs.directory import DirectoryStore
from mysafe.storage.engine import Alone
from tests.support.file_client import FILES, RAW, begin_upload, download, stored_files, upload
from tests.support.server import RunningServer, authorization

SIZE = 400_000


def upload_with(
    server: RunningServer, token: str, meanwhile: Callable[[], object], path: str = FILES, *headers: str
) -> tuple[int, str]:
    """Send half of a file, do something else, send the rest; return status and text of the answer."""
    before = len(stored_files(server.settings.data))
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with begin_upload(address, token, SIZE, *headers, path=path) as end:
        end.sendall(os.urandom(SIZE // 2))
        until = time.monotonic() + 20
        while len(stored_files(server.settings.data)) == before:
            assert time.monotonic() < until, "the server stores nothing"
            time.sleep(0.01)
        meanwhile()
        end.sendall(os.urandom(SIZE // 2))
        answer = http.client.HTTPResponse(end)
        answer.begin()
        body = json.loads(answer.read())
    return answer.status, body.get("message") or body["response"]["message"]


def test_an_undisturbed_upload_is_stored(fresh_server: RunningServer) -> None:
    owner = fresh_server.new_token(fresh_server.new_actor())
    assert upload_with(fresh_server, owner, lambda: None) == (201, "File successfully registered")


def test_a_token_that_dies_meanwhile_stores_nothing(fresh_server: RunningServer) -> None:
    name = fresh_server.new_actor()
    owner = fresh_server.new_token(name)
    end_it = partial(fresh_server.set_user_active, name, is_active=False)
    assert upload_with(fresh_server, owner, end_it) == (401, "No route matched with those values.")
    assert stored_files(fresh_server.settings.data) == []


def test_a_right_that_is_taken_meanwhile_changes_nothing(fresh_server: RunningServer) -> None:
    fresh_server.ensure_user("editor")
    owner, editor = (fresh_server.new_token(name) for name in (fresh_server.new_actor(), "editor"))
    share = [{"username": "editor", "can_edit": True}]
    identifier = upload(fresh_server, owner, b"first", users_allowed=share)

    def unshare() -> None:
        with fresh_server.client() as client:
            path = f"{FILES}/update/{identifier}"
            assert client.put(path, headers=authorization(owner), json={"users_allowed": []}).status_code == 200

    refused = upload_with(fresh_server, editor, unshare, f"{FILES}/update/{identifier}")
    assert refused == (400, "1006: User does not have access")
    assert download(fresh_server, owner, identifier).content == b"first"
    assert len(stored_files(fresh_server.settings.data)) == 1


def test_a_version_that_changes_meanwhile_fails_the_condition(fresh_server: RunningServer) -> None:
    owner = fresh_server.new_token(fresh_server.new_actor())
    identifier = upload(fresh_server, owner, b"first")
    path = f"{FILES}/update/{identifier}"

    def rename() -> None:
        with fresh_server.client() as client:
            client.put(path, headers=authorization(owner), json={"name": "other"})

    assert upload_with(fresh_server, owner, rename, path, 'If-Match: "1"')[0] == 412
    assert download(fresh_server, owner, identifier).content == b"first"


def shelf_of(server: RunningServer) -> Shelf:
    return Shelf(server.vault.keys.vault_id, DirectoryStore(server.settings.data / "blobs"))


def test_a_content_that_is_collected_meanwhile_makes_no_file(fresh_server: RunningServer) -> None:
    owner = fresh_server.new_token(fresh_server.new_actor())
    steal = partial(collect, fresh_server.vault, shelf_of(fresh_server), age_seconds=-1)
    assert upload_with(fresh_server, owner, steal)[0] == 503
    assert stored_files(fresh_server.settings.data) == []
    with fresh_server.client() as client:
        assert client.get(FILES, headers=authorization(owner)).json()["file_on_list"] == []


def test_what_is_kept_or_young_is_not_collected(fresh_server: RunningServer) -> None:
    owner = fresh_server.new_token(fresh_server.new_actor())
    identifier = upload(fresh_server, owner, b"kept")
    (blob,) = stored_files(fresh_server.settings.data)
    shelf = shelf_of(fresh_server)
    collected: list[int] = []

    def try_to_collect() -> None:
        collected.append(collect(fresh_server.vault, shelf))

    assert upload_with(fresh_server, owner, try_to_collect)[0] == 201
    assert collected == [0]
    assert collect(fresh_server.vault, shelf, age_seconds=-1) == 0
    assert not discard(fresh_server.vault, shelf, blob.name)
    assert download(fresh_server, owner, identifier).content == b"kept"


def test_the_collector_goes_on_when_the_database_does_not(
    fresh_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    with fresh_server.fault("database-unreachable"):
        Collector(fresh_server.vault, shelf_of(fresh_server)).begin_alone()
    assert "interrupted uploads cannot be removed now: DatabaseUnreachable" in caplog.text


def test_what_cannot_be_removed_at_once_is_collected_later(fresh_server: RunningServer) -> None:
    owner = fresh_server.new_token(fresh_server.new_actor())
    with ExitStack() as faults:
        broken = partial(faults.enter_context, fresh_server.fault("database-unreachable"))
        assert upload_with(fresh_server, owner, broken)[0] == 502
    fresh_server.clock.offset += AGE_SECONDS + 1
    Collector(fresh_server.vault, shelf_of(fresh_server)).run()
    assert fresh_server.operate(lambda uow: uow.registry.blobs.left_over(2**60)) == []
    assert stored_files(fresh_server.settings.data) == []


def test_the_collector_looks_again_and_again(fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mysafe.services.files.collector.EVERY_SECONDS", 0.01)
    collector = Rounds(Alone(), [Collector(fresh_server.vault, shelf_of(fresh_server))])
    fresh_server.operate(lambda uow: uow.registry.blobs.begin("ab" * 16, 1, 10))
    fresh_server.clock.offset += AGE_SECONDS + 1
    until = time.monotonic() + 20
    while fresh_server.operate(lambda uow: uow.registry.blobs.left_over(2**60)):
        assert time.monotonic() < until, "nothing is collected"
        time.sleep(0.01)
    collector.close()


@pytest.mark.parametrize(
    ("bounds", "answer"),
    [
        ({"files_user_bytes": 740_000}, (413, "File quota is used up.")),
        ({"files_total_bytes": 740_000}, (507, "Insufficient storage.")),
    ],
)
def test_two_uploads_at_once_do_not_pass_a_bound_that_each_keeps(
    tmp_path: Path, bounds: dict[str, int], answer: tuple[int, str]
) -> None:
    server = RunningServer(tmp_path, files_free_bytes=0, **bounds)
    try:
        owner = server.new_token(server.new_actor())
        others: list[tuple[int, str]] = []
        late = upload_with(server, owner, lambda: others.append(upload_with(server, owner, lambda: None)))
        assert others[0][0] == 201
        assert late == answer
        assert len(stored_files(server.settings.data)) == 1
    finally:
        server.close()


def test_a_disk_that_fills_up_ends_an_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mysafe.services.files.shelf._LOOK_EVERY_BYTES", 100_000)
    store = DirectoryStore(tmp_path)
    filling = Shelf(bytes(16), store, free_bytes=1000).fill(Ticket("ab" * 16, 10**6, StoreFull()))
    filling.write(filling.seal([bytes(150_000)]))
    monkeypatch.setattr(DirectoryStore, "free_bytes", lambda self: 999)
    with pytest.raises(StoreFull):
        filling.write(filling.seal([bytes(150_000)]))
    filling.abort()


def unheard(server: RunningServer, number: int) -> None:
    """Let nobody hear of the end of a unit of an upload: the first one gives leave, the second one makes the item."""
    real, made = server.engine.engine.enqueue, 0

    def enqueue(unit: Any) -> None:
        nonlocal made
        if getattr(unit, "_origin", LOCAL).action == "item.create":
            made += 1
            if made == number:
                unit._settle = lambda value, error: None
        real(unit)

    server.engine.engine.enqueue = enqueue  # type: ignore[method-assign]  # only for this test


def upload_late(server: RunningServer, token: str) -> int:
    headers = authorization(token) | {"Content-Type": RAW, "MySafe-Fields": "eyJmaWxlX25hbWUiOiJhIn0="}
    with server.client() as client:
        return client.post(FILES, headers=headers, content=b"content").status_code


def test_an_unknown_outcome_at_the_end_keeps_what_was_kept(tmp_path: Path) -> None:
    """The answer is late, but the file was made: its bytes must not be taken for those of a failed upload."""
    server = RunningServer(tmp_path, request_seconds=2)
    try:
        owner = server.new_token(server.new_actor())
        unheard(server, 2)
        assert upload_late(server, owner) == 504
        with server.client() as client:
            (line,) = client.get(FILES, headers=authorization(owner)).json()["file_on_list"]
        assert download(server, owner, line["identifier"]).content == b"content"
    finally:
        server.close()


def test_an_unknown_outcome_at_the_beginning_sets_no_room_aside(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, request_seconds=2)
    try:
        owner = server.new_token(server.new_actor())
        unheard(server, 1)
        assert upload_late(server, owner) == 504
        left = server.vault.run(local_operator, lambda uow: uow.registry.blobs.left_over(2**40)).result()
        assert left == []
    finally:
        server.close()
