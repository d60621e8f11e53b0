# SPDX-License-Identifier: Apache-2.0
"""What tools/bench.py measured: the figures, what they should reach, and how they are shown."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench_files import FileReport
from bench_load import Run


class Target(NamedTuple):
    """What we want to reach: a part of the echo server's rate at least, p99 in milliseconds at most."""

    of_echo: float
    p99_ms: float


TARGETS = {"create": Target(0.25, 60), "get": Target(0.25, 60)}
MOST_LIST_MS = 250
MOST_MIB = 150
MOST_START_SECONDS = 2.0
"""p50 of a list of 10,000; of the process with 100,000 items in its vault; until its first answer."""


@dataclass
class Figure:
    """Medians over the rounds of one kind of call; `of_echo` is its rate as a part of the echo server's."""

    rate: float
    of_echo: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


@dataclass
class Report:
    """Everything that was measured. Seconds, MiB, milliseconds."""

    machine: dict[str, str | int]
    plan: dict[str, float]
    echo_rate: float = 0
    calls: dict[str, Figure] = field(default_factory=dict)
    lone_create_p50_ms: float = 0
    lone_get_p50_ms: float = 0
    start_empty_s: float = 0
    start_filled_s: float = 0
    items: int = 0
    idle_mib: float = 0
    filled_mib: float = 0
    loaded_mib: float = 0
    peak_mib: float = 0
    lists_p50_ms: dict[str, float] = field(default_factory=dict)
    files: FileReport = field(default_factory=FileReport)
    failed: int = 0


@dataclass
class Sample:
    """One measurement and the echo server's rate around it."""

    echo_rate: float
    run: Run
    cpu_seconds: float


def figure_of(samples: Sequence[Sample]) -> Figure:
    """Return the medians of some measurements of one kind of call."""
    return Figure(
        rate=statistics.median(sample.run.rate for sample in samples),
        of_echo=statistics.median(sample.run.rate / sample.echo_rate for sample in samples),
        p50_ms=statistics.median(sample.run.p50_ms for sample in samples),
        p99_ms=statistics.median(sample.run.p99_ms for sample in samples),
        cpu_us=statistics.median(sample.cpu_seconds * 1e6 / max(1, sample.run.requests) for sample in samples),
    )


def table(report: Report) -> str:
    """Return the report for people."""
    rows = [f"{'':22}{'req/s':>9}{'of echo':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}   target"]
    rows.append(f"{'echo':22}{report.echo_rate:9,.0f}{1:9.2f}")
    for name, figure in report.calls.items():
        numbers = f"{figure.rate:9,.0f}{figure.of_echo:9.2f}"
        times = f"{figure.p50_ms:9.1f}{figure.p99_ms:9.1f}{figure.cpu_us:9.0f}"
        rows.append(f"{name:22}{numbers}{times}   {_word(TARGETS.get(name), figure)}".rstrip())
    lists = [
        f"list {name:29} p50 {ms:6.1f} ms   {_met(ms <= MOST_LIST_MS)}: <= {MOST_LIST_MS} ms"
        for name, ms in report.lists_p50_ms.items()
    ]
    return "\n".join([*rows, "", *lists, *_remarks(report)])


def _remarks(report: Report) -> list[str]:
    lone = f"create p50 {report.lone_create_p50_ms:.2f} ms, get p50 {report.lone_get_p50_ms:.2f} ms"
    filled_start = f"{report.start_filled_s:.2f} s with {report.items:,} items"
    filled = f"{report.filled_mib:.0f} MiB after {report.items:,} creations"
    memory = f"{report.idle_mib:.0f} MiB idle, {filled}, after a restart and the load {report.loaded_mib:.0f} MiB"
    return [
        f"a lone client    {lone}",
        f"first answer     {report.start_empty_s:.2f} s after the start of an empty vault, {filled_start}",
        f"                 {_met(report.start_filled_s <= MOST_START_SECONDS)}: <= {MOST_START_SECONDS:.0f} s",
        f"memory           {memory}, at most {report.peak_mib:.0f} MiB",
        f"                 {_met(report.peak_mib <= MOST_MIB)}: <= {MOST_MIB} MiB",
        f"failed calls     {report.failed}",
        *report.files.lines(),
    ]


def _word(target: Target | None, figure: Figure) -> str:
    if target is None:
        return ""
    is_met = figure.of_echo >= target.of_echo and figure.p99_ms <= target.p99_ms
    return f"{_met(is_met)}: >= {target.of_echo} of echo, p99 <= {target.p99_ms:.0f} ms"


def _met(is_met: bool) -> str:  # noqa: FBT001  # a word for a fact
    return "met" if is_met else "missed"
