# SPDX-License-Identifier: Apache-2.0
"""Chores are done by a process that leads, again and again, whatever goes wrong."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mysafe.domain.errors import DatabaseUnreachable
from mysafe.services.background import rounds
from mysafe.services.background.rounds import Rounds

SOON = 0.005


class Lead:
    """A leadership that a test gives and takes."""

    def __init__(self, *, is_held: bool) -> None:
        self.is_given = is_held
        self.is_closed = False

    def is_held(self) -> bool:
        return self.is_given

    def close(self) -> None:
        self.is_closed = True


class Sweeping:
    """A chore that counts its steps, and fails as it is told."""

    name = "the sweeping"

    def __init__(self, *failures: Exception) -> None:
        self.steps = 0
        self._failures = list(failures)

    def run(self) -> float:
        self.steps += 1
        if self._failures:
            raise self._failures.pop(0)
        return SOON


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "it does not happen"
        threading.Event().wait(SOON)


@contextmanager
def done(lead: Lead, *chores: Sweeping) -> Iterator[None]:
    running = Rounds(lead, chores)
    yield
    running.close()
    assert lead.is_closed


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LOOK_SECONDS", SOON)
    monkeypatch.setattr(rounds, "RETRY_SECONDS", SOON)


def test_every_chore_is_done_again_and_again_while_the_process_leads() -> None:
    chores = Sweeping(), Sweeping()
    with done(Lead(is_held=True), *chores):
        until(lambda: all(chore.steps >= 3 for chore in chores))


def test_a_process_that_does_not_lead_does_nothing_until_it_does() -> None:
    lead, chore = Lead(is_held=False), Sweeping()
    looked = 0

    def is_held() -> bool:
        nonlocal looked
        looked += 1
        return lead.is_given

    lead.is_held = is_held  # type: ignore[method-assign]  # it counts how often it is asked
    with done(lead, chore):
        until(lambda: looked >= 5)
        assert chore.steps == 0
        lead.is_given = True
        until(lambda: chore.steps >= 2)
        lead.is_given = False
        begun = looked
        until(lambda: looked >= begun + 2)
        before, begun = chore.steps, looked
        until(lambda: looked >= begun + 5)
        assert chore.steps == before


def test_a_chore_that_fails_is_tried_again_and_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    chore = Sweeping(DatabaseUnreachable(), DatabaseUnreachable())
    with caplog.at_level(logging.WARNING, "mysafe.background"), done(Lead(is_held=True), chore):
        until(lambda: chore.steps >= 4)
    assert [record.getMessage() for record in caplog.records] == [
        "the sweeping cannot be done now: DatabaseUnreachable"
    ]


def test_a_chore_that_is_broken_goes_on_and_its_fault_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chore = Sweeping(ValueError("with a secret in its text: 8jhfy@3789"))
    with caplog.at_level(logging.WARNING, "mysafe.background"), done(Lead(is_held=True), chore):
        until(lambda: chore.steps >= 2)
    assert [record.getMessage() for record in caplog.records] == ["the sweeping failed: unexpected ValueError"]
