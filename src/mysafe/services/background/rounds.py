# SPDX-License-Identifier: Apache-2.0
"""Do the chores, while this process leads (docs/decisions/0020)."""

import logging
import threading
from collections.abc import Sequence

from mysafe.domain.errors import VaultError
from mysafe.services.background.chores import Chore
from mysafe.storage.engine import Leadership

_log = logging.getLogger("mysafe.background")

LOOK_SECONDS = 0.25
"""How often a process that does not lead looks whether it does now."""

RETRY_SECONDS = 10.0
"""How long after a failure a chore is tried again."""


class Rounds:
    """Do each chore in a thread of its own, as often as it wants, until it is closed.

    A process that begins to lead does every chore at once: nobody knows when it was done last. One that does not lead
    any more stops after the step that it is doing.
    """

    def __init__(self, leadership: Leadership, chores: Sequence[Chore]) -> None:
        self._leadership = leadership
        self._is_over = threading.Event()
        self._failing: set[str] = set()
        self._threads = [
            threading.Thread(target=self._run, args=(chore,), name=f"chore: {chore.name}", daemon=True)
            for chore in chores
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop, after the steps that are being done, and leave the chores to others."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._leadership.close()

    def _run(self, chore: Chore) -> None:
        pause = 0.0
        while not self._is_over.wait(pause):
            pause = self._step(chore) if self._leadership.is_held() else LOOK_SECONDS

    def _step(self, chore: Chore) -> float:
        """Do a step, and return the seconds until the next one. What goes wrong is logged, without its text."""
        try:
            pause = chore.run()
        except VaultError as error:
            self._complain(chore, logging.WARNING, f"cannot be done now: {type(error).__name__}")
        except Exception as error:  # noqa: BLE001  # the others, and the next time, must go on
            self._complain(chore, logging.ERROR, f"failed: unexpected {type(error).__name__}")
        else:
            self._failing.discard(chore.name)
            return pause
        return RETRY_SECONDS

    def _complain(self, chore: Chore, level: int, what: str) -> None:
        """Log that a chore fails, once until it works again."""
        if chore.name not in self._failing:
            _log.log(level, "%s %s", chore.name, what)
        self._failing.add(chore.name)
