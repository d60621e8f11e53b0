# SPDX-License-Identifier: Apache-2.0
"""Traces: a span for each request with its route and status, and nothing that anybody sent."""

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mysafe.server.observing.seen import Seen
from mysafe.server.observing.spans import Spans, open_spans
from mysafe.server.observing.traces import TracesRefused, open_traces
from tests.support.canaries import Canaries
from tests.support.collector import collecting
from tests.support.process import free_port
from tests.support.server import authorization
from tests.support.watched import WatchedServer

PASSWORD = {"name": "n", "username": "u", "password": "p"}


class Traced:
    """A server whose spans are kept here."""

    def __init__(self, directory: Path, ratio: float = 1, **settings: object) -> None:
        self._exporter = InMemorySpanExporter()
        self._spans = Spans(self._exporter, ratio)
        self.server = WatchedServer(directory, self._spans.hear, access_log=True, **settings)

    def close(self) -> None:
        self.server.close()
        self._spans.close()

    def finished(self) -> tuple[ReadableSpan, ...]:
        """End the server and return all spans."""
        self.close()
        return tuple(self._exporter.get_finished_spans())


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    one = Traced(tmp_path)
    yield one
    one.close()


def test_a_request_is_a_span_with_its_waiting_below_it(traced: Traced) -> None:
    owner = traced.server.new_token(traced.server.new_actor())
    before = time.time_ns()
    identifier = traced.server.create(owner, "password", PASSWORD)
    assert traced.server.read(owner, identifier).status_code == 200
    found = {span.name: span for span in traced.finished() if span.parent is None}
    assert set(found) == {
        "POST /api/oauth2/token",
        "POST /api/mysafe/password",
        "GET /api/mysafe/password/{identifier}",
    }
    span = found["POST /api/mysafe/password"]
    assert span.attributes is not None
    assert span.attributes["http.route"] == "/api/mysafe/password"
    assert span.attributes["http.response.status_code"] == 201
    assert span.start_time is not None
    assert abs(span.start_time - before) < 60 * 10**9
    assert span.resource.attributes["service.name"] == "mysafe"


def test_the_parts_of_a_request_follow_each_other_within_it(traced: Traced) -> None:
    owner = traced.server.new_token(traced.server.new_actor())
    traced.server.create(owner, "password", PASSWORD)
    spans = traced.finished()
    (whole,) = (span for span in spans if span.name == "POST /api/mysafe/password")
    parts = [span for span in spans if span.parent is not None and span.parent.span_id == whole.context.span_id]
    assert [part.name for part in parts] == ["queue", "unit", "commit"]
    times = [time for part in parts for time in (part.start_time, part.end_time)]
    assert times == sorted(times, key=lambda at: at or 0)
    assert all(time is not None and whole.start_time <= time <= whole.end_time for time in times)  # type: ignore[operator]


def test_a_fault_is_a_span_of_an_error_without_its_text(traced: Traced) -> None:
    owner = traced.server.new_token(traced.server.new_actor())
    with traced.server.fault("internal-error"):
        assert traced.server.read(owner, "1").status_code == 500
    span = traced.finished()[-1]
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.status.is_ok) == ("RuntimeError", False)
    assert "8jhfy" not in span.to_json()


def test_no_secret_and_no_name_is_in_a_span(traced: Traced) -> None:
    canaries = Canaries()
    name = canaries.plant("user name")
    traced.server.ensure_user(name)
    owner = traced.server.new_token(name)
    canaries.expect_none_of("token", owner)
    body = {field: canaries.plant(field) for field in ("name", "username", "password", "notes", "tags")}
    traced.server.create(owner, "password", body)
    with traced.server.client() as client:
        client.get(f"/{canaries.plant('path')}", headers={**authorization(owner), "X-Request-Id": canaries.plant("id")})
        client.get(f"/api/mysafe/note?tag={canaries.plant('query')}", headers=authorization(owner))
        client.get(f"/api/mysafe/note/{canaries.plant('identifier')}", headers=authorization(owner))
    spans = traced.finished()
    text = "".join(span.to_json() for span in spans)
    assert sum(span.parent is None for span in spans) == 5
    assert canaries.found_in(text.encode()) == set()
    assert canaries.found_in(f"{text}{body['notes']}".encode()) == {"notes"}


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("is_behind_proxy", "parent", "is_taken"),
    [(True, PARENT, True), (False, PARENT, False), (True, "00-nonsense-01", False)],
)
def test_a_trace_goes_on_where_a_trusted_proxy_began_it(
    tmp_path: Path, is_behind_proxy: bool, parent: str, is_taken: bool
) -> None:
    proxies: dict[str, Any] = {"behind_proxy": True, "trusted_proxies": ["127.0.0.1"]} if is_behind_proxy else {}
    traced = Traced(tmp_path, **proxies)
    with traced.server.client() as client:
        client.get("/health/live", headers={"traceparent": parent})
    (span,) = traced.finished()
    assert (f"{span.context.trace_id:032x}" == PARENT.split("-")[1]) is is_taken
    assert (span.parent is not None) is is_taken


def test_of_a_ratio_of_nothing_there_is_no_span(tmp_path: Path) -> None:
    traced = Traced(tmp_path, 0)
    traced.server.new_token(traced.server.new_actor())
    assert traced.finished() == ()


def test_spans_arrive_at_the_endpoint_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, collecting() as other:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "OTEL_EXPORTER_OTLP_ENDPOINT"):
            monkeypatch.setenv(name, other.url)
        server = WatchedServer(tmp_path, traces_endpoint=collector.url)
        server.new_token(server.new_actor())
        server.close()
    assert [path for path, _ in collector.received] == ["/v1/traces"]
    assert b"POST /api/oauth2/token" in collector.received[0][1]
    assert other.received == []


VARIABLES = {
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=planted",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-planted=planted",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/planted.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/nowhere/planted.pem",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/nowhere/planted.pem",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "planted",
    "OTEL_RESOURCE_ATTRIBUTES": "planted=planted",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
}


def test_no_variable_of_the_environment_changes_what_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    with collecting() as collector:
        server = WatchedServer(tmp_path, traces_endpoint=collector.url)
        server.new_token(server.new_actor())
        server.close()
    (head,), ((_, body),) = collector.heads, collector.received
    assert "planted" not in str(head)
    assert head["content-encoding"] is None
    assert b"POST /api/oauth2/token" in body
    assert b"http.route" in body
    assert b"planted" not in body


def test_control_the_exporter_by_itself_takes_headers_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=planted")
    with collecting() as collector:
        spans = open_spans(collector.url, 1)
        seen = Seen(is_followed=True)
        seen.ended = seen.began + 5
        spans.hear(seen)
        spans.close()
    assert collector.heads[0]["authorization"] == "planted"


def test_a_redirection_is_not_followed(tmp_path: Path) -> None:
    with collecting() as other, collecting(307, other.url) as collector:
        server = WatchedServer(tmp_path, traces_endpoint=collector.url)
        server.new_token(server.new_actor())
        server.close()
    assert collector.received
    assert other.received == []


def test_a_collector_that_is_not_there_costs_no_answer_and_not_the_end(
    tmp_path: Path,
) -> None:
    server = WatchedServer(tmp_path, traces_endpoint=f"http://127.0.0.1:{free_port()}/v1/traces")
    owner = server.new_token(server.new_actor())
    assert server.create(owner, "password", PASSWORD)
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 20


def test_without_the_libraries_traces_are_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mysafe.server.observing.spans", None)
    with pytest.raises(TracesRefused, match=r"install mysafe\[otel\]"):
        open_traces("http://127.0.0.1:4318/v1/traces", 1)


def test_nothing_of_opentelemetry_is_loaded_where_traces_are_off() -> None:
    loaded = partial(_loaded_by, "import mysafe.app, mysafe.watching, mysafe.cli.operate")
    assert loaded() == []
    assert "opentelemetry" in _loaded_by("import mysafe.server.observing.spans")


def _loaded_by(statement: str) -> list[str]:
    program = (
        f"import sys; {statement}; print(*(name for name in sys.modules if name in ('opentelemetry', 'requests')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_without_a_request_nothing_is_sent() -> None:
    with collecting() as collector:
        spans = open_spans(collector.url, 1)
        spans.close()
    assert collector.received == []
