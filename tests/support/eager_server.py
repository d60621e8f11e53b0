# SPDX-License-Identifier: Apache-2.0
"""The negative control of T-KILL: the product, but it answers before the commit. Never part of the product."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from mysafe import app
from mysafe.config import load_settings
from mysafe.services.vault import Vault
from mysafe.storage.engine import Engine, Transaction

T = TypeVar("T")

COMMIT_DELAY_SECONDS = 0.2


class EagerEngine:
    """Resolve a unit's future as soon as its work is done, and commit later."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def submit(self, work: Callable[[Transaction], T], **options: Any) -> "Future[T]":
        early: Future[T] = Future()

        def eager(tx: Transaction) -> None:
            early.set_result(work(tx))
            time.sleep(COMMIT_DELAY_SECONDS)

        self._engine.submit(eager)
        return early

    def look(self, work: Callable[[Transaction], T], **options: Any) -> "Future[T]":
        return self._engine.look(work, **options)

    def run_units_on(self, host: Any) -> None:
        """Keep the units in the writer: the delay must not hold up the loop that sends the early answers."""

    def close(self) -> None:
        self._engine.close()


def main() -> int:
    settings = load_settings({"port": int(sys.argv[2])}, os.environ, None)
    real_open = app.open_vault

    def eager_open(settings: Any, **options: Any) -> Vault:
        vault = real_open(settings, **options)
        vault.engine = EagerEngine(vault.engine)
        return vault

    app.open_vault = eager_open
    return app.serve(settings)


if __name__ == "__main__":
    raise SystemExit(main())
