# SPDX-License-Identifier: Apache-2.0
"""T-LANE: numbers are given once, across rollbacks, failed commits and two engines on one file.

The control is an engine that forgets which numbers it gave; it must be found out.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from mysafe.domain.errors import NotFound
from mysafe.storage import sqlite_lane
from mysafe.storage.engine import Transaction
from mysafe.storage.sqlite_lane import SqliteEngine
from mysafe.storage.sqlite_transaction import SqliteTransaction
from tests.support.faulty_files import FaultyFiles
from tests.support.lane import PATIENCE_SECONDS, Held, append

pytestmark = pytest.mark.sqlite("the lane of SQLite, on a file layer that fails")


class Numbers:
    """Take numbers in random units of two engines on one file, some of which fail, and some of whose commits do."""

    def __init__(self, path: Path, files: FaultyFiles) -> None:
        self.given: list[tuple[int, int]] = []
        self.kept: list[int] = []
        self._files = files
        self._engines = [SqliteEngine.create(path), SqliteEngine.open(path)]

    def close(self) -> None:
        for engine in self._engines:
            engine.close()

    def play(self, rounds: int, seed: int, *, are_commits_failing: bool) -> None:
        luck = random.Random(seed)
        for _ in range(rounds):
            which = luck.randrange(2)
            held = Held(self._engines[which])
            futures = [
                self._engines[which].submit(self._work(which, luck.randrange(1, 40), is_failing=luck.random() < 0.3))
                for _ in range(luck.randrange(1, 6))
            ]
            self._files.write_fault = apsw.SQLITE_FULL if are_commits_failing and luck.random() < 0.3 else 0
            held.release()
            for future in futures:
                if future.exception(PATIENCE_SECONDS) is None:
                    self.kept.extend(future.result())
            self._files.write_fault = 0

    def _work(self, which: int, amount: int, *, is_failing: bool) -> Callable[[Transaction], list[int]]:
        def work(tx: Transaction) -> list[int]:
            numbers = [tx.next_id("password") for _ in range(amount)]
            self.given.extend((which, number) for number in numbers)
            append(tx)
            if is_failing:
                raise NotFound("password")
            return numbers

        return work

    def given_twice_by_one(self) -> int:
        return len(self.given) - len(set(self.given))


@pytest.fixture
def numbers(tmp_path: Path, files: FaultyFiles) -> Iterator[Numbers]:
    game = Numbers(tmp_path / "vault.db", files)
    yield game
    files.write_fault = 0
    game.close()


@pytest.mark.parametrize("seed", range(3))
def test_no_number_is_given_twice_by_an_engine_nor_kept_twice_when_commits_fail(numbers: Numbers, seed: int) -> None:
    numbers.play(30, seed, are_commits_failing=True)
    assert len(numbers.given) > len(numbers.kept) > 100
    assert numbers.given_twice_by_one() == 0
    assert len(numbers.kept) == len(set(numbers.kept))


def test_an_engine_that_forgets_which_numbers_it_gave_is_found_out(
    tmp_path: Path, files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(SqliteTransaction):
        def rolled_back(self) -> None:
            super().rolled_back()
            self._floors.clear()

    monkeypatch.setattr(sqlite_lane, "SqliteTransaction", Forgetful)
    numbers = Numbers(tmp_path / "vault.db", files)
    numbers.play(30, 0, are_commits_failing=True)
    numbers.close()
    assert numbers.given_twice_by_one() > 0
