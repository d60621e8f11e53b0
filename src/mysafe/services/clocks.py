# SPDX-License-Identifier: Apache-2.0
"""How much time has passed, whatever happens to the clock of the machine."""

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("mysafe.clock")

STEP_SECONDS = 1.0
"""What the clock goes back by less than this is not worth a word: so it is set all the time."""


class SteadyClock:
    """Unix seconds that never go back while the process runs: by them lifetimes end (R-TOK-03).

    When the clock of the machine goes back, these seconds pass on as if it had not, so that nothing which had expired
    comes to life again. When it goes forward, they follow. A restart begins with the clock as it is then.

    Args:
        ticks: seconds that pass and are never set.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._latest: float | None = None
        self._tick = 0.0
        self._behind = 0.0

    def at(self, wall: float) -> float:
        """Return the steady time, while the clock of the machine shows `wall` (Unix seconds)."""
        with self._lock:
            tick = self._ticks()
            reached = wall if self._latest is None else self._latest + tick - self._tick
            self._latest, self._tick = max(reached, wall), tick
            step, self._behind = reached - wall - self._behind, max(reached - wall, 0.0)
            latest = self._latest
        if step > STEP_SECONDS:
            _log.warning(
                "the clock went back by %d seconds: tokens and access keys expire without it until a restart",
                round(step),
            )
        return latest
