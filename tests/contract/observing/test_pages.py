# SPDX-License-Identifier: Apache-2.0
"""The page about monitoring, the dashboard and the alerts name what there is, all of it and nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.server.limits import REASONS as CONNECTION_REASONS
from mysafe.server.observing.catalogue import BACKUP, CONNECTIONS_REFUSED, HISTOGRAM, METRICS, REFUSED, TOKENS
from mysafe.server.observing.tally import REASONS
from tests.contract.observing.test_access_log import FIELDS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/operate/monitoring.md"
DASHBOARD = ROOT / "deploy/grafana/mysafe.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"

BY_PROMETHEUS: dict[str, tuple[str, ...]] = {"up": ("job", "instance")}
"""What Prometheus itself makes of a target."""

VALUES = {
    (REFUSED.name, "reason"): set(REASONS),
    (CONNECTIONS_REFUSED.name, "reason"): set(CONNECTION_REASONS.values()),
    (TOKENS.name, "outcome"): {"issued", "refused", "throttled"},
    (BACKUP.name, "what"): {"taken", "proved"},
}
"""Labels with a fixed set of values."""


def known() -> dict[str, tuple[str, ...]]:
    """Return every name an expression may use, and the labels it has."""
    names = dict(BY_PROMETHEUS)
    for metric in METRICS:
        labels = (*metric.labels, "job", "instance")
        ends = ("_bucket", "_sum", "_count") if metric.kind == HISTOGRAM else ("",)
        names |= {metric.name + end: (*labels, "le") if end == "_bucket" else labels for end in ends}
    return names


_USE = re.compile(r"\b((?:mysafe|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z]+)(?:=~|!~|!=|=)"([^"]*)"')


def faults_of(expression: str) -> Iterator[str]:
    """Yield what an expression names that is not there. One without any metric is at fault, too."""
    names, uses = known(), _USE.findall(expression)
    if not uses:
        yield f"no metric: {expression}"
    for name, matchers in uses:
        if name not in names:
            yield name
            continue
        for label, value in _MATCHER.findall(matchers):
            if label not in names[name]:
                yield f"{name}{{{label}}}"
            fixed = VALUES.get((name, label))
            if fixed is not None and not set(value.split("|")) <= fixed:
                yield f'{name}{{{label}="{value}"}}'


def expressions_of_the_dashboard() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alerts() -> dict[str, str]:
    """Return the expression of each alert."""
    found = re.findall(
        r"- alert: (\w+)\n +expr: (?:>-\n)?(.*?)\n +(?:for|labels):", ALERTS.read_text(encoding="utf-8"), re.DOTALL
    )
    return dict(found)


def test_the_dashboard_and_the_alerts_name_metrics_that_exist() -> None:
    expressions = [*expressions_of_the_dashboard(), *alerts().values()]
    assert len(expressions) > 45
    assert [fault for expression in expressions for fault in faults_of(expression)] == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(mysafe_request_total[5m])", "mysafe_request_total"),
        ("mysafe_commit_duration_seconds", "mysafe_commit_duration_seconds"),
        ('mysafe_requests_total{code="500"}', "mysafe_requests_total{code}"),
        ('mysafe_tokens_total{outcome=~"refused|lost"}', 'mysafe_tokens_total{outcome="refused|lost"}'),
        ("time()", "no metric: time()"),
    ],
)
def test_what_does_not_exist_is_found_out(expression: str, fault: str) -> None:
    assert list(faults_of(expression)) == [fault]


def test_every_metric_is_on_the_dashboard() -> None:
    text = " ".join(expressions_of_the_dashboard())
    assert {metric.name for metric in METRICS if metric.name not in text} == set()


def test_every_alert_is_read_here_and_explained_on_the_page() -> None:
    assert set(alerts()) == set(re.findall(r"alert: (\w+)", ALERTS.read_text(encoding="utf-8")))
    rows = re.findall(r"^\| (Mysafe[\w, ]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(name for row in rows for name in row.split(", ")) == sorted(alerts())


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_page_has_every_metric_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in METRICS
    ]
    assert re.findall(r"^\| `(?:mysafe|process)_.*$", text, re.MULTILINE) == rows
    assert [row for row in rows if row not in text.replace(rows[3], "")] == [rows[3]], "one that is missing is seen"


def test_the_page_has_every_reason_and_every_field_of_the_log() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for reasons in (REASONS, CONNECTION_REASONS.values()):
        assert [reason for reason in reasons if f"`{reason}`" not in text] == []
    assert [field for field in FIELDS if f"`{field}`" not in text] == []
