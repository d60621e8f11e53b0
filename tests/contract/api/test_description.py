# SPDX-License-Identifier: Apache-2.0
"""`/api/openapi.json` and `/api/docs`: for callers with a token, or for everybody if the settings say so."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.audit.events import AuditEntry
from mysafe.server.api.description import document
from mysafe.server.routes import OPEN_OPERATIONS, OPERATIONS
from mysafe.services.unit_of_work import UnitOfWork
from tests.support.server import RunningServer, authorization

PATHS = ("/api/openapi.json", "/api/docs")


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose description is public."""
    running = RunningServer(tmp_path_factory.mktemp("open"), public_api_description=True)
    yield running
    running.close()


def entries(server: RunningServer) -> list[AuditEntry]:
    def newest(uow: UnitOfWork) -> list[AuditEntry]:
        return uow.registry.newest_entries(20)

    return [entry for entry in server.operate(newest) if entry.actor_id > 0 or entry.action == "description.read"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, authorization("mst_wrong"), {"Authorization": "Basic eDp5"}])
def test_without_a_token_there_is_no_description(path: str, headers: dict[str, str], server: RunningServer) -> None:
    with server.client() as client:
        answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"message": "No route matched with those values."})
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_program_reads_the_description_of_the_routes_that_are_served(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    with server.client() as client:
        answer = client.get("/api/openapi.json", headers=authorization(token))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == document.as_json(document.describe(OPERATIONS))


def test_the_page_may_load_nothing_but_its_own_style(server: RunningServer) -> None:
    with server.client() as client:
        answer = client.get("/iso/docs/", headers=authorization(server.new_token(server.new_actor())))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    (style,) = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:3] == ["default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_reading_it_is_recorded(path: str, fresh_server: RunningServer) -> None:
    token = fresh_server.new_token(fresh_server.new_actor())
    with fresh_server.client() as client:
        client.get(path, headers=authorization(token))
    assert [(entry.action.value, entry.result.value) for entry in entries(fresh_server)][-1:] == [
        ("description.read", "allowed")
    ]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, authorization("mst_wrong")])
def test_a_public_description_needs_no_token(path: str, headers: dict[str, str], open_server: RunningServer) -> None:
    with open_server.client() as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    assert "list_passwords" in answer.text
    assert entries(open_server) == []  # nobody acted


def test_a_public_description_opens_nothing_else(open_server: RunningServer) -> None:
    with open_server.client() as client:
        described = client.get("/api/openapi.json").json()
        statuses = {
            path: client.get(re.sub(r"{\w+}", "1", path)).status_code
            for path, part in described["paths"].items()
            if "get" in part and part["get"].get("security") != [] and path != "/api/oauth2/token"
        }
    assert len(statuses) > 6
    assert set(statuses.values()) == {401}
    assert described == json.loads(json.dumps(document.describe(OPEN_OPERATIONS)))


def test_the_description_knows_the_switches_of_its_server(tmp_path: Path) -> None:
    switches = {"notes_max_characters": 5000, "compat_unauthenticated_status": 404, "compat_mensagem": True}
    server = RunningServer(tmp_path, public_api_description=True, **switches)
    try:
        with server.client() as client:
            described = client.get("/api/openapi.json").json()
    finally:
        server.close()
    assert described["components"]["schemas"]["NoteDraft"]["properties"]["note"]["maxLength"] == 5000
    assert "401" not in described["paths"]["/api/mysafe/note"]["get"]["responses"]
    example = described["components"]["examples"]["BadBody"]["value"]
    assert example["response"]["mensagem"] == example["response"]["message"]


@pytest.mark.parametrize(("fault", "status"), [("internal-error", 500), ("database-unreachable", 502)])
def test_its_faults_are_the_documented_ones(fault: str, status: int, server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    with server.fault(fault), server.client() as client:
        answer = client.get("/api/docs", headers=authorization(token))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert "8jhfy" not in answer.text
