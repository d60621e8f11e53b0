# SPDX-License-Identifier: Apache-2.0
"""Write metrics as Prometheus reads them: its text format, version 0.0.4."""

from typing import NamedTuple

from mysafe.domain.histogram import Histogram

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """A metric: its name, what Prometheus calls its kind, what it means, and the names of its labels."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


class Exposition:
    """Collect the values of metrics, and put them together to a text."""

    def __init__(self) -> None:
        self._lines: dict[Metric, list[str]] = {}

    def add(self, metric: Metric, value: float, *labels: object) -> None:
        """Give a value, with one value for each label."""
        self._of(metric).append(f"{metric.name}{_labels(metric.labels, labels)} {_number(value)}")

    def add_histogram(self, metric: Metric, histogram: Histogram, *labels: object) -> None:
        """Give all values of a histogram."""
        lines, reached = self._of(metric), 0
        names = (*metric.labels, "le")
        bounds = [_number(bound) for bound in histogram.bounds]
        for bound, count in zip([*bounds, "+Inf"], list(histogram.counts), strict=True):
            reached += count
            lines.append(f"{metric.name}_bucket{_labels(names, (*labels, bound))} {reached}")
        lines.append(f"{metric.name}_sum{_labels(metric.labels, labels)} {_number(histogram.total)}")
        lines.append(f"{metric.name}_count{_labels(metric.labels, labels)} {reached}")

    def text(self) -> str:
        """Return the text."""
        return "".join(
            f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} {metric.kind}\n" + "\n".join(lines) + "\n"
            for metric, lines in self._lines.items()
        )

    def _of(self, metric: Metric) -> list[str]:
        return self._lines.setdefault(metric, [])


def _labels(names: tuple[str, ...], values: tuple[object, ...]) -> str:
    pairs = ",".join(f'{name}="{_escaped(str(value))}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
