# SPDX-License-Identifier: Apache-2.0
"""Wait for something to happen, however long a busy machine takes."""

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 60


def until(is_so: Callable[[], bool]) -> None:
    """Return as soon as it is so. Fails after a minute."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)
