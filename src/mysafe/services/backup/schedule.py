# SPDX-License-Identifier: Apache-2.0
"""Take a backup every day while the server runs, and keep the newest ones."""

import logging
import re
import threading
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

    def prune(self) -> list[Path]:
        """Remove all but the newest, and return what was removed."""
        old = self.kept()[: -self.keep]
        for path in old:
            path.unlink()
        return old


class Scheduler:
    """A thread that takes the backups of a schedule until it is closed. A failure is logged, and the next day tried."""

    def __init__(
        self, schedule: Schedule, take: Callable[[Path], object], clock: Callable[[], float] = time.time
    ) -> None:
        self._schedule = schedule
        self._take = take
        self._clock = clock
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; a backup that is being taken is finished first."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        due = self._schedule.next_run(self._now())
        # Short naps: a clock that is set, or a machine that slept, must not shift the time of the day.
        while not self._closed.wait(min(30.0, max(0.0, (due - self._now()).total_seconds()))):
            if self._now() >= due:
                self.take_now()
                due = self._schedule.next_run(self._now())

    def take_now(self) -> None:
        """Take a backup and remove old ones; what goes wrong is logged."""
        path = self._schedule.name(self._now())
        try:
            sweep(self._schedule.directory, NAMES)
            self._take(path)
            removed = self._schedule.prune()
        except Exception as error:  # noqa: BLE001  # the server goes on; doctor sees that there is no newer backup
            _log.error("the backup %s was not taken: %s: %s", path.name, type(error).__name__, error)
        else:
            _log.info("took the backup %s, removed %d old", path.name, len(removed))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
