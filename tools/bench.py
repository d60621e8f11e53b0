# SPDX-License-Identifier: Apache-2.0
"""Measure a real server over HTTP: creating, reading and listing passwords, files up and down, start-up and memory.

    python tools/bench.py [--quick] [--items N] [--json FILE]

BENCH_SECONDS is the length of each measurement, 4 if unset. Every measurement stands between two of the echo server
(tools/bench_echo.py), so that their ratio means something on any machine and beside any neighbour. Nine rounds; the
medians are shown.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench_files import FileReport, copy_server
from bench_files import measure as measure_files
from bench_load import SCRIPTS, Load, Run, fill, run_wrk
from bench_servers import Installation, Server, call, echo_server

PASSWORDS = "/api/mysafe/password"
CONNECTIONS = 64
LISTED = 200
FILL_SECONDS = 300.0


class Plan(NamedTuple):
    """How much to measure."""

    seconds: float
    rounds: int
    items: int
    file_mib: int = 500
    file_rounds: int = 5


class Target(NamedTuple):
    """What we want to reach: a part of the echo server's rate at least, p99 in milliseconds at most."""

    of_echo: float
    p99_ms: float


TARGETS = {"create": Target(0.25, 60), "get": Target(0.25, 60)}
MOST_MIB = 150
MOST_START_SECONDS = 2.0
"""Of the process with 100,000 items in its vault, and until its first answer."""


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
    files: FileReport = field(default_factory=FileReport)
    failed: int = 0


@dataclass
class Sample:
    """One measurement and the echo server's rate around it."""

    echo_rate: float
    run: Run
    cpu_seconds: float


class Bench:
    """One vault, one echo server, and what is measured with them."""

    def __init__(self, directory: Path, plan: Plan) -> None:
        self._directory = directory
        self._plan = plan
        self._vault = Installation(directory)
        self._echo = echo_server(directory)
        self._copy = copy_server(directory)
        self._echo_load = Load("post.lua", "/", {})
        self._report = Report(_machine(), {name: float(value) for name, value in plan._asdict().items()})

    def run(self) -> Report:
        """Measure everything and return it."""
        report, server = self._report, self._vault.server
        try:
            report.start_empty_s = server.start()
            report.idle_mib = server.memory().now
            self._echo.start()
            loads = self._prepare()
            report.filled_mib = server.memory().now
            server.stop()
            report.start_filled_s = server.start()
            self._measure(loads)
            report.loaded_mib, report.peak_mib = server.memory()
            report.files = self._measure_files()
        finally:
            self._echo.stop()
            self._copy.stop()
            server.stop()
        return report

    def _prepare(self) -> dict[str, Load]:
        """Make users, fill the vault, and return what to ask for."""
        for name in ("pduarte", "filler", "lister"):
            self._vault.command("user", "add", name)
        self._vault.command("group", "add", "Test group", "--member", "pduarte")
        filler, lister = self._vault.token("filler"), self._vault.token("lister")
        port, body = self._vault.server.port, (SCRIPTS / "password.json").read_bytes()
        _say(f"filling the vault with {self._plan.items} items")
        identifiers = fill(port, filler, body, self._plan.items, at_most_seconds=FILL_SECONDS)
        fill(port, lister, body, LISTED, at_most_seconds=FILL_SECONDS)
        self._report.items = len(identifiers)
        _check(port, filler, lister, identifiers[-1])
        secret = {"BENCH_TOKEN_FILE": self._private_file("token", filler)}
        return {
            "create": Load("post.lua", PASSWORDS, secret),
            "get": Load("get.lua", PASSWORDS, {**secret, "BENCH_IDS_FILE": self._private_file("ids", *identifiers)}),
            "list": Load("list.lua", PASSWORDS, {"BENCH_TOKEN_FILE": self._private_file("lister", lister)}),
        }

    def _private_file(self, name: str, *lines: str) -> Path:
        path = self._directory / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path

    def _measure(self, loads: dict[str, Load]) -> None:
        report = self._report
        samples: dict[str, list[Sample]] = {name: [] for name in loads}
        lone = {name: self._drive(self._vault.server, loads[name], connections=1) for name in ("create", "get")}
        report.lone_create_p50_ms, report.lone_get_p50_ms = lone["create"].p50_ms, lone["get"].p50_ms
        for number in range(1, self._plan.rounds + 1):
            for name, load in loads.items():
                _say(f"round {number} of {self._plan.rounds}: {name}")
                samples[name].append(self._sample(load))
        report.calls = {name: _figure(taken) for name, taken in samples.items()}
        report.echo_rate = statistics.median(sample.echo_rate for taken in samples.values() for sample in taken)

    def _measure_files(self) -> FileReport:
        """Measure a large file up and down, with a fresh process, so that its memory shows."""
        server = self._vault.server
        _say(f"a file of {self._plan.file_mib} MiB")
        self._echo.stop()
        server.stop()
        server.start()
        self._copy.start()
        return measure_files(
            server, self._copy, self._vault.token("lister"), self._plan.file_mib, self._plan.file_rounds
        )

    def _sample(self, load: Load) -> Sample:
        half = self._plan.seconds / 2
        echo_before = self._drive(self._echo, self._echo_load, seconds=half)
        before = self._vault.server.cpu_seconds()
        run = self._drive(self._vault.server, load)
        used = self._vault.server.cpu_seconds() - before
        echo_after = self._drive(self._echo, self._echo_load, seconds=half)
        return Sample((echo_before.rate + echo_after.rate) / 2, run, used)

    def _drive(
        self, server: Server, load: Load, *, connections: int = CONNECTIONS, seconds: float | None = None
    ) -> Run:
        run = run_wrk(load, server.port, connections=connections, seconds=seconds or self._plan.seconds)
        self._report.failed += run.failed
        return run


def _check(port: int, filler: str, lister: str, identifier: str) -> None:
    """Refuse to measure a server that does not do the work: answers are looked at once, before only counting them."""
    status, answer = call(port, "GET", f"{PASSWORDS}/{identifier}", token=filler)
    entity = answer.get("password_entity")
    if status != 200 or not isinstance(entity, dict) or entity["password"] != "8jhfy@3789":
        raise SystemExit(f"reading a password does not work: {status}")
    status, answer = call(port, "GET", PASSWORDS, token=lister)
    lines = answer.get("password_on_list")
    if status != 200 or not isinstance(lines, list) or len(lines) != LISTED:
        raise SystemExit(f"the list of {LISTED} does not work: {status}")


def _figure(samples: Sequence[Sample]) -> Figure:
    return Figure(
        rate=statistics.median(sample.run.rate for sample in samples),
        of_echo=statistics.median(sample.run.rate / sample.echo_rate for sample in samples),
        p50_ms=statistics.median(sample.run.p50_ms for sample in samples),
        p99_ms=statistics.median(sample.run.p99_ms for sample in samples),
        cpu_us=statistics.median(sample.cpu_seconds * 1e6 / max(1, sample.run.requests) for sample in samples),
    )


def _machine() -> dict[str, str | int]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _table(report: Report) -> str:
    rows = [f"{'':14}{'req/s':>9}{'of echo':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}   target"]
    rows.append(f"{'echo':14}{report.echo_rate:9,.0f}{1:9.2f}")
    for name, figure in report.calls.items():
        label, numbers = f"list of {LISTED}" if name == "list" else name, f"{figure.rate:9,.0f}{figure.of_echo:9.2f}"
        times = f"{figure.p50_ms:9.1f}{figure.p99_ms:9.1f}{figure.cpu_us:9.0f}"
        rows.append(f"{label:14}{numbers}{times}   {_word(TARGETS.get(name), figure)}".rstrip())
    return "\n".join([*rows, "", *_remarks(report)])


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


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test of about 20 seconds; its figures mean little"
    )
    parser.add_argument("--items", type=int, default=100_000, help="passwords in the vault (default: 100000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here as well")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run the benchmark; the exit status is 1 when a call failed, whatever the figures."""
    given = _arguments(words)
    plan = Plan(1, 1, min(given.items, 2_000), 16, 1) if given.quick else Plan(_seconds(), 9, given.items)
    with tempfile.TemporaryDirectory(prefix="mysafe-bench-") as directory:
        report = Bench(Path(directory), plan).run()
    print(_table(report))
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return 1 if report.failed else 0


def _seconds() -> float:
    return float(os.environ.get("BENCH_SECONDS", "4"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
