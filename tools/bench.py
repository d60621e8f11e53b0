# SPDX-License-Identifier: Apache-2.0
"""Measure a real server over HTTP: items created, read, updated and listed, files up and down, start-up and memory.

    python tools/bench.py [--quick] [--items N] [--json FILE]

BENCH_SECONDS is the length of each measurement, 4 if unset. Every measurement stands between two of the echo server
(tools/bench_echo.py), so that their ratio means something on any machine and beside any neighbour. Nine rounds of what
has a target in parts of the echo server, three of the rest; the medians are shown.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from bench_files import FileReport, copy_server
from bench_files import measure as measure_files
from bench_load import SCRIPTS, Load, Run, fill, run_wrk
from bench_report import TARGETS, Report, Sample, figure_of, table
from bench_servers import Installation, Server, call, echo_server

API = "/api/mysafe/"
PASSWORDS = API + "password"
CONNECTIONS = 64
LISTED = 200
LONG_LIST = 10_000
FILL_SECONDS = 300.0
FEWER = 3
"""For how many rounds there is one of a call without a target in parts of the echo server."""


class Plan(NamedTuple):
    """How much to measure."""

    seconds: float
    rounds: int
    items: int
    file_mib: int = 500
    file_rounds: int = 5


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
            self._measure_long_lists()
            report.files = self._measure_files()
        finally:
            self._echo.stop()
            self._copy.stop()
            server.stop()
        return report

    def _prepare(self) -> dict[str, Load]:
        """Make users, fill the vault, and return what to ask for."""
        for name in ("pduarte", "filler", "lister", "archivist"):
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
        known = {**secret, "BENCH_IDS_FILE": self._private_file("ids", *identifiers)}
        return {
            "create": Load("post.lua", PASSWORDS, secret),
            "get": Load("get.lua", PASSWORDS, known),
            "update": Load("update.lua", PASSWORDS, {**known, "BENCH_BODY_FILE": SCRIPTS / "update.json"}),
            "create a note": Load("post.lua", API + "note", {**secret, "BENCH_BODY_FILE": SCRIPTS / "note.json"}),
            "create an API secret": Load(
                "post.lua", API + "secretapi", {**secret, "BENCH_BODY_FILE": SCRIPTS / "api_secret.json"}
            ),
            f"list of {LISTED}": Load(
                "list.lua", PASSWORDS, {"BENCH_TOKEN_FILE": self._private_file("lister", lister)}
            ),
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
            due = [name for name in loads if name in TARGETS or number % FEWER == 1]
            for name in due:
                _say(f"round {number} of {self._plan.rounds}: {name}")
                samples[name].append(self._sample(loads[name]))
        report.calls = {name: figure_of(taken) for name, taken in samples.items()}
        report.echo_rate = statistics.median(sample.echo_rate for taken in samples.values() for sample in taken)

    def _measure_long_lists(self) -> None:
        """Let one client list what one user owns, all of it and one item of it. It comes last: it takes memory."""
        token, port = self._vault.token("archivist"), self._vault.server.port
        body = json.loads((SCRIPTS / "password.json").read_bytes())
        count = min(LONG_LIST, self._plan.items)
        _say(f"filling a list of {count}")
        fill(port, token, json.dumps(body).encode(), count - 1, at_most_seconds=FILL_SECONDS)
        fill(port, token, json.dumps({**body, "tags": "needle"}).encode(), 1, at_most_seconds=FILL_SECONDS)
        files = {"BENCH_TOKEN_FILE": self._private_file("archivist", token)}
        for name, path, length in (
            (f"all of {count}", PASSWORDS, count),
            (f"one of {count} by its tag", PASSWORDS + "?tag=needle", 1),
        ):
            _check_list(port, path, token, length)
            runs = [self._drive(self._vault.server, Load("list.lua", path, files), connections=1) for _ in range(3)]
            self._report.lists_p50_ms[name] = statistics.median(run.p50_ms for run in runs)

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
    _check_list(port, PASSWORDS, lister, LISTED)


def _check_list(port: int, path: str, token: str, length: int) -> None:
    status, answer = call(port, "GET", path, token=token)
    lines = answer.get("password_on_list")
    if status != 200 or not isinstance(lines, list) or len(lines) != length:
        raise SystemExit(f"the list {path} of {length} does not work: {status}")


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
    print(table(report))
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return 1 if report.failed else 0


def _seconds() -> float:
    return float(os.environ.get("BENCH_SECONDS", "4"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
