# SPDX-License-Identifier: Apache-2.0
"""`make run`: the demo vault is made once, served, and what is printed about calling it is true."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.process import free_port

pytestmark = pytest.mark.sqlite("the demo vault is on SQLite")

CHECKOUT = Path(__file__).parents[2]


class Demo:
    """The script at work in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.process = self.start()
        self.said = ""

    def start(self) -> "subprocess.Popen[str]":
        environ = {**os.environ, "PORT": str(self.port), "MYSAFE_DATABASE": "sqlite:////nowhere/at/all.db"}
        return subprocess.Popen(
            [sys.executable, str(CHECKOUT / "tools/demo.py"), str(self.directory)],
            cwd=CHECKOUT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Wait for the server, and keep what was printed before it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Users:"):
                break
        began = time.monotonic()
        while not self.answers():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() - began < 30
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return self.call("GET", "/")[0] > 0
        except OSError:
            return False

    def call(self, method: str, path: str, body: bytes = b"", token: str = "") -> tuple[int, dict[str, object]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read() or b"{}")
        connection.close()
        return answer.status, content

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


def run_once(directory: Path) -> str:
    """Start the demo, do what it says, stop it, and return the identifier of the new item."""
    demo = Demo(directory)
    try:
        demo.wait()
        files = [CHECKOUT / name for name in re.findall(r"-d @(\S+)", demo.said)]
        paths = re.findall(rf"http://127\.0\.0\.1:{demo.port}(/\S+?)[\s\\]", demo.said)
        assert paths[0] == "/api/oauth2/token"
        status, body = demo.call("POST", paths[0], files[0].read_bytes())
        assert status == 200, body
        status, body = demo.call("POST", paths[1], files[1].read_bytes(), str(body["access_token"]))
        assert status == 201, body
        assert demo.stop() == 0
    finally:
        demo.process.kill()
        demo.process.wait(30)
    entity = body["password_entity"]
    assert isinstance(entity, dict)
    assert entity["shared_error"] == []
    assert entity["users_allowed"] == [{"username": "pduarte", "can_edit": False}]
    return str(entity["identifier"])


def test_the_demo_is_made_once_and_served_again(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    first = run_once(directory)
    key = directory / "access-key.json"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (directory / "data.key").stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    second = run_once(directory)
    assert int(second) > int(first)
    assert key.read_bytes() == before


def test_an_interrupted_first_run_is_begun_anew(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo = Demo(directory)
    unfinished = tmp_path / "demo.unfinished"
    began = time.monotonic()
    while not (unfinished / "data.key").exists():
        assert time.monotonic() - began < 30
        time.sleep(0.01)
    os.killpg(demo.process.pid, signal.SIGKILL)
    demo.process.communicate()
    assert unfinished.exists()
    assert not directory.exists()
    run_once(directory)
    assert not unfinished.exists()
