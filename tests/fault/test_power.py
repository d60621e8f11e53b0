# SPDX-License-Identifier: Apache-2.0
"""T-POWER: the power goes while clients write. Nothing acknowledged is lost, nothing is half, nothing is corrupt.

A server works under strace; its writes and syncs are replayed up to a random moment, and what was not synced by then is
dropped, kept, kept in part, or torn. The real start-up opens what is left. POWER_STATES (environment, default 80) is
how many states are tried; `make power` tries 1,000. The controls do not wait for the disk, and must be found out.
"""

import os
import random
from pathlib import Path

import pytest

from tests.support.power import Recording, calls_by_name

STATES = int(os.environ.get("POWER_STATES", "80"))
VERSIONS = 400 + STATES
CONTROL_STATES = 120
SEED = random.randrange(10**9)

pytestmark = pytest.mark.sqlite("the files of SQLite; a PostgreSQL server has its own")


def complaints(recording: Recording, states: int, *, are_all_wanted: bool = True) -> list[str]:
    """Try states and return what is wrong; or stop at the first one that is wrong."""
    found: list[str] = []
    for number, state in enumerate(recording.states(states, random.Random(SEED))):
        found += [f"state {number} ({state.what}), seed {SEED}: {one}" for one in state.complaints()]
        if found and not are_all_wanted:
            break
    return found


@pytest.mark.timeout(1800)
def test_no_power_cut_loses_halves_or_corrupts_what_was_acknowledged(tmp_path: Path) -> None:
    recording = Recording(tmp_path, VERSIONS)
    calls = calls_by_name(recording.calls)
    assert calls["fdatasync"] > VERSIONS / 8, calls
    assert calls["pwrite64"] > calls["fdatasync"]
    assert complaints(recording, STATES) == []
