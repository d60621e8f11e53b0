# SPDX-License-Identifier: Apache-2.0
"""T-KILL: kill -9 while clients create, share, change and upload. Nothing acknowledged is lost, and nothing is half.

KILLS (environment, default 20) says how often; `make kills` does it 60 times. The control answers before the commit
and must be found out.
"""

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.couple import couple
from tests.support.judge import Left, kinds_of
from tests.support.process import Installation
from tests.support.writers import Writers, Written

KILLS = int(os.environ.get("KILLS", "20"))
MOST_START_SECONDS = 5
"""Of work until the first answer: on a machine with nothing else to do it is that many seconds by the clock."""


class Run:
    """Writers against one installation, and what was acknowledged to them."""

    def __init__(self, installation: Installation, tokens: dict[str, str]) -> None:
        self.installation = installation
        self._tokens = tokens
        self.written = Written()
        self.starts: list[float] = []

    def round(self, seconds: float) -> None:
        """Serve, write, kill after `seconds`."""
        self.installation.start()
        self.starts.append(self.installation.worked_seconds())
        writers = Writers(self.installation, self._tokens["owner"], name=len(self.starts), written=self.written)
        writers.start()
        time.sleep(seconds)
        self.installation.kill()
        writers.join()

    def complaints(self) -> list[str]:
        """Start from what is left and return all that is wrong."""
        return Left(self.installation.settings, self._tokens, self.written, self.written.acknowledged()).complaints()


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    run = Run(*couple(tmp_path, getattr(request, "param", None)))
    yield run
    run.installation.close()


@pytest.mark.timeout(1800)
def test_no_acknowledged_write_is_lost_and_no_half_item_is_seen(run: Run) -> None:
    for number in range(KILLS):
        run.round(random.uniform(0.02, 0.5))  # when, not what
        if number % 5 == 4:
            assert run.complaints() == []
    assert run.complaints() == []
    assert len(run.written.acknowledged()) >= KILLS
    assert {kind for kind, _ in run.written.histories} == {"password", "file"}
    assert run.written.refused == set()
    assert max(run.starts) < MOST_START_SECONDS


EAGER = [sys.executable, "-m", "tests.support.eager_server"]


@pytest.mark.parametrize("run", [EAGER], indirect=True)
def test_a_server_that_answers_before_the_commit_is_found_out(run: Run) -> None:
    run.round(0.7)
    assert len(run.written.acknowledged()) >= 1
    assert "lost" in kinds_of(run.complaints())


def test_the_judge_sees_what_is_lost_half_or_never_acknowledged(run: Run) -> None:
    run.round(0.7)
    assert run.complaints() == []
    key, history = next(iter(run.written.histories.items()))
    history.marks.append("a version that was acknowledged and is not there")
    assert kinds_of(run.complaints()) == {"lost"}
    history.marks.pop()
    del run.written.histories[key]
    assert kinds_of(run.complaints()) == {"half"}
    run.written.histories[key] = history
    run.written.gone.add(key[1])
    assert kinds_of(run.complaints()) == {"lost"}
    run.written.gone.clear()
    stray = run.installation.data / "blobs" / "ff" / "stray"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"the content of no file")
    is_shared = run.installation.settings.is_on_postgresql  # then another server may be about to use it
    assert kinds_of(run.complaints()) == (set() if is_shared else {"half"})
