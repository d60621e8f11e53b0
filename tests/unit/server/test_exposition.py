# SPDX-License-Identifier: Apache-2.0
"""Prometheus's text format: what is written can be read, whatever a label holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.histogram import Histogram
from mysafe.server.observing.exposition import Exposition, Metric
from tests.support.watched import parse

PLAIN = Metric("some_total", "counter", "What it means.")
LABELLED = Metric("some_labelled", "gauge", "What it means.", ("one", "other"))
TIMES = Metric("some_seconds", "histogram", "What it means.", ("one",))


def test_a_metric_is_explained_once_and_then_given() -> None:
    out = Exposition()
    out.add(LABELLED, 1, "a", "b")
    out.add(PLAIN, 2.5)
    out.add(LABELLED, 3, "c", 404)
    assert out.text() == (
        "# HELP some_labelled What it means.\n# TYPE some_labelled gauge\n"
        'some_labelled{one="a",other="b"} 1\nsome_labelled{one="c",other="404"} 3\n'
        "# HELP some_total What it means.\n# TYPE some_total counter\nsome_total 2.5\n"
    )


def test_a_histogram_adds_up_to_its_count() -> None:
    histogram = Histogram((0.1, 1, 10))
    for value in (0.05, 0.1, 0.2, 10, 11):
        histogram.add(value)
    out = Exposition()
    out.add_histogram(TIMES, histogram, "x")
    found = {(name, dict(labels).get("le")): value for (name, labels), value in parse(out.text()).items()}
    assert [found["some_seconds_bucket", bound] for bound in ("0.1", "1", "10", "+Inf")] == [2, 3, 4, 5]
    assert found["some_seconds_count", None] == 5
    assert found["some_seconds_sum", None] == pytest.approx(21.35)


@given(st.text(), st.text())
def test_no_label_breaks_the_format(one: str, other: str) -> None:
    out = Exposition()
    out.add(LABELLED, 1, one, other)
    ((name, labels),) = parse(out.text())
    assert name == "some_labelled"
    assert {label for label, _ in labels} == {"one", "other"}


def test_a_label_too_few_is_found_out() -> None:
    with pytest.raises(ValueError, match="zip"):
        Exposition().add(LABELLED, 1, "a")


def test_histograms_of_several_threads_become_one() -> None:
    parts = [Histogram((1, 2)) for _ in range(3)]
    for number, part in enumerate(parts):
        part.add(number)
    whole = Histogram.sum_of((1, 2), parts)
    assert (whole.counts, whole.total) == ([2, 1, 0], 3.0)
