# SPDX-License-Identifier: Apache-2.0
"""T-POWER: the power goes while clients write. Nothing acknowledged is lost, nothing is half, nothing is corrupt.

A server works under strace; its writes and syncs are replayed up to a random moment, and what was not synced by then is
dropped, kept, kept in part, or torn. The real start-up opens what is left. POWER_STATES (environment, default 100) is
how many states are tried; `make power` tries 1,000. The controls do not wait for the disk, and must be found out.
"""

import os
import random
from collections.abc import Iterator

import pytest

from tests.support.power import Place, Recording, State

STATES = int(os.environ.get("POWER_STATES", "100"))
VERSIONS = 400 + STATES
CONTROL_VERSIONS = 280
CONTROL_STATES = 400

pytestmark = pytest.mark.sqlite("the files of SQLite; a PostgreSQL server has its own")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("power"))
    yield made
    made.close()


def judged(recording: Recording, count: int, about: str = "") -> Iterator[tuple[State, list[str]]]:
    """Yield states, and what is wrong with each."""
    seed = random.randrange(10**9)
    for state in recording.states(count, random.Random(seed), about):
        yield state, [f"{one} ({state.what}, seed {seed})" for one in state.left.complaints()]


@pytest.mark.timeout(1800)
def test_no_power_cut_loses_halves_or_corrupts_what_was_acknowledged(place: Place) -> None:
    recording = place.record(VERSIONS)
    assert recording.count("fdatasync") > VERSIONS / 8
    assert recording.count("rename") > VERSIONS / 50
    assert recording.count("pwrite64", "vault.db") > 0  # a checkpoint is among it
    assert recording.unseen() == []
    assert recording.without("pwrite64").unseen() != []  # the control
    states = list(judged(recording, STATES))
    assert len(states) == STATES
    assert [complaint for _, complaints in states for complaint in complaints] == []
    assert sum(state.unsynced > 0 for state, _ in states) > STATES / 4
    assert sum(len(state.left.acknowledged) > VERSIONS / 10 for state, _ in states) > STATES / 2


@pytest.mark.parametrize(
    ("fault", "about", "complaint"),
    [
        ({"SYNCHRONOUS": "NORMAL"}, r"-wal$", "lost: "),
        ({"SYNCHRONOUS": "OFF"}, r"vault\.db$", "corrupt: "),
        ({"BLOBS": "unsynced"}, r"-wal$", "corrupt: SealBroken"),
    ],
)
def test_a_server_that_does_not_wait_for_the_disk_is_found_out(
    place: Place, fault: dict[str, str], about: str, complaint: str
) -> None:
    recording = place.record(CONTROL_VERSIONS, **fault)
    found = (one for _, complaints in judged(recording, CONTROL_STATES, about) for one in complaints)
    assert any(one.startswith(complaint) for one in found)
