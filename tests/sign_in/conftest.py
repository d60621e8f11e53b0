# SPDX-License-Identifier: Apache-2.0
"""A vault whose time stands still until a test lets it pass."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mysafe.services.clocks import SteadyClock
from tests.sign_in.person import Person
from tests.support.server import RunningServer


class StillServer(RunningServer):
    """A server whose clock stands still."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.now = self.vault.clock()
        self.vault.clock = lambda: self.now
        self.vault.steady = SteadyClock(lambda: self.now)

    def advance_clock(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StillServer]:
    running = StillServer(tmp_path_factory.mktemp("still"))
    yield running
    running.close()


@pytest.fixture
def ana(still: StillServer) -> Person:
    return Person(still.vault, next(_names))


@pytest.fixture
def bob(still: StillServer) -> Person:
    return Person(still.vault, next(_names))


_names = (f"person{number}" for number in count())
