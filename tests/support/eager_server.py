# SPDX-License-Identifier: Apache-2.0
"""The negative control of T-KILL: the product, but it answers before the commit. Never part of the product."""

import os
import sys
from typing import Any

from mysafe import app, opening
from mysafe.config import load_settings
from mysafe.services.vault import Vault
from tests.support.early_engine import EarlyEngine

COMMIT_DELAY_SECONDS = 0.2


def main() -> int:
    settings = load_settings({"port": int(sys.argv[2])}, os.environ, None)
    real_open = opening.open_vault

    def eager_open(settings: Any, **options: Any) -> Vault:
        vault = real_open(settings, **options)
        vault.engine = EarlyEngine(vault.engine, COMMIT_DELAY_SECONDS)
        return vault

    app.open_vault = eager_open  # type: ignore[attr-defined]  # where the server takes it from
    return app.serve(settings)


if __name__ == "__main__":
    raise SystemExit(main())
