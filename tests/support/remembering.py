# SPDX-License-Identifier: Apache-2.0
"""The fault the tests of revocation are about: rights that are remembered for a second. Never part of the product.

python -m tests.support.remembering …        the command `mysafe` with this fault
"""

import sys
import time
from collections.abc import Callable
from functools import partialmethod
from typing import Any

from mysafe.authz.decide import decide_on_item
from mysafe.cli.main import main
from mysafe.services import unit_of_work
from mysafe.services.principals import Principals


class Remembered:
    """A result that is kept for a second after it was last asked for: the fault this battery is about."""

    def __init__(self, work: Callable[..., Any], key_of: Callable[..., object]) -> None:
        self._work = work
        self._key_of = key_of
        self._known: dict[object, tuple[float, Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        key = self._key_of(*arguments)
        until, value = self._known.get(key, (0.0, None))
        if time.monotonic() > until:
            value = self._work(*arguments)
        self._known[key] = time.monotonic() + 1, value
        return value


def plant(put: Callable[[Any, str, Any], None]) -> None:
    """Let sessions and decisions be remembered; `put` sets an attribute."""
    session = Remembered(Principals.session, lambda principals, text: text)
    put(Principals, "session", partialmethod(session))
    decide = Remembered(decide_on_item, lambda actor, action, meta, groups, ref: (actor, action, ref))
    put(unit_of_work, "decide_on_item", decide)


if __name__ == "__main__":
    plant(setattr)
    sys.exit(main())
