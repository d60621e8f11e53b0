# SPDX-License-Identifier: Apache-2.0
"""T-POWER: record a server at work, cut the power at random, start from what is left, and judge it."""

import random
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from mysafe import opening
from tests.support.couple import couple
from tests.support.disk import Disk, Mode
from tests.support.judge import Left
from tests.support.syscalls import Call, read_record, recording
from tests.support.writers import WRITERS, Writers, Written

_MARK = re.compile(rb"mark-\d+-\d+;")
_PATIENCE_SECONDS = 60
_MEMORY = Path("/dev/shm")  # noqa: S108  # a new directory is made there
"""What is left of a disk is judged in memory, where there is such a place: whoever judges need not wait for a disk."""

SERVE = [sys.executable, "-m", "tests.support.recorded_server"]

PER_MOMENT = 4
"""As many states are made of one moment: one in each mode."""


class Place:
    """An installation, and tokens that stay good whenever the power is cut."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.installation, self.tokens = couple(directory, SERVE, is_on_sqlite=True)
        shutil.copytree(self.installation.data, directory / "before")
        self.scratch = Path(mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else directory))

    def close(self) -> None:
        """Remove what is not below the directory."""
        shutil.rmtree(self.scratch)

    def reset(self) -> None:
        """Put the files back as they were before the first recording."""
        shutil.rmtree(self.installation.data)
        shutil.copytree(self.directory / "before", self.installation.data)

    def record(self, versions: int, **environment: str) -> "Recording":
        """Let a server work under strace until about so many versions are written."""
        self.reset()
        record = self.directory / "record"
        self.installation.environment = environment
        self.installation.serve_by([*recording(record), *SERVE])
        try:
            self.installation.start()
            writers = Writers(self.installation, self.tokens["owner"], versions // WRITERS)
            writers.run()
            self.installation.stop()
        finally:
            self.installation.close()
        assert not writers.written.open | writers.written.refused
        _await_end(record)
        shutil.rmtree(self.directory / "after", ignore_errors=True)
        shutil.copytree(self.installation.data, self.directory / "after")
        return Recording(self, list(read_record(record)), writers.written)


class Recording:
    """What a server did, and all that is needed to judge what a power cut leaves of it."""

    def __init__(self, place: Place, calls: list[Call], written: Written) -> None:
        self._place = place
        self._written = written
        self.calls = calls

    def count(self, name: str, end_of_path: str = "") -> int:
        """Return how many calls of a name there are, about files whose path ends so."""
        begun = (call for call in self.calls if call.result is None and call.name == name)
        return sum(call.path.endswith(end_of_path) for call in begun)

    def unseen(self) -> list[str]:
        """Replay everything; return the files that are not what the server left behind: nothing if all is seen."""
        self._place.reset()
        disk = Disk(self._place.installation.data)
        for call in self.calls:
            disk.see(call)
        replayed = self._empty("replayed")
        disk.write_what_is_left(replayed, Mode.KEPT, random.Random())
        left, real = _contents(replayed), _contents(self._place.directory / "after")
        return [name for name in sorted(left | real) if left.get(name) != real.get(name)]

    def without(self, name: str) -> "Recording":
        """Return a recording in which the last call of a name was overlooked."""
        last = max(at for at, call in enumerate(self.calls) if call.name == name and call.result is None)
        return Recording(self._place, self.calls[:last] + self.calls[last + 1 :], self._written)

    def states(self, count: int, chance: random.Random, about: str = "") -> "Iterator[State]":
        """Yield what is left after `count` power cuts, PER_MOMENT at each of as many random moments.

        With a pattern, they are late ones, among the calls about files in whose path it is found.
        """
        possible = [at for at, call in enumerate(self.calls) if re.search(about, call.path)]
        possible = possible[len(possible) // 2 :] if about else possible
        moments = sorted(chance.choices(possible, k=count // PER_MOMENT))
        self._place.reset()
        disk = Disk(self._place.installation.data)
        seen = 0
        for moment in moments:
            for call in self.calls[seen:moment]:
                disk.see(call)
            seen = moment
            for mode in Mode:
                yield self._state(disk, mode, moment, chance)

    def _state(self, disk: Disk, mode: Mode, moment: int, chance: random.Random) -> "State":
        place = self._place
        left = self._empty("left")
        disk.write_what_is_left(left, mode, chance)
        acknowledged = {mark.decode() for sent in disk.sent for mark in _MARK.findall(sent)}
        whole = place.installation.settings
        settings = replace(whole, data=left, key_file=opening.key_path(whole))
        found = Left(settings, place.tokens, self._written, acknowledged)
        return State(f"{mode}, call {moment}", found, disk.unsynced())

    def _empty(self, name: str) -> Path:
        directory = self._place.scratch / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        return directory


class State(NamedTuple):
    """What is left after a power cut, and how many changes were not synced."""

    what: str
    left: Left
    unsynced: int


def _contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def _await_end(record: Path) -> None:
    """Wait until strace, which outlives the server by a moment, has written down the server's end."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with record.open("rb") as file:
            file.seek(max(record.stat().st_size - 200, 0))
            if file.read().rstrip().endswith(b"+++ exited with 0 +++"):
                return
        assert time.monotonic() < until, "strace does not come to an end"
        time.sleep(0.05)
