# SPDX-License-Identifier: Apache-2.0
"""T-SLOW: clients that send heads and bodies byte by byte, do not read, or do nothing, on more connections than fit.

Who works keeps being answered at once, and who comes anew gets a place. The controls are a server that answers one
request at a time, and one that waits two minutes for a head.
"""

import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.couple import couple
from tests.support.hostile import Slow, head
from tests.support.process import exchange
from tests.support.waiting import until
from tests.support.writers import fields_of

CONNECTIONS = 600
"""More than a server holds open (512 unless set)."""

CALLS = 300
LONGEST_SECONDS = 0.5
MOST_LONGER = CALLS // 100
ROUNDS = 5
"""Of so many one must be good, as other work may hold up one or another on a busy machine."""

STUCK_SECONDS = 4
"""Less than the ten seconds for which a body may be as slow as it likes."""

PASSWORD = "/api/mysafe/password"
ONE_AT_A_TIME = [sys.executable, "-m", "tests.support.watched_server"]


class Place:
    """An installation that serves, a good client on a connection of its own, and bad ones."""

    def __init__(self, directory: Path, serve: list[str] | None, environment: dict[str, str]) -> None:
        self.installation, tokens = couple(directory, serve, environment)
        self._token = tokens["owner"]
        self.installation.start()
        self._good = HTTPConnection("127.0.0.1", self.installation.port, timeout=30)
        self._bad: Slow | None = None
        for number in range(40):
            self._call("POST", PASSWORD, fields_of(f"mark-0-{number};"))

    def let_in(self, kinds: list[tuple[bytes, bool]]) -> None:
        """Open CONNECTIONS bad connections of these kinds."""
        self._bad = Slow(("127.0.0.1", self.installation.port), kinds, CONNECTIONS // len(kinds))

    def every_kind(self) -> list[tuple[bytes, bool]]:
        """Return a client that does nothing, one with a slow head, one with a slow body and one that does not read."""
        begun = head("POST", PASSWORD, self._token, "Content-Type: application/json", "Content-Length: 100000")
        unread = head("GET", PASSWORD, self._token) * 16
        return [(b"", False), (begun[:-2] + b"X: ", True), (begun, True), (unread, False)]

    def longer(self) -> int:
        """Return how many of CALLS took the good client longer than LONGEST_SECONDS."""
        return sum(self._seconds() > LONGEST_SECONDS for _ in range(CALLS))

    def is_stuck(self) -> bool:
        """Return whether the good client waits in vain for an answer, for STUCK_SECONDS."""
        self._good.sock.settimeout(STUCK_SECONDS)
        try:
            self._seconds()
        except TimeoutError:
            return True
        return False

    def newcomer(self) -> int:
        """Return what somebody is answered who opens a connection now, 0 if he is hung up on."""
        try:
            return self.installation.call("GET", PASSWORD, None, self._token)[0]
        except (OSError, ValueError):
            return 0

    def close(self) -> None:
        if self._bad is not None:
            self._bad.close()
        self._good.close()
        self.installation.close()

    def _seconds(self) -> float:
        began = time.monotonic()
        assert self._call("GET", f"{PASSWORD}/1") == 200
        return time.monotonic() - began

    def _call(self, method: str, path: str, body: object = None) -> int:
        return exchange(self._good, method, path, body, self._token)[0]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def make(serve: list[str] | None = None, **environment: str) -> Place:
        made.append(Place(tmp_path, serve, environment))
        return made[0]

    yield make
    for one in made:
        one.close()


def test_who_works_is_answered_at_once_and_who_comes_anew_gets_a_place(place: Callable[..., Place]) -> None:
    here = place(MYSAFE_HEADER_SECONDS="2")
    here.let_in(here.every_kind())
    assert any(here.longer() <= MOST_LONGER for _ in range(ROUNDS))
    until(lambda: here.newcomer() == 200)
    assert "Traceback" not in here.installation.log.read_text()


def test_places_of_clients_that_do_nothing_are_given_to_others(place: Callable[..., Place]) -> None:
    here = place(MYSAFE_HEADER_SECONDS="2")
    here.let_in([(b"", False)])
    until(lambda: here.newcomer() == 200)


def test_a_server_that_waits_two_minutes_for_a_head_is_found_out(place: Callable[..., Place]) -> None:
    here = place(MYSAFE_HEADER_SECONDS="120")
    here.let_in([(b"", False)])
    assert [here.newcomer() in {503, 0} for _ in range(5)] == [True] * 5
    assert not here.is_stuck()


def test_a_server_that_answers_one_at_a_time_is_found_out(place: Callable[..., Place]) -> None:
    here = place(ONE_AT_A_TIME, ONE_AT_A_TIME="yes")
    assert not here.is_stuck()
    here.let_in(here.every_kind())
    assert here.is_stuck()
