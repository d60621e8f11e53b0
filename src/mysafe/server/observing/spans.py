# SPDX-License-Identifier: Apache-2.0
"""Make spans of finished requests and send them, with OpenTelemetry. Imported only where traces are on."""

import threading
import time

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mysafe import __version__
from mysafe.server.observing.seen import Seen

SECONDS = 5
"""How long the collector may take to answer; spans it does not take in time are lost."""

ENDING_SECONDS = 2
"""How long the end of the server waits for it."""

MOST_WAITING = 4096
"""Spans that wait to be sent; further ones are lost. A slow collector costs memory, but not much."""

_PARENTS = TraceContextTextMapPropagator()


class Spans:
    """Make spans of what is heard. `hear` is a watcher.

    Args:
        exporter: sends them, from a thread of its own.
        ratio: the part of requests that gets spans.
    """

    def __init__(self, exporter: SpanExporter, ratio: float) -> None:
        # Neither resource nor sampler is taken from the environment, whose variables are gone (see traces.py).
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource({"service.name": "mysafe", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING))
        self._tracer = self._provider.get_tracer("mysafe", __version__)

    def hear(self, seen: Seen) -> None:
        """Make the spans of a request."""
        route = seen.path or "other"
        # Requests are timed by a clock that never goes back; spans want the time of day.
        offset = time.time_ns() - time.perf_counter_ns()
        attributes: dict[str, str | int] = {
            "http.request.method": seen.method or "_OTHER",
            "http.route": route,
            "http.response.status_code": seen.status,
            "http.response.body.size": seen.body_bytes,
            "mysafe.request_id": seen.request_id,
        }
        if seen.error is not None:
            attributes["error.type"] = seen.error.__name__
        parent = _PARENTS.extract({"traceparent": seen.trace_parent}) if seen.trace_parent else None
        span = self._tracer.start_span(
            f"{seen.method} {route}".strip(),
            parent,
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=seen.began + offset,
        )
        if span.is_recording():
            if seen.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            context = set_span_in_context(span)
            for name, began, ended in _parts(seen):
                part = self._tracer.start_span(name, context, start_time=began + offset)
                part.end(ended + offset)
        span.end(seen.ended + offset)

    def close(self) -> None:
        """Send what is left, for at most ENDING_SECONDS."""
        # The library would wait half a minute for a collector that does not answer.
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(ENDING_SECONDS)


def _parts(seen: Seen) -> list[tuple[str, int, int]]:
    """Return name, beginning and end of what a request waited for, as far as it came."""
    times = (
        ("queue", seen.unit_asked, seen.unit_began),
        ("unit", seen.unit_began, seen.unit_done),
        ("commit", seen.unit_done, seen.unit_settled),
    )
    return [part for part in times if 0 < part[1] <= part[2]]


def open_spans(endpoint: str, ratio: float) -> Spans:
    """Return what sends spans to an OTLP/HTTP endpoint. To be called by `open_traces`, which clears the environment."""
    session = requests.Session()
    # No proxy and no .netrc of the environment, and no redirection: nothing goes elsewhere (R-CFG-09).
    session.trust_env, session.max_redirects = False, 0
    return Spans(OTLPSpanExporter(endpoint, timeout=SECONDS, session=session), ratio)
