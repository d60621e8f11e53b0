# SPDX-License-Identifier: Apache-2.0
"""`mysafe rotate-keys`, killed just before a transaction of its own choice. Never part of the product.

python -m tests.support.dying_rotation NUMBER        killed before its transaction NUMBER, counted from 1
"""

import os
import signal
import sys
from typing import Any

from mysafe import opening
from mysafe.cli.main import main
from mysafe.services.vault import Vault
from mysafe.storage.engine import Engine, Unit


class DyingEngine(Engine):
    """An engine that ends the process, as `kill -9` does, when it is given too many units that write."""

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        self.is_shared = engine.is_shared  # type: ignore[misc]  # as the real one
        self._left = number

    def enqueue(self, unit: Unit) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._engine.enqueue(unit)

    def enqueue_look(self, unit: Unit) -> None:
        self._engine.enqueue_look(unit)

    def run_units_on(self, host: Any) -> None:
        self._engine.run_units_on(host)

    def close(self) -> None:
        self._engine.close()


def rotate(number: int) -> int:
    real_open = opening.open_vault

    def dying_open(settings: Any, **options: Any) -> Vault:
        vault = real_open(settings, **options)
        vault.engine = DyingEngine(vault.engine, number)
        return vault

    opening.open_vault = dying_open
    return main(["rotate-keys"])


if __name__ == "__main__":
    raise SystemExit(rotate(int(sys.argv[1])))
