# SPDX-License-Identifier: Apache-2.0
"""T-ROFS: an fsync fails, or the disk can only be read, as disks become that begin to die.

After a failed fsync nobody knows what is on disk: the server stops, and the next one has all that was acknowledged. On
a disk that can only be read, every call that leaves an audit row is refused until it can be written again. What fails
is the call to the kernel (strace); a disk that is mounted for reading only is tried where one may be mounted.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.couple import couple
from tests.support.judge import Left
from tests.support.power import SERVE
from tests.support.process import COMMAND, Installation
from tests.support.small_disk import can_mount, mounted
from tests.support.syscalls import injected, injecting
from tests.support.waiting import until
from tests.support.writers import WRITERS, Writers, Written, fields_of

pytestmark = pytest.mark.sqlite("the disk of SQLite; a PostgreSQL server has its own")

FAILED_SYNCS = 3
STOPPED = 70


class Scene:
    """An installation whose server has calls that fail."""

    def __init__(self, directory: Path) -> None:
        self.installation, self.tokens = couple(directory, SERVE, is_on_sqlite=True)
        self.written = Written()
        self._record = directory / "record"
        self._rounds = 0

    @property
    def database(self) -> tuple[Path, Path]:
        """The files into which SQLite writes."""
        file = self.installation.data / "vault.db"
        return file, file.with_name("vault.db-wal")

    def injecting(self, faults: dict[str, str], *paths: Path) -> list[str]:
        return injecting(self._record, faults, *paths)

    def start(self, faults: dict[str, str], *paths: Path) -> None:
        self.installation.serve_by([*self.injecting(faults, *paths), *SERVE])
        self.installation.start()

    def writers(self, each: int | None = None) -> Writers:
        self._rounds += 1
        return Writers(self.installation, self.tokens["owner"], each, name=self._rounds, written=self.written)

    def failed(self) -> int:
        return injected(self._record)

    def complaints(self) -> list[str]:
        settings = self.installation.settings
        return Left(settings, self.tokens, self.written, self.written.acknowledged()).complaints()

    def create(self, mark: str) -> int:
        return self._call("POST", "", fields_of(mark))

    def reads(self) -> dict[str, int]:
        """Return what is answered to calls that change nothing."""
        return {"read": self._call("GET", "/1"), "list": self._call("GET", "")}

    def _call(self, method: str, end: str, body: object = None) -> int:
        return self.installation.call(method, f"/api/mysafe/password{end}", body, self.tokens["owner"])[0]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.installation.close()


# -- an fsync fails ------------------------------------------------------------------------------------------------


def test_after_a_failed_fsync_the_server_stops_and_the_next_one_has_all_that_was_acknowledged(scene: Scene) -> None:
    for _ in range(FAILED_SYNCS):
        scene.start({"fdatasync": f"error=EIO:when={random.randint(20, 60)}+"})
        scene.writers().run()  # until the server is gone
        assert scene.installation.wait() == STOPPED
        assert scene.complaints() == []
    assert "an fsync of the database failed" in scene.installation.log.read_text()
    assert len(scene.written.acknowledged()) > FAILED_SYNCS


def test_a_server_that_goes_on_after_a_failed_fsync_is_found_out(scene: Scene) -> None:
    scene.installation.environment["FSYNC"] = "trusted"
    scene.start({"fdatasync": "error=EIO:when=20"})
    scene.writers(20).run()
    assert scene.failed() == 1
    assert scene.installation.stop() == 0  # it would have ended by itself


def test_a_checkpoint_whose_fsync_fails_loses_nothing(scene: Scene) -> None:
    database, _ = scene.database
    scene.start({"fdatasync": "error=EIO"}, database)
    writers = scene.writers()
    writers.start()
    until(lambda: scene.failed() > 0)
    writers.wait_for_more(WRITERS)  # it goes on: what was written is in the log
    scene.installation.kill()
    writers.join()
    assert scene.complaints() == []


def test_a_content_whose_fsync_fails_is_refused_and_leaves_nothing(scene: Scene) -> None:
    scene.start({"fsync": "error=EIO"})
    scene.writers(10).run()
    assert scene.failed() >= WRITERS
    assert len(scene.written.refused) == WRITERS  # one upload each
    assert len(scene.written.acknowledged()) == 9 * WRITERS
    assert scene.installation.stop() == 0
    assert scene.complaints() == []


# -- the disk can only be read -------------------------------------------------------------------------------------


def test_a_disk_that_can_only_be_read_for_a_while_loses_nothing_and_needs_no_restart(scene: Scene) -> None:
    scene.start({"pwrite64": "error=EROFS:when=100..140"}, *scene.database)
    writers = scene.writers()
    writers.start()
    until(lambda: scene.failed() > 40)
    writers.wait_for_more(5 * WRITERS)
    writers.stop()
    assert scene.installation.stop() == 0
    assert len(scene.written.refused) > 0
    assert scene.written.open == set()
    assert scene.complaints() == []
    assert "Traceback" not in scene.installation.log.read_text()


def test_on_a_disk_that_can_only_be_read_whatever_leaves_a_trace_is_refused(scene: Scene) -> None:
    scene.start({"pwrite64": "error=EROFS:when=60+"}, *scene.database)
    assert (scene.create("mark-0-0;"), scene.reads()) == (201, {"read": 200, "list": 200})  # the control
    until(lambda: scene.create("mark-0-1;") == 503)
    assert scene.reads() == {"read": 503, "list": 503}
    assert scene.installation.call("GET", "/api/mysafe/password")[0] == 401
    assert scene.installation.call("GET", "/health/live")[0] == 200


@contextmanager
def told(directory: Path) -> Iterator[tuple[Scene, Callable[[], list[str]]]]:
    """Yield an installation, and what makes its disk one that can only be read, for the command that comes after it."""
    scene = Scene(directory)
    yield scene, lambda: scene.injecting({"openat": "error=EROFS"}, *scene.database)


@contextmanager
def remounted(directory: Path) -> Iterator[tuple[Scene, Callable[[], list[str]]]]:
    """Do as `told`, by mounting the disk anew."""

    def remount() -> list[str]:
        disk.set_writable(is_writable=False)
        return []

    with mounted(directory) as disk:
        try:
            yield Scene(directory), remount
        finally:
            disk.set_writable(is_writable=True)


WAYS = [told, *([remounted] if can_mount() else [])]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_on_a_disk_that_can_only_be_read_no_server_starts_and_the_doctor_says_so(
    tmp_path: Path, way: Callable[[Path], AbstractContextManager[tuple[Scene, Callable[[], list[str]]]]]
) -> None:
    with way(tmp_path) as (scene, make_readable_only):
        installation: Installation = scene.installation
        assert installation.attempt("doctor")[0] == 0  # the control
        command = [*make_readable_only(), *COMMAND]
        status, out, err = installation.attempt("doctor", command=command)
        assert (status, err) == (1, "")
        assert "unsafe  vault" in out
        status, out, err = installation.attempt("serve", "--port", "1", command=command)
        assert (status, out) == (1, "")
        assert err.startswith("mysafe: ")
        assert err.count("\n") == 1
