# SPDX-License-Identifier: Apache-2.0
"""Traces for OpenTelemetry: a span for each request, with what its first unit of work waited for below it.

The spans are made when the request is over, from times that were noted meanwhile. So nothing of OpenTelemetry runs
while a request is answered, and nothing of it is imported where traces are off. A span holds the route, the status, the
request id and the kind of an error: no user, no address, no id of an item, nothing that a caller sent (R-LOG-02).
"""

import importlib
import os
from typing import Protocol

from mysafe.server.observing.seen import Seen


class TracesRefused(Exception):
    """Traces cannot be made. The text is one sentence for the operator."""


class Traces(Protocol):
    """What takes finished requests. `hear` is a watcher."""

    def hear(self, seen: Seen) -> None:
        """Make the spans of a request."""

    def close(self) -> None:
        """Send what is left, for a bounded time."""


def open_traces(endpoint: str, ratio: float) -> Traces:
    """Return what sends spans to an OTLP/HTTP endpoint, for that part of the requests. Raises TracesRefused.

    Variables `OTEL_…` are removed from the environment of this process: only our settings count (R-CFG-08).
    """
    _forget_variables()
    try:
        spans = importlib.import_module("mysafe.server.observing.spans")
    except ImportError:
        raise TracesRefused("traces_endpoint needs libraries that are not there: install mysafe[otel]") from None
    opened: Traces = spans.open_spans(endpoint, ratio)
    return opened


def _forget_variables() -> None:
    """Remove the variables of OpenTelemetry from the environment.

    Its exporter adds the headers of the environment to those it is given, and takes certificates, code to load and
    limits from there, some when it is imported: no argument keeps it from that.
    """
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
