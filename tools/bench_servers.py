# SPDX-License-Identifier: Apache-2.0
"""Run what is measured: the product as an operator runs it, and the echo server, each in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

COMMAND = [sys.executable, "-m", "mysafe.cli.main"]
START_SECONDS = 60.0
CLOCK_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """Resident memory of a process in MiB: now, and at most since it started."""

    now: float
    peak: float


class Server:
    """A process that serves HTTP on a free port of loopback. Its output goes to `log`."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.port = _free_port()
        self._command = [word.format(port=self.port) for word in command]
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start the process and return the seconds until it answered a request."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise SystemExit(f"{self._command} does not serve:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    def stop(self) -> None:
        """End the process as Ctrl-C does; does nothing when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)

    def memory(self) -> Memory:
        """Return what the process holds."""
        fields = dict(line.split(":", 1) for line in self._proc("status").splitlines())
        now, peak = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return Memory(now, peak)

    def cpu_seconds(self) -> float:
        """Return the processor time the process has used, all its threads together."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * CLOCK_TICK_SECONDS

    def _proc(self, name: str) -> str:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return Path(f"/proc/{self._process.pid}/{name}").read_text(encoding="ascii", errors="replace")

    def _answers(self) -> bool:
        try:
            return call(self.port, "GET", "/api/mysafe/password")[0] > 0
        except OSError:
            return False


class Installation:
    """A vault in a directory, set up by the commands an operator would type. `variables` are more settings."""

    def __init__(self, directory: Path, variables: dict[str, str] | None = None) -> None:
        unlimited = {"MYSAFE_REQUESTS_PER_SECOND": "0"}  # one user makes all the requests of a measurement
        self._environment = {**os.environ, "MYSAFE_DATA": str(directory / "data"), **unlimited, **(variables or {})}
        self.command("init")
        self.server = Server([*COMMAND, "serve", "--port", "{port}"], self._environment, directory / "serve.log")

    def recorder(self, file: Path) -> Server:
        """Return a server of the same vault that writes to a file what it asks of PostgreSQL."""
        script = str(Path(__file__).with_name("bench_recorder.py"))
        command = [sys.executable, script, str(file), "serve", "--port", "{port}"]
        return Server(command, self._environment, file.with_suffix(".log"))

    def command(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"mysafe {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def token(self, owner: str) -> str:
        """Make an access key for a user and return a token obtained with it."""
        key = json.loads(self.command("access-key", "add", "--owner", owner, "--name", "bench", "--json"))
        request = {"grant_type": "client_credentials"} | {name: key[name] for name in ("client_id", "client_secret")}
        status, answer = call(self.server.port, "POST", "/api/oauth2/token", request)
        if status != 200:
            raise SystemExit(f"no token: {status}")
        return str(answer["access_token"])


def echo_server(directory: Path) -> Server:
    """Return the server that only parses and answers."""
    script = str(Path(__file__).with_name("bench_echo.py"))
    return Server([sys.executable, script, "{port}"], dict(os.environ), directory / "echo.log")


def call(port: int, method: str, path: str, body: object = None, token: str = "") -> tuple[int, dict[str, object]]:
    """Make one call on a connection of its own; return the status and the JSON object that came back."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
