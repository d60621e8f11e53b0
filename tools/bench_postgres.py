# SPDX-License-Identifier: Apache-2.0
"""Measure a real server on PostgreSQL beside the bare driver, which sends the same statements in the same round trips.

    python tools/bench_postgres.py [--quick] [--items N] [--rounds N] [--connections N] [--json FILE]

BENCH_SECONDS is the length of each measurement, 4 if unset. The cluster is private (tools/private_postgres.py) and as
durable as the product wants it. The statements are those that a server sends for one request of one client, written
down by tools/bench_recorder.py. Every measurement of the product stands between two of the bare driver, which has a
thread for each client that sends one transaction after the other, on a connection of its own, and as many connections
as the product may have at most (tools/bench_bare.py). The product serves 1, 8 and 64 clients: one of them waits for
every round trip as the bare driver does; many of them share transactions, which the bare driver does not.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench_bare import Asked, Bare, Transaction, ids_among, ids_from, lines_after, read_transactions
from bench_load import SCRIPTS, Load, Run, fill, run_wrk
from bench_servers import Installation, call
from private_postgres import Cluster, private_cluster

PASSWORDS = "/api/mysafe/password"
CLIENTS = (1, 8, 64)
LEAST_OF_BARE = 0.5
FILL_SECONDS = 300.0
FIRST_NEW_ID = 10**12
"""Where the ids of the bare driver begin: far above those of the product."""


class Plan(NamedTuple):
    """How much to measure."""

    seconds: float
    rounds: int
    items: int
    connections: int


class Recorded(NamedTuple):
    """What a call asks of the database, and which item the recorded one was about."""

    transaction: Transaction
    known: int


class Sample(NamedTuple):
    """One measurement, and the bare driver's rate around it. CPU in seconds, of the server's process."""

    run: Run
    bare_rate: float
    cpu_seconds: float


@dataclass
class Figure:
    """Medians over the rounds of one kind of call."""

    rate: float
    bare_rate: float
    of_bare: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    round_trips: int
    statements: int


@dataclass
class Report:
    """Everything that was measured."""

    plan: dict[str, float]
    server: str
    calls: dict[str, Figure] = field(default_factory=dict)
    failed: int = 0


class Bench:
    """One vault on a cluster, and what is measured with it."""

    def __init__(self, directory: Path, cluster: Cluster, plan: Plan) -> None:
        self._directory = directory
        self._cluster = cluster
        self._plan = plan
        number = str(plan.connections)
        settings = {"MYSAFE_DATABASE": cluster.address, "MYSAFE_DATABASE_CONNECTIONS": number}
        self._vault = Installation(directory, settings)
        self._report = Report({name: float(value) for name, value in plan._asdict().items()}, cluster.version)

    def run(self) -> Report:
        """Measure everything and return it."""
        for name in ("pduarte", "filler"):
            self._vault.command("user", "add", name)
        self._vault.command("group", "add", "Test group", "--member", "pduarte")
        server = self._vault.server
        server.start()
        try:
            token = self._vault.token("filler")
            identifiers = self._filled(server.port, token)
            server.stop()
            recorded, session = self._record(token, identifiers[-1])
            server.start()
            self._measure(token, identifiers, recorded, session)
        finally:
            server.stop()
        return self._report

    def _filled(self, port: int, token: str) -> list[str]:
        _say(f"filling the vault with {self._plan.items} items")
        body = (SCRIPTS / "password.json").read_bytes()
        return fill(port, token, body, self._plan.items, at_most_seconds=FILL_SECONDS)

    def _record(self, token: str, known: str) -> tuple[dict[str, Recorded], Asked]:
        """Return what a create and a get ask of the database, and how a connection is prepared."""
        file = self._directory / "recorded"
        server = self._vault.recorder(file)
        server.start()
        try:
            body = json.loads((SCRIPTS / "password.json").read_bytes())
            recorded = {}
            for _ in range(3):  # the first ones still learn what is read together, and take a block of ids
                place = file.stat().st_size
                created = call(server.port, "POST", PASSWORDS, body, token)
                recorded["create"] = Recorded(_only(file, place), _identifier(*created, 201))
                place = file.stat().st_size
                got = call(server.port, "GET", f"{PASSWORDS}/{known}", token=token)
                recorded["get"] = Recorded(_only(file, place), _identifier(*got, 200))
        finally:
            server.stop()
        sessions = [line for line in lines_after(file, 0) if "set_config" in line]
        text = json.loads(sessions[0])[1][0][0]
        return recorded, Asked(text.encode(), ())

    def _measure(self, token: str, identifiers: list[str], recorded: dict[str, Recorded], session: Asked) -> None:
        secret = {"BENCH_TOKEN_FILE": self._private_file("token", token)}
        ids = {**secret, "BENCH_IDS_FILE": self._private_file("ids", *identifiers)}
        loads = {"create": Load("post.lua", PASSWORDS, secret), "get": Load("get.lua", PASSWORDS, ids)}
        numbers = {"create": ids_from(FIRST_NEW_ID), "get": ids_among([int(one) for one in identifiers])}
        samples: dict[tuple[str, int], list[Sample]] = {}
        for number in range(1, self._plan.rounds + 1):
            for clients in CLIENTS:
                bare = Bare(self._cluster.address, min(clients, self._plan.connections), session)
                for name, load in loads.items():
                    _say(f"round {number} of {self._plan.rounds}: {name}, {clients} at a time")
                    rate = partial(bare.rate, *recorded[name], numbers[name], self._plan.seconds / 2)
                    samples.setdefault((name, clients), []).append(self._sample(rate, load, clients))
                bare.close()
        for (name, clients), taken in samples.items():
            self._report.calls[f"{name}, {clients} at a time"] = _figure(taken, recorded[name].transaction)

    def _sample(self, bare_rate: Callable[[], float], load: Load, clients: int) -> Sample:
        server = self._vault.server
        before = bare_rate()
        used = server.cpu_seconds()
        run = run_wrk(load, server.port, connections=clients, seconds=self._plan.seconds)
        used = server.cpu_seconds() - used
        self._report.failed += run.failed
        return Sample(run, (before + bare_rate()) / 2, used)

    def _private_file(self, name: str, *lines: str) -> Path:
        path = self._directory / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path


def _only(file: Path, place: int) -> Transaction:
    """Return the transaction that was written to a file after a place and has an entry of the audit log."""
    found = read_transactions(lines_after(file, place))
    ours = [one for one in found if any(b"INTO audit" in asked.sql for trip in one for asked in trip)]
    if len(ours) != 1:
        raise SystemExit(f"{len(ours)} transactions were recorded for one call")
    return ours[0]


def _identifier(status: int, answer: dict[str, object], expected: int) -> int:
    entity = answer.get("password_entity", answer)
    found = entity.get("identifier", answer.get("identifier")) if isinstance(entity, dict) else None
    if status != expected or found is None:
        raise SystemExit(f"the call to be recorded failed: {status}")
    return int(str(found))


def _figure(samples: list[Sample], transaction: Transaction) -> Figure:
    return Figure(
        rate=statistics.median(one.run.rate for one in samples),
        bare_rate=statistics.median(one.bare_rate for one in samples),
        of_bare=statistics.median(one.run.rate / one.bare_rate for one in samples),
        p50_ms=statistics.median(one.run.p50_ms for one in samples),
        p99_ms=statistics.median(one.run.p99_ms for one in samples),
        cpu_us=statistics.median(one.cpu_seconds * 1e6 / max(1, one.run.requests) for one in samples),
        round_trips=len(transaction),
        statements=sum(map(len, transaction)),
    )


def table(report: Report) -> str:
    """Return the report for people."""
    lines = [f"{'':22}{'req/s':>8}{'bare':>8}{'ratio':>7}{'p50 ms':>8}{'p99 ms':>8}{'CPU µs':>8}  trips, statements"]
    for name, one in report.calls.items():
        word = "met" if one.of_bare >= LEAST_OF_BARE else "missed"
        rates = f"{one.rate:8,.0f}{one.bare_rate:8,.0f}{one.of_bare:7.2f}"
        times = f"{one.p50_ms:8.1f}{one.p99_ms:8.1f}{one.cpu_us:8.0f}"
        lines.append(
            f"{name:22}{rates}{times}  {one.round_trips}, {one.statements}   {word}: >= {LEAST_OF_BARE} of bare"
        )
    return "\n".join([*lines, f"PostgreSQL {report.server}; failed calls {report.failed}"])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print. The exit status is 1 if a call failed, whatever the figures."""
    parser = argparse.ArgumentParser(description="Measure the product on PostgreSQL beside the bare driver.")
    parser.add_argument("--quick", action="store_true", help="does it run at all")
    parser.add_argument("--items", type=int, default=20_000, help="how many passwords there are before")
    parser.add_argument("--rounds", type=int, default=5, help="how often each call is measured")
    parser.add_argument("--connections", type=int, default=8, help="of the product, and of the bare driver")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    plan = Plan(float(os.environ.get("BENCH_SECONDS", "4")), options.rounds, options.items, options.connections)
    if options.quick:
        plan = Plan(1, 1, 500, options.connections)
    with tempfile.TemporaryDirectory(prefix="mysafe-bench-") as name, private_cluster(is_on_disk=True) as cluster:
        report = Bench(Path(name), cluster, plan).run()
    print(table(report))
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
