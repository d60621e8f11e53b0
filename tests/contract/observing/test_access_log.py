# SPDX-License-Identifier: Apache-2.0
"""The access log: one line of JSON for each request, with facts of ours and nothing a caller wrote."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mysafe.server.logs import JsonLines
from mysafe.services import audit_trail
from tests.support.canaries import Canaries
from tests.support.server import RunningServer, authorization
from tests.support.watched import WatchedServer

FIELDS = ["at", "level", "logger", "message", "request_id", "method", "route", "status", "ms", "bytes", "user", "key"]
FIELDS += ["address"]


class Lines(logging.Handler):
    """Keep what would be written, as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("mysafe")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def logged(tmp_path: Path, lines: Lines) -> Iterator[WatchedServer]:
    server = WatchedServer(tmp_path, access_log=True, behind_proxy=True, trusted_proxies=["127.0.0.1"])
    yield server
    server.close()


def access(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in lines.read() if line["logger"] == "mysafe.access"]


def test_each_request_is_one_line_that_says_who_asked_for_what(logged: WatchedServer, lines: Lines) -> None:
    owner = logged.new_token(logged.new_actor())
    identifier = logged.create(owner, "password", {"name": "n", "username": "u", "password": "p"})
    with logged.client() as client:
        headers = {**authorization(owner), "X-Forwarded-For": "192.0.2.7", "X-Request-Id": "proxy-0001"}
        answer = client.get(f"/api/mysafe/password/{identifier}", headers=headers)
    made, read = access(lines)[-2:]
    assert list(read) == FIELDS
    assert (made["status"], made["route"]) == (201, "/api/mysafe/password")
    assert made["request_id"] != read["request_id"]
    entry = logged.operate(lambda uow: audit_trail.tail(uow, 1))[0]
    assert (read["user"], read["key"], read["request_id"]) == (entry.actor_id, entry.access_key_id, entry.request_id)
    assert read["user"] > 0
    assert read["key"] > 0
    assert (read["method"], read["route"], read["status"]) == ("GET", "/api/mysafe/password/{identifier}", 200)
    assert (read["bytes"], read["address"], read["request_id"]) == (len(answer.content), "192.0.2.7", "proxy-0001")
    assert answer.headers["x-request-id"] == "proxy-0001"
    assert 0 < read["ms"] < 20_000
    assert read["at"].endswith("+00:00")


def test_a_request_without_a_good_token_names_nobody(logged: WatchedServer, lines: Lines) -> None:
    assert logged.read("x", "1").status_code == 401
    (line,) = access(lines)
    assert (line["status"], line["user"], line["key"]) == (401, 0, 0)


def test_health_and_unknown_paths_are_lines_too(logged: WatchedServer, lines: Lines) -> None:
    with logged.client() as client:
        client.get("/health/live")
        client.get("/nothing")
    assert [(line["route"], line["status"]) for line in access(lines)] == [("/health/live", 200), ("other", 404)]


def test_nothing_a_caller_wrote_is_in_a_line(logged: WatchedServer, lines: Lines) -> None:
    canaries = Canaries()
    name = canaries.plant("user name")
    logged.ensure_user(name)
    owner = logged.new_token(name)
    canaries.expect_none_of("token", owner)
    body = {field: canaries.plant(field) for field in ("name", "username", "password", "notes", "tags")}
    assert logged.create(owner, "password", body)
    with logged.client() as client:
        for header in ("User-Agent", "Referer", "X-Request-Id", "Cookie"):
            client.get(
                f"/{canaries.plant('path')}", headers={**authorization(owner), header: canaries.plant(header)[:7]}
            )
        client.get(f"/api/mysafe/note?tag={canaries.plant('query')}", headers=authorization(owner))
        client.get(f"/api/mysafe/note/{canaries.plant('id')}", headers=authorization(owner))
        client.post("/api/oauth2/token?client_secret=" + canaries.plant("secret in a query"))
        client.get("/api/oauth2/token", headers={"Authorization": "Bearer " + canaries.plant("credential")})
    assert len(access(lines)) == 10
    text = "\n".join(lines.texts)
    assert canaries.found_in(text.encode()) == set()
    assert canaries.found_in(f"{text}{body['notes']}".encode()) == {"notes"}


def test_without_the_setting_there_is_no_line(server: RunningServer, lines: Lines) -> None:
    server.new_token(server.new_actor())
    assert access(lines) == []
