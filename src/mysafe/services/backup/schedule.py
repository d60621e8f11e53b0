# SPDX-License-Identifier: Apache-2.0
"""Take a backup every day while the server runs, and keep the newest ones."""

import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mysafe.services.backup.streams import sweep

_log = logging.getLogger("mysafe.backup")

NAMES = "mysafe-*.age"
"""A pattern of the files of a schedule."""

_NAME = re.compile(r"mysafe-\d{8}T\d{6}Z\.age")


class Schedule(NamedTuple):
    """When and where: `at` is a time of the day in UTC, in minutes after midnight; `keep` of the files stay."""

    directory: Path
    at: int
    keep: int

    def next_run(self, now: datetime) -> datetime:
        """Return when the next backup is due after `now` (UTC)."""
        today = now.replace(hour=self.at // 60, minute=self.at % 60, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)

    def name(self, now: datetime) -> Path:
        """Return the file of a backup that is taken at `now` (UTC)."""
        return self.directory / f"mysafe-{now:%Y%m%dT%H%M%SZ}.age"

    def kept(self) -> list[Path]:
        """Return the backups there are, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if _NAME.fullmatch(path.name))

    def has_since(self, moment: datetime) -> bool:
        """Return whether a backup was taken at a moment (UTC) or later, up to a day."""
        until = self.name(moment + timedelta(days=1))
        return any(self.name(moment) <= path <= until for path in self.kept())

    def prune(self, newest: Path) -> list[Path]:
        """Remove all but the newest, and return what was removed.

        `newest` is the one that was taken now, whatever its name says: the clock may have been wrong for some others.
        """
        others = [path for path in self.kept() if path != newest]
        old = others[: max(0, len(others) + 1 - self.keep)]
        for path in old:
            path.unlink()
        return old


class DailyBackup:
    """The chore of taking the backups of a schedule. A failure is logged, and the next day tried.

    A backup that was due since this process began is taken if nobody did: the process that led may have ended before.
    """

    name = "the daily backup"

    def __init__(
        self, schedule: Schedule, take: Callable[[Path], object], clock: Callable[[], float] = time.time
    ) -> None:
        self._schedule = schedule
        self._take = take
        self._clock = clock
        self._due = schedule.next_run(self._now())

    def run(self) -> float:
        """Take a backup if it is time for one, and return the seconds until the next look.

        They are few: a clock that is set, or a machine that slept, must not shift the time of the day. When the next
        one is due is reckoned anew each time: after a clock that was wrong for a while, it may be years away.
        """
        now = self._now()
        following = self._schedule.next_run(now)
        if now >= self._due and not self._schedule.has_since(following - timedelta(days=1)):
            self.take_now()
        self._due = following
        return min(30.0, max(0.0, (following - self._now()).total_seconds()))

    def take_now(self) -> None:
        """Take a backup and remove old ones; what goes wrong is logged."""
        path = self._schedule.name(self._now())
        try:
            sweep(self._schedule.directory, NAMES)
            self._take(path)
            removed = self._schedule.prune(path)
        except Exception as error:  # noqa: BLE001  # the server goes on; doctor sees that there is no newer backup
            _log.error("the backup %s was not taken: %s: %s", path.name, type(error).__name__, error)
        else:
            _log.info("took the backup %s, removed %d old", path.name, len(removed))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
