# SPDX-License-Identifier: Apache-2.0
"""The daily backups of a server."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mysafe.services.backup.schedule import Schedule, Scheduler

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
    scheduler = Scheduler(schedule, fail, NOON.timestamp)
    with caplog.at_level(logging.ERROR, "mysafe.backup"):
        scheduler.take_now()
    scheduler.close()
    assert "was not taken: OSError" in caplog.text
    assert schedule.kept() == old


def test_a_backup_is_taken_when_it_is_due(tmp_path: Path) -> None:
    taken: list[Path] = []
    now = [NOON.timestamp()]

    def take(path: Path) -> None:
        taken.append(path)
        path.touch()

    scheduler = Scheduler(Schedule(tmp_path, 12 * 60 + 1, 1), take, lambda: now[0])
    assert taken == []
    scheduler.close()
    scheduler = Scheduler(Schedule(tmp_path, 12 * 60 + 1, 1), take, _steps(now[0], 59.9, 60.0, 61.0))
    while not taken:
        scheduler._closed.wait(0.01)
    scheduler.close()
    assert [path.name for path in taken] == ["mysafe-20261125T120101Z.age"]


def test_after_a_clock_that_was_ten_years_ahead_the_next_backup_is_within_a_day(tmp_path: Path) -> None:
    taken: list[Path] = []
    scheduler = Scheduler(Schedule(tmp_path, 12 * 60 + 1, 9), taken.append, NOON.timestamp)
    due = scheduler.look(NOON.replace(year=2036))
    assert (due, taken) == (NOON.replace(minute=1), [])
    assert scheduler.look(NOON) == due
    assert [path.name for path in taken] == ["mysafe-20261125T120000Z.age"]
    scheduler.close()


class _steps:  # noqa: N801  # used as a function
    """A clock that shows the next of some seconds after a start each time, and the last one for ever."""

    def __init__(self, start: float, *after: float) -> None:
        self._times = [start, *(start + seconds for seconds in after)]

    def __call__(self) -> float:
        return self._times.pop(0) if len(self._times) > 1 else self._times[0]
