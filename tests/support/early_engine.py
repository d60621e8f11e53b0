# SPDX-License-Identifier: Apache-2.0
"""The control of every test that an answer means "on disk": an engine that answers before the commit."""

import time
from typing import Any

from mysafe.storage.engine import Engine, Transaction, Unit


class EarlyEngine(Engine):
    """Settle a unit as soon as its work is done, and commit `delay_seconds` later at the earliest."""

    def __init__(self, engine: Engine, delay_seconds: float = 0) -> None:
        self._engine = engine
        self._delay_seconds = delay_seconds

    def enqueue(self, unit: Unit) -> None:
        self._engine.enqueue(_EarlyUnit(unit, self._delay_seconds))

    def enqueue_look(self, unit: Unit) -> None:
        self._engine.enqueue_look(unit)

    def run_units_on(self, host: Any) -> None:
        """Keep the units in the writer: the delay must not hold up the loop that sends the early answers."""

    def close(self) -> None:
        self._engine.close()


class _EarlyUnit:
    def __init__(self, unit: Unit, delay_seconds: float) -> None:
        self._unit = unit
        self._delay_seconds = delay_seconds
        self.deadline = unit.deadline

    def is_wanted(self) -> bool:
        return self._unit.is_wanted()

    def run(self, tx: Transaction) -> object:
        self._unit.settle(self._unit.run(tx), None)
        time.sleep(self._delay_seconds)
        return None

    def refused(self, tx: Transaction, error: BaseException) -> None:
        self._unit.refused(tx, error)

    def settle(self, value: object, error: BaseException | None) -> None:
        if error is not None:
            self._unit.settle(None, error)
