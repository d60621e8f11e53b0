# SPDX-License-Identifier: Apache-2.0
"""Reads that race a revocation: who began when, who was answered when, and the checker that judges them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

READERS = 2
READS_BEFORE = 3
READS_AFTER = 8
PATIENCE_SECONDS = 30


class Reading(NamedTuple):
    """One read: what was read, nanoseconds of the monotonic clock around it, the status, and whether it succeeded."""

    what: str
    invoked_at: int
    answered_at: int
    status: int
    has_succeeded: bool


class History(NamedTuple):
    """All reads of a race, and when the revocation was acknowledged to whoever asked for it."""

    readings: list[Reading]
    acknowledged_at: int

    def before(self) -> list[Reading]:
        """Return the reads that were answered before the acknowledgement."""
        return [reading for reading in self.readings if reading.answered_at < self.acknowledged_at]

    def after(self) -> list[Reading]:
        """Return the reads that were invoked after the acknowledgement."""
        return [reading for reading in self.readings if reading.invoked_at > self.acknowledged_at]


Read = Callable[[HTTPConnection], tuple[int, bool]]
"""Make one read; return its status and whether it succeeded."""


def late_successes(history: History) -> list[Reading]:
    """Return the reads that succeeded though they were invoked after the revocation was acknowledged.

    One that was under way at that moment may still succeed.
    """
    return [reading for reading in history.after() if reading.has_succeeded]


def race(addresses: Sequence[str], reads: Mapping[str, Read], revoke: Callable[[], int | None]) -> History:
    """Read in READERS threads for each address and kind of read, revoke once all have succeeded, and go on for a while.

    `revoke` returns the moment of the acknowledgement, or None if that is when it returns.
    """
    readers = [_Reader(address, *read) for address in addresses for read in reads.items() for _ in range(READERS)]
    with ThreadPoolExecutor(len(readers)) as pool:
        runs = [pool.submit(reader.run) for reader in readers]
        try:
            for reader in readers:
                assert reader.has_begun.wait(PATIENCE_SECONDS), "what is revoked did not work before"
            acknowledged_at = revoke() or time.monotonic_ns()
            for reader in readers:
                reader.acknowledged_at = acknowledged_at
        except BaseException:
            for reader in readers:
                reader.acknowledged_at = 0
            raise
        readings = [reading for run in runs for reading in run.result(timeout=PATIENCE_SECONDS)]
    return History(readings, acknowledged_at)


class _Reader:
    def __init__(self, address: str, what: str, read: Read) -> None:
        parts = urlsplit(address)
        self._host, self._port = str(parts.hostname), int(parts.port or 0)
        self._what = what
        self._read = read
        self.has_begun = threading.Event()
        self.acknowledged_at: int | None = None

    def run(self) -> list[Reading]:
        connection = HTTPConnection(self._host, self._port, timeout=PATIENCE_SECONDS)
        readings: list[Reading] = []
        after = 0
        while after < READS_AFTER:
            invoked_at = time.monotonic_ns()
            status, has_succeeded = self._read(connection)
            readings.append(Reading(self._what, invoked_at, time.monotonic_ns(), status, has_succeeded))
            if len(readings) == READS_BEFORE and all(reading.has_succeeded for reading in readings):
                self.has_begun.set()
            after += self.acknowledged_at is not None and invoked_at > self.acknowledged_at
        connection.close()
        return readings
