# SPDX-License-Identifier: Apache-2.0
"""The units that wait for a connection. One that waited too long is sent away (R-LIM-03)."""

import threading
import time
from collections import deque

from mysafe.domain.errors import Busy
from mysafe.storage.engine import Unit

LARGEST_GROUP = 32
LONGEST_QUEUE = 4096
PATIENCE_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.1


class Waiting:
    """A queue for several lanes. `patience` is in seconds."""

    def __init__(self, *, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._units: deque[tuple[float, Unit, bool]] = deque()
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._wanted = threading.Condition(lock)
        self._idle = 0
        self._is_closed = False
        self._end = threading.Event()
        self._watch = threading.Thread(target=self._send_away, name="patience", daemon=True)
        self._watch.start()

    def put(self, unit: Unit, *, is_look: bool) -> None:
        """Let a unit wait, or settle it with Busy at once if too many do, or none is taken any more."""
        with self._changed:
            is_refused = self._is_closed or len(self._units) >= LONGEST_QUEUE
            if not is_refused:
                self._units.append((time.monotonic(), unit, is_look))
                (self._changed if len(self._units) <= self._idle else self._wanted).notify()
        if is_refused:
            unit.settle(None, Busy())

    def is_wanted(self) -> bool:
        """Wait until more units wait than lanes do; return False when all is over. For lanes without a connection."""
        with self._changed:
            while len(self._units) <= self._idle:
                if self._is_closed:
                    return False
                self._wanted.wait()
        return True

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        self._end.wait(seconds)

    def take(self) -> tuple[list[Unit], bool] | None:
        """Return units that go into one transaction, and whether they only look; None when all is over.

        All of them waited before this returns: what begins afterwards sees everything that was acknowledged by then.
        """
        with self._changed:
            self._idle += 1
            while not self._units:
                if self._is_closed:
                    return None
                self._changed.wait()
            self._idle -= 1
            _, unit, is_look = self._units.popleft()
            group = [unit]
            # The lanes that are idle want their share.
            share = 1 if is_look else min(LARGEST_GROUP, -(-len(self._units) // (self._idle + 1)))
            while len(group) < share and self._units and not self._units[0][2]:
                group.append(self._units.popleft()[1])
        return group, is_look

    def lengths(self) -> tuple[int, int]:
        """Return how many units wait that may write, and how many that only look."""
        with self._changed:
            looks = sum(is_look for _, _, is_look in self._units)
            return len(self._units) - looks, looks

    def close(self) -> None:
        """Take no more units; those that wait are still served."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._wanted.notify_all()
        self._end.set()
        self._watch.join()

    def _send_away(self) -> None:
        while not self._end.wait(_LOOK_EVERY_SECONDS):
            while (unit := self._too_late()) is not None:
                unit.settle(None, Busy())

    def _too_late(self) -> Unit | None:
        with self._changed:
            if self._units and time.monotonic() - self._units[0][0] > self._patience:
                return self._units.popleft()[1]
        return None
