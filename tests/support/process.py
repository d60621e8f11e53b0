# SPDX-License-Identifier: Apache-2.0
"""The product as an operator runs it: commands and a server in processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path

from mysafe.config import load_settings
from tests.support import databases

COMMAND = [sys.executable, "-m", "mysafe.cli.main"]

UNTHROTTLED = {
    "MYSAFE_REQUESTS_PER_SECOND": "0",
    "MYSAFE_TOKEN_FAILURES_PER_MINUTE": "100000",
    "MYSAFE_TOKEN_FAILURES_PER_ADDRESS": "100000",
}
"""For tests that are about something else: they call and fail as often as they like."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """A vault on disk and, while it runs, the process that serves it. Nothing of it is outside its directory."""

    def __init__(
        self,
        directory: Path,
        serve: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        is_on_sqlite: bool = False,
        is_made: bool = True,
    ) -> None:
        self.environment = dict(environment or {})
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.settings = load_settings({"data": self.data, **({} if is_on_sqlite else databases.chosen())}, {}, None)
        self._temporary = directory / "tmp"
        self._temporary.mkdir()
        self.port = free_port()
        self._serve = serve or [*COMMAND, "serve"]
        self._process: subprocess.Popen[bytes] | None = None
        if is_made:
            self.command("init")

    def command(self, *arguments: str, stdin: str = "") -> str:
        """Run a command to its end and return its standard output."""
        status, out, err = self.attempt(*arguments, stdin=stdin)
        assert status == 0, err
        return out

    def attempt(self, *arguments: str, stdin: str = "", command: Sequence[str] = COMMAND) -> tuple[int, str, str]:
        """Run a command to its end and return its exit status, standard output and standard error."""
        done = subprocess.run(
            [*command, *arguments],
            env=self.variables(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def start(self, *options: str) -> float:
        """Start serving and return the seconds until the first answer."""
        began = time.monotonic()
        self.port = free_port()  # only now: what was free a while ago may be taken
        with self.log.open("ab") as log:
            command = [*self._serve, "--port", str(self.port), *options]
            self._process = subprocess.Popen(command, env=self.variables(), stdout=log, stderr=log)
        while not self._answers():
            assert self._process.poll() is None, "the server ended by itself"
            assert time.monotonic() - began < 30, "the server does not answer"
            time.sleep(0.02)
        return time.monotonic() - began

    def serve_by(self, command: list[str]) -> None:
        """Serve by another command from the next start on."""
        self._serve = command

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def worked_seconds(self) -> float:
        """Return how long the server's process has worked so far, on whichever processors it got."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End the server as a power switch would, as far as processes go."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End the server as Ctrl-C does and return its exit status."""
        return self._end(signal.SIGINT)

    def wait(self) -> int:
        """Wait until the server has ended by itself and return its exit status."""
        assert self._process is not None
        return self._process.wait(timeout=30)

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=30)

    def new_key(self, owner: str) -> dict[str, str]:
        made: dict[str, str] = json.loads(
            self.command("access-key", "add", "--owner", owner, "--name", "test", "--json")
        )
        return made

    def token(self, key: dict[str, str]) -> str:
        status, body = self.call("POST", "/api/oauth2/token", {"grant_type": "client_credentials", **key})
        assert status == 200, body
        return str(body["access_token"])

    def call(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> tuple[int, dict[str, object]]:
        """Make one call on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            return exchange(connection, method, path, body, token)
        finally:
            connection.close()

    def variables(self) -> dict[str, str]:
        """Return the environment of its processes."""
        own = {"MYSAFE_DATA": str(self.data), "TMPDIR": str(self._temporary)}
        if self.settings.database is not None:
            own["MYSAFE_DATABASE"] = self.settings.database
        return {**os.environ, **UNTHROTTLED, **own, **self.environment}

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send bytes on a connection of their own and return the status."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers))
            return connection.getresponse().status
        finally:
            connection.close()

    def _answers(self) -> bool:
        try:
            self.call("GET", "/api")
        except OSError:
            return False
        return True


def exchange(
    connection: HTTPConnection, method: str, path: str, body: object = None, token: str | None = None
) -> tuple[int, dict[str, object]]:
    """Make one call on an open connection; return status and JSON body."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")
