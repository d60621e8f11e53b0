# SPDX-License-Identifier: Apache-2.0
"""The audit log: one row for every call, before anything is revealed, and never a secret in it."""

from functools import partial

import pytest

from mysafe.audit.events import AuditEntry
from mysafe.crypto.aead import SealBroken
from mysafe.domain.actions import Action
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.domain.secret_text import SecretText
from mysafe.services import audit_trail
from mysafe.services.authentication import Caller, bearer
from mysafe.services.unit_of_work import UnitOfWork
from tests.support.databases import audit_log_blocked, beside
from tests.support.server import RunningServer, authorization

SECRETS = {"password": "canary-password-7", "notes": "canary-notes-7", "secret_key": "CANARYSEEDAA2345"}
BODY = {"name": "canary-name-7", "username": "canary-username-7", **SECRETS}


def entries(server: RunningServer, limit: int = 1000) -> list[AuditEntry]:
    return server.operate(partial(audit_trail.tail, limit=limit))


def results(server: RunningServer, request_id: str) -> list[tuple[str, str, str, int]]:
    return [
        (entry.action.value, entry.result.value, entry.record_kind, entry.record_id)
        for entry in entries(server)
        if entry.request_id == request_id
    ]


def test_every_call_leaves_one_row_allowed_or_refused(server: RunningServer) -> None:
    owner, stranger = (server.new_token(server.new_actor()) for _ in range(2))
    identifier = int(server.create(owner, "password", BODY))
    inactive = int(server.create(owner, "password", BODY))
    server.deactivate(owner, "password", str(inactive))
    with server.client() as client:

        def ask(method: str, path: str, token: str, body: object = None) -> str:
            answer = client.request(method, path, json=body, headers=authorization(token))
            return answer.headers["X-Request-Id"]

        expected = {
            ask("POST", "/api/mysafe/password", owner, BODY): ("item.create", "allowed", "password", inactive + 1),
            ask("GET", f"/api/mysafe/password/{identifier}", owner): ("item.read", "allowed", "password", identifier),
            ask("GET", f"/api/mysafe/password/{identifier}", stranger): ("item.read", "denied", "password", identifier),
            ask("GET", f"/api/mysafe/password/{inactive}", owner): ("item.read", "inactive", "password", inactive),
            ask("GET", "/api/mysafe/password/999999999", owner): ("item.read", "not_found", "password", 999999999),
            ask("GET", "/api/mysafe/password", owner): ("item.list", "allowed", "password", 0),
            ask("POST", "/api/mysafe/password", owner, {}): ("item.create", "invalid", "", 0),
            ask("GET", "/api/mysafe/password/abc", owner): ("item.read", "invalid", "", 0),
        }
    for request_id, row in expected.items():
        assert results(server, request_id) == [row]


def test_a_row_says_who_from_where_and_with_what(server: RunningServer) -> None:
    key = server.new_key(server.new_actor())
    with server.client() as client:
        answer = client.post("/api/oauth2/token", auth=key, data={"grant_type": "client_credentials"})
        token = answer.json()["access_token"]
        read = client.get("/api/mysafe/password/1", headers={**authorization(token), "User-Agent": "backup/1.0"})
    (issued,) = [entry for entry in entries(server) if entry.request_id == answer.headers["X-Request-Id"]]
    (seen,) = [entry for entry in entries(server) if entry.request_id == read.headers["X-Request-Id"]]
    assert (issued.action, issued.result) == ("token.issue", "allowed")
    assert issued.actor_id == seen.actor_id > 0
    assert issued.access_key_id == seen.access_key_id > 0
    assert (seen.details.address, seen.details.agent) == ("127.0.0.1", "backup/1.0")
    assert abs(seen.at_ms / 1000 - server.clock()) < 60


@pytest.mark.parametrize("is_recorded", [True, False])
def test_an_allowed_change_that_is_not_recorded_is_undone(server: RunningServer, is_recorded: bool) -> None:
    token = server.new_token(server.new_actor())
    ref = ItemRef(Kind.PASSWORD, ItemId(int(server.create(token, "password", BODY))))

    def work(uow: UnitOfWork) -> str:
        candidate = uow.find(ref)
        assert candidate is not None
        grant = uow.require(Action.ITEM_UPDATE, candidate)
        if is_recorded:
            uow.keep(grant)
        return "revealed"

    done = server.vault.run(bearer(SecretText(token), Caller("127.0.0.1")), work)
    if is_recorded:
        assert done.result(timeout=20) == "revealed"
    else:
        assert isinstance(done.exception(timeout=20), RuntimeError)
    newest = next(entry for entry in reversed(entries(server)) if entry.record_kind == "password")
    assert (newest.action, newest.record_id) == (Action.ITEM_UPDATE, ref.id)
    assert newest.result == ("allowed" if is_recorded else "failed")


def test_a_condition_that_does_not_hold_is_recorded_as_a_conflict(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    identifier = server.create(token, "password", BODY)
    with server.client() as client:
        headers = {**authorization(token), "If-Match": '"2"'}
        answer = client.put(f"/api/mysafe/password/update/{identifier}", json={"name": "x"}, headers=headers)
    assert answer.status_code == 412
    assert results(server, answer.headers["X-Request-Id"]) == [("item.update", "conflict", "password", int(identifier))]


def test_token_requests_that_are_refused_for_their_form_are_recorded(server: RunningServer) -> None:
    secret = "exposed-secret-canary"
    with server.client() as client:
        exposed = client.post(f"/api/oauth2/token?client_secret={secret}")
        other = client.post("/api/oauth2/token", data={"grant_type": "password"})
    assert (exposed.status_code, other.status_code) == (400, 400)
    assert results(server, exposed.headers["X-Request-Id"]) == [("token.issue", "invalid", "", 0)]
    assert results(server, other.headers["X-Request-Id"]) == [("token.issue", "invalid", "", 0)]
    (row,) = [entry for entry in entries(server) if entry.request_id == exposed.headers["X-Request-Id"]]
    assert row.details.reason == "client_secret exposed in a query string"
    assert row.actor_id == 0


def test_a_wrong_secret_an_unknown_client_and_a_dead_token_are_recorded(server: RunningServer) -> None:
    client_id, secret = server.new_key(server.new_actor())
    token = server.token((client_id, secret))
    server.revoke(client_id)
    with server.client() as client:
        refused = [
            client.post("/api/oauth2/token", auth=(client_id, "wrong"), data={"grant_type": "client_credentials"}),
            client.post("/api/oauth2/token", auth=("unknown", secret), data={"grant_type": "client_credentials"}),
            client.get("/api/mysafe/password", headers=authorization(token)),
        ]
    assert [answer.status_code for answer in refused] == [401, 401, 401]
    for answer in refused:
        assert [row[1] for row in results(server, answer.headers["X-Request-Id"])] == ["unauthenticated"]


def test_a_stranger_with_an_unknown_token_cannot_fill_the_log(server: RunningServer) -> None:
    before = len(entries(server))
    for _ in range(20):
        assert server.read("mst_unknown", "1").status_code == 401
    assert len(entries(server)) == before + 1  # the row of reading the log before


def test_no_secret_is_in_the_log(server: RunningServer) -> None:
    token = server.new_token(server.new_actor())
    identifier = server.create(token, "password", BODY)
    server.read(token, identifier)
    text = repr(entries(server))
    assert "canary-name-7" in text  # the log does name the item
    assert [secret for secret in (*SECRETS.values(), token) if secret in text] == []


def test_what_the_log_says_cannot_be_edited_unnoticed(fresh_server: RunningServer) -> None:
    token = fresh_server.new_token(fresh_server.new_actor())
    fresh_server.read(token, "1")
    assert entries(fresh_server)
    with beside(fresh_server.settings) as connection:
        connection.execute("UPDATE audit SET result = 'allowed' WHERE result = 'not_found'")
        assert connection.changes() == 1
    with pytest.raises(SealBroken):
        entries(fresh_server)


def test_if_the_log_cannot_be_written_nothing_is_revealed_or_changed(fresh_server: RunningServer) -> None:
    token = fresh_server.new_token(fresh_server.new_actor())
    identifier = fresh_server.create(token, "password", BODY)
    with audit_log_blocked(fresh_server.settings), fresh_server.client() as client:
        refused = [
            client.get(f"/api/mysafe/password/{identifier}", headers=authorization(token)),
            client.get("/api/mysafe/password", headers=authorization(token)),
            client.post("/api/mysafe/password", json=BODY, headers=authorization(token)),
        ]
    for answer in refused:
        assert (answer.status_code, "canary" in answer.text) == (503, False)
        assert answer.headers["Retry-After"]
    with fresh_server.client() as client:
        lines = client.get("/api/mysafe/password", headers=authorization(token)).json()["password_on_list"]
    assert [line["identifier"] for line in lines] == [identifier]
