# SPDX-License-Identifier: Apache-2.0
"""T-CLOCK: the clock of the machine is set forward and back. Nothing outlives its time, and nothing expired comes back.

The clock and the seconds that really pass are told apart. The control ends lifetimes by the clock alone.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from mysafe.domain.access_keys import CLOCK_SKEW_SECONDS, TOKEN_LIFETIME_SECONDS, AccessKeyDraft
from mysafe.services import audit_trail
from mysafe.services.clocks import SteadyClock
from tests.support.server import RunningServer, authorization

HOUR = 3600
TEN_YEARS = 10 * 365 * 24 * HOUR


class WallClock(SteadyClock):
    """The control: lifetimes end by the clock of the machine."""

    def at(self, wall: float) -> float:
        """Return what the clock shows."""
        return wall


class Scene:
    """A server whose clock can be set, while the seconds that pass are counted apart."""

    def __init__(self, directory: Path) -> None:
        self.server = RunningServer(directory)
        self._passed = 0.0
        self.restart()
        self.user = self.server.new_actor()

    def restart(self) -> None:
        """Forget what a process knows of the time before."""
        self.server.vault.steady = SteadyClock(lambda: self._passed)

    def let_pass(self, seconds: float) -> None:
        self._passed += seconds
        self.server.advance_clock(seconds)

    def set_clock(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.server.advance_clock(seconds)

    def token(self) -> str:
        return self.server.new_token(self.user)

    def status(self, token: str) -> int:
        with self.server.client() as client:
            return client.get("/api/mysafe/password", headers=authorization(token)).status_code


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.server.close()


@pytest.mark.parametrize("step", [0, -HOUR, HOUR, -TEN_YEARS, TEN_YEARS, -1, 1])
def test_a_token_dies_within_its_hour_however_the_clock_is_set(scene: Scene, step: int) -> None:
    token = scene.token()
    scene.let_pass(HOUR / 2)
    scene.set_clock(step)
    assert scene.status(token) == (401 if step >= HOUR else 200)
    scene.let_pass(HOUR / 2 + 1)
    assert scene.status(token) == 401
    scene.set_clock(-step)
    assert scene.status(token) == 401


@pytest.mark.parametrize("is_steady", [True, False])
def test_what_has_expired_stays_dead_when_the_clock_goes_back(scene: Scene, *, is_steady: bool) -> None:
    """The second is the control."""
    if not is_steady:
        scene.server.vault.steady = WallClock()
    end = datetime.now(UTC) + timedelta(seconds=2 * HOUR)
    key = scene.server.add_key(AccessKeyDraft(scene.user, "ends", expires_at=end))
    scene.let_pass(HOUR)
    token = scene.server.token(key)
    scene.let_pass(HOUR + 1)
    assert scene.status(token) == 401
    scene.set_clock(-HOUR)
    assert scene.status(token) == (401 if is_steady else 200)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_token_of_a_clock_that_was_ten_years_ahead_does_not_live_for_ten_years(
    scene: Scene, *, is_restarted: bool
) -> None:
    scene.set_clock(TEN_YEARS)
    token = scene.token()
    assert scene.status(token) == 200
    scene.set_clock(-TEN_YEARS)
    if is_restarted:
        scene.restart()
    assert scene.status(token) == (401 if is_restarted else 200)
    scene.let_pass(TOKEN_LIFETIME_SECONDS + 1)
    assert scene.status(token) == 401
    assert scene.status(scene.token()) == 200


@pytest.mark.parametrize(("ahead", "status"), [(CLOCK_SKEW_SECONDS - 10, 200), (CLOCK_SKEW_SECONDS + 60, 401)])
def test_a_token_of_another_server_is_good_if_the_clocks_are_close(scene: Scene, ahead: int, status: int) -> None:
    scene.set_clock(ahead)
    token = scene.token()
    scene.set_clock(-ahead)
    scene.restart()  # now it is another one
    assert scene.status(token) == status


def test_the_audit_log_is_in_the_order_of_its_numbers_when_the_clock_goes_back(scene: Scene) -> None:
    token = scene.token()
    for step in (0, HOUR, -TEN_YEARS, 5):
        scene.set_clock(step)
        scene.status(token)
    entries = scene.server.operate(partial(audit_trail.tail, limit=4))
    assert all(before.id < after.id for before, after in pairwise(entries))
    assert [before.at_ms < after.at_ms for before, after in pairwise(entries)] == [True, False, True]


def test_each_step_back_is_logged_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    token = scene.token()
    with caplog.at_level(logging.WARNING, "mysafe.clock"):
        for step in (-0.5, 0, 60, -HOUR, 0, 0, -HOUR):
            scene.set_clock(step)
            scene.status(token)
    texts = [record.getMessage() for record in caplog.records if record.name == "mysafe.clock"]
    assert [text.startswith("the clock went back by 3") for text in texts] == [True, True]
