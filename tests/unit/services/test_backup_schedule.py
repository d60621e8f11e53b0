# SPDX-License-Identifier: Apache-2.0
"""The daily backups of a server."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mysafe.services.backup.schedule import DailyBackup, Schedule

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (11 * 60, "2026-11-26T11:00"),
        (12 * 60, "2026-11-26T12:00"),
        (12 * 60 + 1, "2026-11-25T12:01"),
        (0, "2026-11-26T00:00"),
    ],
)
def test_the_next_backup_is_at_that_time_of_the_day(at: int, due: str, tmp_path: Path) -> None:
    assert Schedule(tmp_path, at, 3).next_run(NOON) == datetime.fromisoformat(f"{due}:00+00:00")


def test_only_the_newest_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    schedule = Schedule(tmp_path, 0, 2)
    names = [schedule.name(NOON.replace(day=day)).name for day in (1, 2, 3)]
    for name in (*names, "mysafe-notes.age", "other"):
        (tmp_path / name).touch()
    schedule.prune(tmp_path / names[2])
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], "mysafe-notes.age", "other"}


@pytest.mark.parametrize("keep", [1, 2])
def test_what_was_just_taken_is_kept_though_others_come_from_the_future(tmp_path: Path, keep: int) -> None:
    schedule = Schedule(tmp_path, 0, keep)
    future = [schedule.name(NOON.replace(year=2036, day=day)) for day in (1, 2)]
    newest = schedule.name(NOON)
    for path in (*future, newest):
        path.touch()
    schedule.prune(newest)
    assert set(tmp_path.iterdir()) == {newest, *future[3 - keep :]}


def test_a_backup_that_fails_is_logged_and_removes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    schedule = Schedule(tmp_path, 0, 1)
    old = [schedule.name(NOON.replace(day=day)) for day in (1, 2)]
    for path in old:
        path.touch()
    with caplog.at_level(logging.ERROR, "mysafe.backup"):
        DailyBackup(schedule, fail, NOON.timestamp).take_now()
    assert "was not taken: OSError" in caplog.text
    assert schedule.kept() == old


class Clock:
    """A clock that a test sets, and the backups that are taken by it."""

    def __init__(self, directory: Path) -> None:
        self.now = NOON
        self.schedule = Schedule(directory, 12 * 60 + 1, 3)
        self.taken: list[str] = []

    def node(self) -> DailyBackup:
        return DailyBackup(self.schedule, self._take, self._read)

    def _read(self) -> float:
        return self.now.timestamp()

    def _take(self, path: Path) -> None:
        self.taken.append(path.name)
        path.touch()


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def test_a_backup_is_taken_once_when_it_is_due(clock: Clock) -> None:
    chore = clock.node()
    assert chore.run() == 30.0
    clock.now += timedelta(seconds=59.5)
    assert chore.run() == 0.5
    assert clock.taken == []
    clock.now += timedelta(seconds=1.5)
    assert chore.run() == 30.0
    assert chore.run() == 30.0
    assert clock.taken == ["mysafe-20261125T120101Z.age"]


def test_after_a_clock_that_was_ten_years_ahead_the_next_backup_is_within_a_day(clock: Clock) -> None:
    clock.now = NOON.replace(year=2036)
    chore = clock.node()
    chore.run()
    clock.now = NOON
    chore.run()
    assert clock.taken == []
    clock.now += timedelta(minutes=2)
    chore.run()
    assert clock.taken == ["mysafe-20261125T120200Z.age"]


def test_a_process_that_leads_later_takes_what_was_missed_since_it_began(clock: Clock) -> None:
    second = clock.node()
    clock.now += timedelta(hours=2)
    third = clock.node()
    third.run()
    assert clock.taken == []  # nothing was due since it began
    second.run()
    assert clock.taken == ["mysafe-20261125T140000Z.age"]


def test_a_process_that_leads_later_takes_no_backup_that_another_one_took(clock: Clock) -> None:
    first, second = clock.node(), clock.node()
    clock.now += timedelta(minutes=2)
    first.run()
    clock.now += timedelta(hours=2)
    second.run()
    assert clock.taken == ["mysafe-20261125T120200Z.age"]
    clock.now += timedelta(days=1)
    second.run()
    assert len(clock.taken) == 2
