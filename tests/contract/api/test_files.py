# SPDX-License-Identifier: Apache-2.0
"""Files: the envelope and verbs of the other kinds, and a content that is streamed (docs/api/files.md)."""

import base64
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mysafe.services import audit_trail
from tests.support.file_client import FILES, RAW, begin_upload, download, entity, fields_header, stored_files, upload
from tests.support.server import RunningServer, authorization

CONTENT = os.urandom(100_000)


def test_a_file_is_made_from_a_form_and_comes_back(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    server.ensure_user("reader")
    with server.client() as client:
        made = client.post(
            FILES,
            headers=authorization(owner),
            data={
                "name": "The plan",
                "tags": " one, two ",
                "notes": "for us",
                "users_allowed": '[{"username": "reader", "can_edit": true}, {"username": "ghost"}]',
            },
            files={"file": ("plan Zoë.pdf", CONTENT, "application/pdf")},
        )
        found = entity(made, 201)
        identifier = found.pop("identifier")
        expected = {
            "name": "The plan",
            "file_name": "plan Zoë.pdf",
            "media_type": "application/pdf",
            "size": 100_000,
            "tags": "one, two",
            "notes": "for us",
            "users_allowed": [{"username": "reader", "can_edit": True}],
            "groups_allowed": [],
        }
        assert found == {**expected, "shared_error": [{"username": "ghost", "message": "User not found"}]}
        assert list(found) == [*expected, "shared_error"]
        assert made.json()["response"]["message"] == "File successfully registered"
        read = client.get(f"{FILES}/{identifier}", headers=authorization(owner))
        assert entity(read) == {"identifier": identifier, **expected}
        listed = client.get(FILES, params={"file_name": "PLAN ZOË.pdf"}, headers=authorization(owner)).json()
    (line,) = listed["file_on_list"]
    assert line == {
        "identifier": identifier,
        "name": "The plan",
        "file_name": "plan Zoë.pdf",
        "size": 100_000,
        "tags": "one, two",
        "need_justify": "0",
        "need_approval": "0",
        "can_view": True,
        "can_write": True,
    }
    assert download(server, owner, identifier).content == CONTENT


def test_a_raw_body_is_the_content_and_its_fields_are_in_a_header(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT, file_name="a.bin", notes="Zoë", tags=["x", "y"])
    with server.client() as client:
        found = entity(client.get(f"{FILES}/{identifier}", headers=authorization(owner)))
    assert (found["name"], found["file_name"], found["notes"]) == ("a.bin", "a.bin", "Zoë")
    assert found["tags"] == "x, y"
    assert download(server, owner, identifier).content == CONTENT


@pytest.mark.parametrize("size", [0, 1, 127, 16_383, 16_384, 16_385, 262_144, 1_000_003])
def test_contents_of_every_size_come_back(server: RunningServer, size: int) -> None:
    owner, content = server.new_token(server.new_actor()), os.urandom(size)
    answer = download(server, owner, upload(server, owner, content))
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, content, str(size))


def test_a_download_is_shown_by_no_browser(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    with server.client() as client:
        found = entity(
            client.post(
                FILES, headers=authorization(owner), files={"file": ('../a/b "Zoë\r\nX: y.html', b"<b>", "text/html")}
            ),
            201,
        )
    headers = download(server, owner, found["identifier"]).headers
    assert headers["Content-Type"] == RAW
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["Content-Disposition"] == (
        "attachment; filename=\".._a_b _Zo___X_ y.html\"; filename*=UTF-8''.._a_b%20%22Zo%C3%AB%0D%0AX%3A%20y.html"
    )
    assert headers.get_list("content-type") == [RAW]


@pytest.fixture(scope="module")
def ranged(server: RunningServer) -> tuple[RunningServer, str, str]:
    owner = server.new_token(server.new_actor())
    return server, owner, upload(server, owner, CONTENT)


@given(st.integers(0, 100_010), st.integers(0, 100_010))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_range_is_a_slice_of_the_content(ranged: tuple[RunningServer, str, str], first: int, last: int) -> None:
    server, owner, identifier = ranged
    answer = download(server, owner, identifier, Range=f"bytes={first}-{last}")
    if first >= len(CONTENT) and last >= first:
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */100000")
        assert answer.json()["response"]["message"] == "Requested range is not satisfiable."
    elif last < first:
        assert (answer.status_code, answer.content) == (200, CONTENT)
    else:
        end = min(last, len(CONTENT) - 1)
        assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
        assert answer.headers["Content-Range"] == f"bytes {first}-{end}/100000"


def test_a_range_outside_of_the_content_is_refused(ranged: tuple[RunningServer, str, str]) -> None:
    server, owner, identifier = ranged
    answer = download(server, owner, identifier, Range="bytes=100000-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */100000")
    assert answer.headers["Content-Type"] == "application/json"


def test_a_download_is_resumed_only_from_the_same_content(ranged: tuple[RunningServer, str, str]) -> None:
    server, owner, identifier = ranged
    tag = download(server, owner, identifier, Range="bytes=0-9").headers["ETag"]
    assert download(server, owner, identifier, **{"Range": "bytes=5-", "If-Range": tag}).content == CONTENT[5:]
    assert download(server, owner, identifier, **{"Range": "bytes=5-", "If-Range": '"other"'}).content == CONTENT


@pytest.mark.parametrize("path", ["/iso/mysafe/file/{}/content", "/api/iso/mysafe/file/{}/content/"])
def test_a_content_is_found_under_the_aliases_too(ranged: tuple[RunningServer, str, str], path: str) -> None:
    server, owner, identifier = ranged
    with server.client() as client:
        assert client.get(path.format(identifier), headers=authorization(owner)).content == CONTENT
        assert client.get(path.format(identifier) + "/x", headers=authorization(owner)).status_code == 404


def test_an_update_changes_fields_or_the_content_or_both(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT, name="first", tags="kept")
    path = f"{FILES}/update/{identifier}"
    with server.client() as client:
        named = entity(client.put(path, headers=authorization(owner), json={"name": "second"}))
        assert (named["name"], named["size"], named["tags"]) == ("second", 100_000, "kept")
        assert download(server, owner, identifier).content == CONTENT
        headers = authorization(owner) | {"Content-Type": RAW}
        replaced = entity(client.put(path, headers=headers, content=b"next"))
        assert (replaced["name"], replaced["file_name"], replaced["size"]) == ("second", "a.bin", 4)
        both = client.post(path, headers=authorization(owner), data={"name": "3"}, files={"file": ("c.txt", b"three")})
        assert both.json()["response"]["message"] == "File successfully updated"
        found = entity(both)
    assert (found["name"], found["file_name"], found["size"], found["tags"]) == ("3", "c.txt", 5, "kept")
    assert download(server, owner, identifier).content == b"three"
    assert both.headers["ETag"] == '"4"'
    assert len(stored_files(server.settings.data)) >= 3  # the versions before keep their contents


def test_a_condition_holds_for_contents_too(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, b"first")
    headers = authorization(owner) | {"Content-Type": RAW}
    with server.client() as client:
        path = f"{FILES}/update/{identifier}"
        assert client.put(path, headers=headers | {"If-Match": '"7"'}, content=b"x").status_code == 412
        assert client.put(path, headers=headers | {"If-Match": '"1"'}, content=b"second").status_code == 200
    assert download(server, owner, identifier).content == b"second"


def test_a_file_is_switched_off_and_on(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT)
    with server.client() as client:
        texts = [
            client.post(f"{FILES}/{verb}/{identifier}", headers=authorization(owner)).json()["response"]["message"]
            for verb in ("inactive", "inactive", "active", "active")
        ]
        assert texts == [
            "File successfully deactivated",
            "File has already been deactivated",
            "File successfully activated",
            "File has already been activated",
        ]
        client.post(f"{FILES}/inactive/{identifier}", headers=authorization(owner))
        for path in (f"{FILES}/{identifier}", f"{FILES}/{identifier}/content"):
            answer = client.get(path, headers=authorization(owner))
            assert (answer.status_code, answer.json()["exception"]["message"]) == (400, "1009: Inactive file")


def refusal(server: RunningServer, token: str, method: str, path: str, **given: object) -> tuple[int, str]:
    with server.client() as client:
        answer = client.request(method, path, headers=authorization(token) | {"Content-Type": RAW}, **given)  # type: ignore[arg-type]
    return answer.status_code, answer.json().get("exception", answer.json())["message"]


def test_who_may_do_what(server: RunningServer) -> None:
    for name in ("viewer-of-files", "editor-of-files", "stranger-to-files"):
        server.ensure_user(name)
    owner, viewer, editor, stranger = (
        server.new_token(name)
        for name in (server.new_actor(), "viewer-of-files", "editor-of-files", "stranger-to-files")
    )
    shares = [{"username": "viewer-of-files"}, {"username": "editor-of-files", "can_edit": True}]
    identifier = upload(server, owner, CONTENT, users_allowed=shares)
    one, content, update = f"{FILES}/{identifier}", f"{FILES}/{identifier}/content", f"{FILES}/update/{identifier}"
    before = len(stored_files(server.settings.data))
    no_access = (400, "1006: User does not have access")
    for method, path in (("GET", one), ("GET", content), ("PUT", update), ("POST", update)):
        assert refusal(server, stranger, method, path, content=b"x") == no_access
    for method in ("PUT", "POST"):
        assert refusal(server, viewer, method, update, content=b"x") == no_access
    assert len(stored_files(server.settings.data)) == before
    assert download(server, viewer, identifier).content == CONTENT
    with server.client() as client:
        headers = authorization(editor) | {"Content-Type": RAW}
        assert client.put(update, headers=headers, content=b"edited").status_code == 200
    assert download(server, viewer, identifier).content == b"edited"
    assert refusal(server, owner, "GET", f"{FILES}/999999/content") == (400, "1005: File not found")
    assert refusal(server, owner, "GET", f"{FILES}/abc/content") == (400, "1010: Unexpected identifier type")
    assert refusal(server, "bad", "GET", content) == (401, "No route matched with those values.")
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        with server.client() as client:
            assert client.request(method, content, headers=authorization(owner)).status_code == 404


def test_the_number_of_another_kind_is_not_a_file(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    note = server.create(owner, "note", {"name": "n", "note": "text"})
    number = str(max(int(note), 1) + 500)
    assert refusal(server, owner, "GET", f"{FILES}/{number}/content") == (400, "1005: File not found")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "1001: Parameter 'file_name' was not informed!"),
        ({"file_name": " "}, "1001: Parameter 'file_name' was not informed!"),
        ({"file_name": "a", "name": ""}, "1001: Parameter 'name' was not informed!"),
        ({"file_name": "a", "name": []}, "1001: Parameter 'name' is invalid!"),
        ({"file_name": "a" * 256}, "1001: Parameter file_name limited to 255 characters"),
        ({"file_name": "a", "notes": "x" * 5001}, "1001: Parameter notes limited to 5000 characters"),
        ({"file_name": "a", "users_allowed": {}}, "1001: Parameter 'users_allowed' is invalid!"),
    ],
)
def test_bad_fields_are_refused_and_nothing_is_kept(
    server: RunningServer, fields: dict[str, object], text: str
) -> None:
    owner = server.new_token(server.new_actor())
    before = stored_files(server.settings.data)
    with server.client() as client:
        headers = authorization(owner) | {"Content-Type": RAW} | fields_header(**fields)
        answer = client.post(FILES, content=CONTENT, headers=headers)
    assert (answer.status_code, answer.json()["exception"]["message"]) == (400, text)
    assert stored_files(server.settings.data) == before


@pytest.mark.parametrize("header", ["%%%", base64.b64encode(b"[1]").decode(), "Zoë", base64.b64encode(b"{").decode()])
def test_a_broken_header_is_refused_before_the_content(server: RunningServer, header: str) -> None:
    owner = server.new_token(server.new_actor())
    with server.client() as client:
        headers = {**authorization(owner), "Content-Type": RAW, "MySafe-Fields": header.encode("latin-1")}
        answer = client.post(FILES, content=CONTENT, headers=headers)  # type: ignore[arg-type]  # bytes are fine
    assert (answer.status_code, answer.json()["exception"]["code"]) == (400, 1001)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_a_file_without_a_content_is_not_made(server: RunningServer, content_type: str | None) -> None:
    owner = server.new_token(server.new_actor())
    with server.client() as client:
        headers = authorization(owner) | ({"Content-Type": content_type} if content_type else {})
        answer = client.post(FILES, content=b'{"name": "x"}', headers=headers)
    assert answer.json()["exception"]["message"] == "1001: Parameter 'file' was not informed!"


def test_uploads_and_downloads_are_recorded(server: RunningServer) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT, file_name="canary-name.bin")
    download(server, owner, identifier)
    refusal(server, server.new_token(server.new_actor()), "GET", f"{FILES}/{identifier}/content")
    rows = [
        (entry.action.value, entry.result.value, entry.record_id, entry.details.name)
        for entry in server.operate(partial(audit_trail.tail, limit=1000))
        if entry.record_kind == "file"
    ][-4:]
    number = int(identifier)
    assert rows == [
        ("item.upload", "allowed", 0, ""),
        ("item.create", "allowed", number, "canary-name.bin"),
        ("item.download", "allowed", number, "canary-name.bin"),
        ("item.download", "denied", number, "canary-name.bin"),
    ]


# -- bounds (R-FILE-07, R-API-03) ----------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RunningServer]:
    running = RunningServer(
        tmp_path, files_max_bytes=200_000, files_user_bytes=400_000, files_total_bytes=700_000, files_free_bytes=0
    )
    yield running
    running.close()


def status_of(server: RunningServer, token: str, size: int, **headers: str) -> tuple[int, str]:
    given = authorization(token) | {"Content-Type": RAW} | fields_header(file_name="a") | headers
    with server.client() as client:
        chunks = (bytes(min(50_000, size - start)) for start in range(0, size, 50_000))
        content: object = chunks if headers.get("Transfer-Encoding") else bytes(size)
        answer = client.post(FILES, content=content, headers=given)  # type: ignore[arg-type]
    return answer.status_code, answer.json()["response"]["message"]


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
def test_a_file_that_is_too_large_is_refused(small: RunningServer, headers: dict[str, str]) -> None:
    owner = small.new_token(small.new_actor())
    for size in (200_001, 300_000, 5_000_000):
        assert status_of(small, owner, size, **headers) == (413, "Request body is too large.")
    assert stored_files(small.settings.data) == []
    assert status_of(small, owner, 200_000, **headers)[0] == 201


def test_what_a_user_and_all_users_may_store_is_bounded(small: RunningServer) -> None:
    one, two = (small.new_token(small.new_actor()) for _ in range(2))
    assert status_of(small, one, 190_000)[0] == 201
    assert status_of(small, one, 190_000)[0] == 201
    assert status_of(small, one, 50_000) == (413, "File quota is used up.")
    assert status_of(small, two, 190_000)[0] == 201
    assert status_of(small, two, 190_000) == (507, "Insufficient storage.")
    assert len(stored_files(small.settings.data)) == 3


def test_a_refused_upload_takes_no_room_from_the_next(small: RunningServer) -> None:
    owner = small.new_token(small.new_actor())
    for _ in range(5):
        assert status_of(small, owner, 190_000, **fields_header(file_name="", name="x"))[0] == 400
    assert status_of(small, owner, 190_000)[0] == 201


def test_without_free_room_nothing_is_taken(tmp_path: Path) -> None:
    running = RunningServer(tmp_path, files_free_bytes=2**50)
    try:
        owner = running.new_token(running.new_actor())
        assert status_of(running, owner, 10) == (507, "Insufficient storage.")
        assert stored_files(running.settings.data) == []
    finally:
        running.close()


def test_an_early_refusal_reaches_a_client_that_sends_on(server: RunningServer) -> None:
    large = bytes(40 * 1024 * 1024)
    assert refusal(server, "bad", "POST", FILES, content=large) == (401, "No route matched with those values.")


def test_a_client_that_asks_first_sends_no_body(server: RunningServer) -> None:
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with begin_upload(address, "bad", 10_000_000, "Expect: 100-continue") as end:
        assert end.recv(100).startswith(b"HTTP/1.1 401 ")
    owner = server.new_token(server.new_actor())
    with begin_upload(address, owner, 5, "Expect: 100-continue") as end:
        assert end.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        end.sendall(b"12345")
        assert end.recv(100).startswith(b"HTTP/1.1 201 ")


def test_too_many_transfers_at_once_are_refused(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = server.new_token(server.new_actor())
    identifier = upload(server, owner, CONTENT)
    monkeypatch.setattr("mysafe.server.api.transfers.TransferPlaces.number", 0)
    assert refusal(server, owner, "POST", FILES, content=CONTENT)[0] == 503
    assert download(server, owner, identifier).status_code == 503


def test_a_slow_upload_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mysafe.server.api.transfers.GRACE_SECONDS", 0)
    running = RunningServer(tmp_path, files_bytes_per_second=2**30)
    try:
        owner = running.new_token(running.new_actor())
        with begin_upload(("127.0.0.1", int(running.url.rpartition(":")[2])), owner, 1_000_000) as end:
            end.sendall(b"x")
            assert end.recv(100).startswith(b"HTTP/1.1 408 ")
        assert stored_files(running.settings.data) == []
    finally:
        running.close()
