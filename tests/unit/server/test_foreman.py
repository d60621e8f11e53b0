# SPDX-License-Identifier: Apache-2.0
"""The foreman of several workers gives up when none can be started, with one clear sentence, and not sooner."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mysafe.server.workers.foreman import MOST_FAILURES
from tests.support.children import children_of, end_all, is_alive

CREW = [sys.executable, "-W", "error", "-m", "tests.support.crew"]


def run(mode: str, directory: Path) -> tuple[int, str]:
    done = subprocess.run([*CREW, mode, str(directory)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_server_whose_workers_cannot_be_started_gives_up_at_once(tmp_path: Path) -> None:
    status, err = run("never", tmp_path)
    assert status == 1
    assert err.count("the workers cannot be started: the lines above say why") == 1
    assert "Traceback" not in err


def test_a_server_that_loses_its_last_worker_tries_some_times_and_gives_up(tmp_path: Path) -> None:
    status, err = run("once", tmp_path)
    assert status == 1
    assert err.count("with status 4") == 2
    assert err.count("with status 3") >= MOST_FAILURES - 2
    assert err.count("no worker is left, and none can be started: gave up after") == 1


def test_the_service_manager_hears_of_the_foreman_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        (tmp_path / "marks").mkdir()
        with subprocess.Popen([*CREW, "good", str(tmp_path / "marks")], stderr=subprocess.DEVNULL) as process:
            try:
                assert end.recv(100) == b"READY=1"
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
            finally:
                process.kill()
        assert end.recv(100) == b"STOPPING=1"
        end.settimeout(0)
        with pytest.raises(BlockingIOError):
            end.recv(100)


def test_a_server_that_is_told_to_end_tells_its_workers_and_waits_for_them(tmp_path: Path) -> None:
    with subprocess.Popen([*CREW, "good", str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "listening on" in process.stderr.readline()
            assert "2 workers serve" in process.stderr.readline()
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert time.monotonic() - began < 10
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_a_vault_that_no_worker_can_serve_stays_sealed_and_somebody_says_so_soon(tmp_path: Path) -> None:
    with subprocess.Popen([*CREW, "sealed", str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            refusal = next(line for line in lines if line.startswith("after "))
            assert "no vault was opened, as the workers cannot serve it" in refusal
            assert int(refusal.split()[1]) < 20
            workers = {int(mark.name) for mark in tmp_path.iterdir()}
            assert children_of(process.pid) == workers, "the workers of the sealed vault go on"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_workers_whose_foreman_is_gone_are_told_to_end_until_they_do(tmp_path: Path) -> None:
    with subprocess.Popen([*CREW, "slow", str(tmp_path)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "listening on" in process.stderr.readline()
        assert "2 workers serve" in process.stderr.readline()
        workers = {int(mark.name) for mark in tmp_path.iterdir()}
        assert len(workers) == 2
        process.kill()
        try:
            until = time.monotonic() + 20
            while any(map(is_alive, workers)):
                assert time.monotonic() < until, "they heard it once, and go on"
                threading.Event().wait(0.02)
        finally:
            end_all(workers)
