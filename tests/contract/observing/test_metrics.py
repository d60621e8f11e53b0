# SPDX-License-Identifier: Apache-2.0
"""The metrics: who gets them, what they count, and what they never show (docs/operate/monitoring.md)."""

import logging
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mysafe import app
from mysafe.domain.actions import Action
from mysafe.server.observing.catalogue import METRICS
from mysafe.server.observing.scraping import ScrapingRefused
from mysafe.server.observing.seen import Seen
from mysafe.services.audit_trail import tail
from mysafe.services.vault import Vault
from mysafe.watching import Watching
from tests.contract.api.test_certificates import Authority
from tests.support.canaries import Canaries
from tests.support.file_client import download, upload
from tests.support.process import free_port
from tests.support.server import RunningServer, authorization
from tests.support.watched import TOKEN, WatchedServer, metrics_settings, names_of

PASSWORD = {"name": "n", "username": "u", "password": "p"}
ONE = "/api/mysafe/password/{identifier}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedServer]:
    """A server for the tests that look at differences, or at what only they do."""
    server = WatchedServer(tmp_path_factory.mktemp("watched"))
    yield server
    server.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[WatchedServer]:
    server = WatchedServer(tmp_path)
    yield server
    server.close()


# -- who gets them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_without_the_token_there_is_nothing_to_see(watched: WatchedServer, token: str | None) -> None:
    for path in ("/metrics", "/", "/metrics/x", "/api"):
        answer = watched.scrape(token, path)
        assert (answer.status_code, answer.text) == (401, "A token is needed.\n")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "server" not in answer.headers


def test_with_the_token_there_is_one_page(watched: WatchedServer) -> None:
    assert watched.scrape().headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert watched.scrape(path="/").status_code == 404


def test_the_api_shows_no_metrics(watched: WatchedServer) -> None:
    with watched.client() as client:
        assert client.get("/metrics", headers=authorization(TOKEN)).status_code == 404


def test_without_the_setting_nobody_watches(server: RunningServer) -> None:
    gate = app.sealed_gate(server.settings)
    watching = Watching(server.settings, gate)
    assert watching.application is gate
    with watching.shown() as listener:
        assert listener is None


def test_each_worker_has_its_own_port(tmp_path: Path, watched: WatchedServer) -> None:
    port = free_port()
    settings = watched.settings.__class__(
        data=tmp_path,
        **metrics_settings(tmp_path, address=f"127.0.0.1:{port - 1}"),  # type: ignore[arg-type]
    )
    with Watching(settings, watched.gate, worker=1).shown() as listener:
        assert listener is not None
        assert listener.port == port


def test_a_worker_may_listen_while_the_one_it_replaces_still_does(tmp_path: Path, watched: WatchedServer) -> None:
    given = metrics_settings(tmp_path, address=f"127.0.0.1:{free_port()}")
    settings = watched.settings.__class__(data=tmp_path, **given)  # type: ignore[arg-type]
    with Watching(settings, watched.gate, 0).shown() as old, Watching(settings, watched.gate, 0).shown() as new:
        assert old is not None
        assert new is not None
        assert old.port == new.port
    with (
        Watching(settings, watched.gate).shown(),
        pytest.raises(ScrapingRefused),
        Watching(settings, watched.gate).shown(),
    ):
        pass


def test_watching_keeps_no_vault_alive(fresh: WatchedServer) -> None:
    watching = Watching(fresh.settings, fresh.gate)
    vault = Vault(fresh.engine, fresh.vault.keychain)
    watching.opened(vault)
    assert watching._open_vault() is vault
    del vault
    assert watching._open_vault() is None


def test_with_a_certificate_the_metrics_are_encrypted(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    server_pair = authority.issue("server")
    server = WatchedServer(tmp_path, tls_certificate=server_pair.certificate, tls_key=server_pair.key)
    try:
        assert server.listener is not None
        trusting = ssl.create_default_context(cafile=str(authority.file))
        with httpx.Client(verify=trusting, trust_env=False, timeout=20) as client:
            answer = client.get(f"https://127.0.0.1:{server.listener.port}/metrics", headers=authorization(TOKEN))
            assert answer.status_code == 200
            with pytest.raises(httpx.HTTPError):
                client.get(f"http://127.0.0.1:{server.listener.port}/metrics")
    finally:
        server.close()


def test_a_short_token_is_refused(tmp_path: Path, watched: WatchedServer) -> None:
    settings = watched.settings.__class__(
        data=tmp_path,
        **metrics_settings(tmp_path, TOKEN[:15]),  # type: ignore[arg-type]
    )
    with (
        pytest.raises(ScrapingRefused, match="16 characters"),
        Watching(settings, watched.gate).shown(),
    ):
        pass


def test_an_address_that_is_taken_is_refused_with_a_sentence(tmp_path: Path, watched: WatchedServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = watched.settings.__class__(
            data=tmp_path,
            **metrics_settings(tmp_path, address=address),  # type: ignore[arg-type]
        )
        with (
            pytest.raises(ScrapingRefused, match=r"cannot be served on 127\.0\.0\.1 port"),
            Watching(settings, watched.gate).shown(),
        ):
            pass


# -- what they count ---------------------------------------------------------------------------------------------------


def test_every_metric_is_there_and_no_other(fresh: WatchedServer) -> None:
    fresh.backups["taken"] = 1_790_000_000
    fresh.new_token(fresh.new_actor())
    text = fresh.scrape().text
    assert names_of(text) == {metric.name for metric in METRICS}
    assert names_of(text + "# TYPE mysafe_planted gauge\n") - {metric.name for metric in METRICS} == {"mysafe_planted"}


def test_a_request_counts_for_its_route_and_status(watched: WatchedServer) -> None:
    owner = watched.new_token(watched.new_actor())
    labels = {"method": "GET", "route": ONE}
    before = watched.value("mysafe_requests_total", **labels, status="200")
    timed = watched.value("mysafe_request_duration_seconds_count", **labels)
    opened = watched.value("mysafe_secrets_opened_total")
    identifier = watched.create(owner, "password", PASSWORD)
    assert watched.read(owner, identifier).status_code == 200
    assert watched.read(owner, "999999").status_code == 400
    assert watched.value("mysafe_requests_total", **labels, status="200") == before + 1
    assert watched.value("mysafe_request_duration_seconds_count", **labels) == timed + 2
    assert watched.value("mysafe_secrets_opened_total") == opened + 1


def test_what_has_no_route_counts_together(watched: WatchedServer) -> None:
    labels = {"method": "", "route": "other", "status": "404"}
    before = watched.value("mysafe_requests_total", **labels)
    with watched.client() as client:
        for method in ("GET", "DELETE", "PATCH"):
            client.request(method, "/nothing/here")
    assert watched.value("mysafe_requests_total", **labels) == before + 3


def test_tokens_count_by_what_became_of_them(watched: WatchedServer) -> None:
    key = watched.new_key(watched.new_actor())
    issued, refused = (watched.value("mysafe_tokens_total", outcome=word) for word in ("issued", "refused"))
    watched.token(key)
    with watched.client() as client:
        form = {"grant_type": "client_credentials", "client_id": key[0], "client_secret": "wrong"}
        assert client.post("/api/oauth2/token", data=form).status_code == 401
    assert watched.value("mysafe_tokens_total", outcome="issued") == issued + 1
    assert watched.value("mysafe_tokens_total", outcome="refused") == refused + 1


def test_refusals_count_by_their_reason(watched: WatchedServer) -> None:
    owner, stranger = (watched.new_token(watched.new_actor()) for _ in range(2))
    identifier = watched.create(owner, "password", PASSWORD)
    for reason, token, status in (("policy", stranger, 400), ("credential", "x", 401)):
        before = watched.value("mysafe_requests_refused_total", reason=reason)
        assert watched.read(token, identifier).status_code == status
        assert watched.value("mysafe_requests_refused_total", reason=reason) == before + 1
    for reason, fault in (("database", "database-unreachable"), ("fault", "internal-error")):
        before = watched.value("mysafe_requests_refused_total", reason=reason)
        with watched.fault(fault):
            assert watched.read(owner, identifier).status_code >= 500
        assert watched.value("mysafe_requests_refused_total", reason=reason) == before + 1


def test_what_comes_too_often_counts_as_refused(tmp_path: Path) -> None:
    server = WatchedServer(tmp_path, requests_per_second=1, requests_burst=2)
    try:
        owner = server.new_token(server.new_actor())
        assert [server.read(owner, "1").status_code for _ in range(3)][-1] == 429
        assert server.value("mysafe_requests_refused_total", reason="rate") == 2
    finally:
        server.close()


def test_a_sealed_vault_counts_what_it_refuses(fresh: WatchedServer) -> None:
    assert fresh.value("mysafe_vault_open") == 1
    fresh.gate.close(5)
    with fresh.client() as client:
        assert client.get("/api/mysafe/note").status_code == 503
    assert fresh.value("mysafe_vault_open") == 0
    assert fresh.value("mysafe_requests_refused_total", reason="sealed") == 1


def test_contents_of_files_count_up_and_down(watched: WatchedServer) -> None:
    owner = watched.new_token(watched.new_actor())
    sizes = [watched.value("mysafe_transfer_bytes_total", direction=word) for word in ("up", "down")]
    whole = [watched.value("mysafe_transfers_total", direction=word) for word in ("up", "down")]
    identifier = upload(watched, owner, bytes(100_000))
    assert download(watched, owner, identifier).status_code == 200
    assert [watched.value("mysafe_transfer_bytes_total", direction=word) for word in ("up", "down")] == [
        size + 100_000 for size in sizes
    ]
    assert [watched.value("mysafe_transfers_total", direction=word) for word in ("up", "down")] == [
        number + 1 for number in whole
    ]
    assert watched.value("mysafe_file_stored_bytes") >= 100_000


def test_commits_and_audit_rows_count(watched: WatchedServer) -> None:
    owner = watched.new_token(watched.new_actor())
    commits, rows = watched.value("mysafe_commit_group_units_count"), watched.value("mysafe_audit_rows")
    for _ in range(3):
        watched.create(owner, "password", PASSWORD)
    assert watched.value("mysafe_commit_group_units_count") >= commits + 3
    assert watched.value("mysafe_commit_duration_seconds_count") >= commits + 3
    assert watched.value("mysafe_audit_rows") >= rows + 3
    assert watched.value("mysafe_audit_rows") == watched.operate(lambda uow: tail(uow, 1))[0].id


def test_what_never_reached_the_api_counts_as_a_refused_connection(watched: WatchedServer) -> None:
    before = watched.value("mysafe_connections_refused_total", reason="malformed")
    port = int(watched.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as end:
        end.sendall(b"nonsense\r\n\r\n")
        assert end.recv(4096).startswith(b"HTTP/1.1 400")
    assert watched.value("mysafe_connections_refused_total", reason="malformed") == before + 1


def test_a_database_that_does_not_answer_shows_within_the_time(fresh: WatchedServer) -> None:
    assert fresh.value("mysafe_database_up") == 1
    for fault in ("database-unreachable", "deadline-passed"):
        began = time.monotonic()
        with fresh.fault(fault):
            samples = fresh.samples()
        assert samples["mysafe_database_up", frozenset()] == 0
        assert ("mysafe_audit_rows", frozenset[tuple[str, str]]()) not in samples
        assert time.monotonic() - began < 10


def test_the_last_backup_is_shown_once_there_is_one(fresh: WatchedServer) -> None:
    assert not any(name == "mysafe_backup_last_timestamp_seconds" for name, _ in fresh.samples())
    fresh.backups |= {"taken": 1_790_000_000, "proved": 0}
    assert fresh.value("mysafe_backup_last_timestamp_seconds", what="taken") == 1_790_000_000
    assert fresh.value("mysafe_backup_last_timestamp_seconds", what="proved") == 0


def test_the_process_shows_what_it_uses(watched: WatchedServer) -> None:
    samples = {name: value for (name, _), value in watched.samples().items() if name.startswith("process_")}
    assert 10_000_000 < samples["process_resident_memory_bytes"] < 10_000_000_000
    assert 3 < samples["process_open_fds"] < samples["process_max_fds"]
    assert samples["process_cpu_seconds_total"] > 0
    assert abs(time.time() - samples["process_start_time_seconds"]) < 86_400


# -- what they never show, and never cost ------------------------------------------------------------------------------


def test_no_name_no_path_and_no_secret_is_in_them(watched: WatchedServer) -> None:
    canaries = Canaries()
    body = {field: canaries.plant(field) for field in ("name", "username", "password", "notes", "tags")}
    name = canaries.plant("user name")
    watched.ensure_user(name)
    owner = watched.new_token(name)
    canaries.expect_none_of("token", owner)
    identifier = watched.create(owner, "password", body)
    assert watched.read(owner, identifier).json()["password_entity"]["password"] == body["password"]
    with watched.client() as client:
        client.get(f"/{canaries.plant('path')}", headers={**authorization(owner), "X-Request-Id": canaries.plant("id")})
        client.get(f"/api/mysafe/note?tag={canaries.plant('query')}", headers=authorization(owner))
        client.post(
            "/api/oauth2/token", data={"client_id": canaries.plant("client"), "grant_type": "client_credentials"}
        )
    text = watched.scrape().text
    assert canaries.found_in(text.encode()) == set()
    assert canaries.found_in(text.encode() + body["name"].encode()) == {"name"}


def test_a_watcher_that_fails_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    actions: list[Action | None] = []

    def fail(seen: Seen) -> None:
        actions.append(seen.action)
        raise ValueError("with a secret in its text: 8jhfy@3789")

    server = WatchedServer(tmp_path, fail)
    try:
        with caplog.at_level(logging.ERROR, "mysafe.server"):
            owner = server.new_token(server.new_actor())
            assert server.create(owner, "password", PASSWORD)
    finally:
        server.close()
    assert actions == [Action.TOKEN_ISSUE, Action.ITEM_CREATE]
    errors = {record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR}
    assert errors == {"a watcher failed: ValueError"}
    assert "8jhfy" not in caplog.text
