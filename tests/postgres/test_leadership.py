# SPDX-License-Identifier: Apache-2.0
"""Who leads: one process at a time, and another one within five seconds when it dies, freezes or is cut off."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from mysafe.storage.postgres import leadership
from mysafe.storage.postgres.address import connection_text
from mysafe.storage.postgres.leadership import LeadershipByLock
from tests.support import databases

pytestmark = pytest.mark.postgres

LONGEST_SECONDS = 5.0

HOLDER = [sys.executable, "-m", "tests.support.leader"]


@pytest.fixture(scope="module")
def text() -> str:
    return connection_text(databases.new_database(), None)


@contextmanager
def holder(text: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that leads."""
    with subprocess.Popen([*HOLDER, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{text}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "leads\n"
        try:
            yield process
        finally:
            process.kill()


def wait_for(one: LeadershipByLock, *, is_held: bool, seconds: float = 20.0) -> float:
    """Return after how many seconds it is so; infinity if it is not in time."""
    began = time.monotonic()
    while one.is_held() is not is_held:
        if time.monotonic() - began > seconds:
            return float("inf")
        threading.Event().wait(0.01)
    return time.monotonic() - began


def seconds_until_another_leads(text: str, number: int, *options: str) -> float:
    """Send a signal to a process that leads, and return how long it takes until this one does."""
    with holder(text, *options) as process:
        mine = LeadershipByLock(text)
        try:
            assert wait_for(mine, is_held=True, seconds=1.2) == float("inf"), "two lead at the same time"
            process.send_signal(number)
            return wait_for(mine, is_held=True, seconds=LONGEST_SECONDS + 1)
        finally:
            mine.close()


def test_another_leads_within_five_seconds_when_a_process_is_killed(text: str) -> None:
    assert seconds_until_another_leads(text, signal.SIGKILL) < LONGEST_SECONDS


def test_another_leads_within_five_seconds_when_a_process_stands_still(text: str) -> None:
    assert seconds_until_another_leads(text, signal.SIGSTOP) < LONGEST_SECONDS


def test_control_a_lock_that_is_never_released_is_found_out(text: str) -> None:
    assert seconds_until_another_leads(text, signal.SIGSTOP, "--for-ever") > LONGEST_SECONDS


class CutOff(LeadershipByLock):
    """One whose questions do not come through any more, from when it is told so, and whose errors do not come back."""

    is_cut_off = False

    def _ask(self) -> bool:
        if self.is_cut_off:
            self._is_over.wait(30)
            return False
        return super()._ask()


def overlaps(first: CutOff, second: LeadershipByLock) -> tuple[float, bool]:
    """Cut the first one off; return when the second one leads, and whether both did at any moment."""
    first.is_cut_off = True
    began, are_both = time.monotonic(), False
    while not second.is_held():
        assert time.monotonic() - began < 20
        threading.Event().wait(0.005)
    taken = time.monotonic() - began
    are_both = first.is_held()
    return taken, are_both


def cut_off(text: str) -> tuple[float, bool]:
    first = CutOff(text)
    wait_for(first, is_held=True)
    second = LeadershipByLock(text)
    try:
        return overlaps(first, second)
    finally:
        first.close()
        second.close()


def test_one_that_is_cut_off_stops_before_another_leads(text: str) -> None:
    taken, are_both = cut_off(text)
    assert taken < LONGEST_SECONDS
    assert not are_both


def test_control_one_that_believes_for_ever_that_it_leads_is_found_out(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "HELD_SECONDS", 60.0)
    assert cut_off(text)[1]


def test_a_session_that_ends_is_noticed_and_the_lock_is_taken_again(text: str) -> None:
    mine = LeadershipByLock(text)
    try:
        assert wait_for(mine, is_held=True) < LONGEST_SECONDS
        with psycopg.connect(text, autocommit=True) as other:
            (ended,) = other.execute(_END_HOLDER).fetchall()
        assert ended == (True,)
        until = time.monotonic() + LONGEST_SECONDS
        while mine._connection is None or not mine._is_locked or not mine.is_held():
            assert time.monotonic() < until
            threading.Event().wait(0.01)
    finally:
        mine.close()
    other_one = LeadershipByLock(text)
    assert wait_for(other_one, is_held=True) < LONGEST_SECONDS, "a lock that is given up is free"
    other_one.close()
    assert not other_one.is_held()


_END_HOLDER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def test_a_server_that_is_not_there_is_asked_again_and_again() -> None:
    missing = LeadershipByLock(connection_text("postgresql://mysafe@127.0.0.1:1/none", None))
    assert wait_for(missing, is_held=True, seconds=1.0) == float("inf")
    missing.close()


def test_the_session_ends_later_than_the_belief_in_it() -> None:
    assert leadership.PROBE_SECONDS + leadership.ANSWER_SECONDS / 2 < leadership.HELD_SECONDS
    assert leadership.HELD_SECONDS < leadership.SESSION_SECONDS
    assert leadership.SESSION_SECONDS + leadership.TRY_SECONDS < LONGEST_SECONDS - 1
