# SPDX-License-Identifier: Apache-2.0
"""T-DISKFULL: no room for database, write-ahead log, contents, temporary files and the server's own log.

Every call that must leave an audit row is refused, a read too; nothing is half, nothing that was acknowledged is lost,
and all goes on by itself once there is room. The control answers before the commit, and must be found out.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.couple import couple
from tests.support.file_client import FILES, RAW, fields_header
from tests.support.judge import Left, kinds_of
from tests.support.small_disk import COMMAND, Disk, kinds
from tests.support.waiting import until
from tests.support.writers import WRITERS, Writers, fields_of

pytestmark = pytest.mark.sqlite("the disk of SQLite; a PostgreSQL server has its own")

ROUNDS = 3

NEARLY_CHECKPOINTED = 950 * 4120
"""Bytes of the log. At 1,000 pages they are moved into the database, which finds no room either."""


class Scene:
    """An installation that lies on a small disk with everything it has."""

    def __init__(self, directory: Path, disk: Disk, environment: dict[str, str]) -> None:
        self.disk = disk
        known = {"MYSAFE_FILES_FREE_BYTES": "0", **disk.environment, **environment}
        self.installation, self.tokens = couple(directory, [*COMMAND, "serve"], known, is_on_sqlite=True)
        self.installation.start()

    def answers(self, identifier: str, mark: str) -> dict[str, int]:
        """Return what each kind of call is answered."""
        token, path = self.tokens["owner"], "/api/mysafe/password"
        calls = {
            "read": ("GET", f"{path}/{identifier}", None, token),
            "list": ("GET", path, None, token),
            "create": ("POST", path, fields_of(mark), token),
            "change": ("PUT", f"{path}/update/{identifier}", fields_of(mark), token),
            "without a token": ("GET", path, None, None),
            "alive": ("GET", "/health/live", None, None),
        }
        answers = {name: self.installation.call(*call)[0] for name, call in calls.items()}
        return {**answers, "upload": self._upload()}

    def _upload(self) -> int:
        headers = {"Authorization": f"Bearer {self.tokens['owner']}", "Content-Type": RAW}
        return self.installation.send("POST", FILES, bytes(200_000), headers | fields_header(file_name="f", name="f"))

    def create(self, mark: str) -> str:
        status, answer = self.installation.call("POST", "/api/mysafe/password", fields_of(mark), self.tokens["owner"])
        assert status == 201, answer
        entity = answer["password_entity"]
        assert isinstance(entity, dict)
        return str(entity["identifier"])

    def complaints(self, writers: Writers) -> list[str]:
        written = writers.written
        return Left(self.installation.settings, self.tokens, written, written.acknowledged()).complaints()


@pytest.fixture(params=kinds(), ids=lambda kind: kind.__name__)
def scene(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Scene]]:
    kind: Callable[[Path], AbstractContextManager[Disk]] = request.param
    scenes: list[Scene] = []
    place = tmp_path / "disk"
    place.mkdir()

    def make(**environment: str) -> Scene:
        scenes.append(Scene(place, disk, environment))
        return scenes[0]

    with kind(place) as disk:
        yield make
        for scene in scenes:
            scene.installation.close()


GOOD = {"read": 200, "list": 200, "create": 201, "change": 200, "upload": 201, "without a token": 401, "alive": 200}
FULL = {**dict.fromkeys(GOOD, 503), "upload": 507, "without a token": 401, "alive": 200}


def test_a_full_disk_refuses_every_call_that_leaves_a_trace_and_all_goes_on_when_there_is_room(
    scene: Callable[..., Scene],
) -> None:
    here = scene()
    identifier = here.create("mark-0-0;")
    assert here.answers(identifier, "mark-0-1;") == GOOD  # the control
    here.disk.fill()
    for number in range(5):
        assert here.answers(identifier, f"mark-1-{number};") in (FULL, {**FULL, "upload": 503})
    status, out, err = here.installation.attempt("doctor", command=COMMAND)
    assert (status, err) == (1, "")
    assert "unsafe  vault" in out
    here.disk.clear()
    assert here.answers(identifier, "mark-2-0;") == GOOD
    assert here.installation.stop() == 0
    assert "Traceback" not in here.installation.log.read_text()


def test_nothing_is_lost_or_half_when_the_disk_fills_up_among_writes(scene: Callable[..., Scene]) -> None:
    here = scene()
    writers = Writers(here.installation, here.tokens["owner"])
    writers.start()
    log = here.installation.data / "vault.db-wal"
    until(lambda: log.stat().st_size > NEARLY_CHECKPOINTED)
    for _ in range(ROUNDS):
        writers.wait_for_more(5 * WRITERS)
        here.disk.fill()
        writers.wait_for_refusals(5 * WRITERS)
        here.disk.clear()
    writers.stop()
    assert here.installation.stop() == 0
    assert here.complaints(writers) == []
    assert writers.written.open == set()


def test_a_server_that_answers_before_the_commit_is_found_out(scene: Callable[..., Scene]) -> None:
    here = scene(EAGER="yes")
    here.disk.fill()
    writers = Writers(here.installation, here.tokens["owner"], each=1)
    writers.run()
    assert len(writers.written.acknowledged()) == WRITERS
    here.disk.clear()
    here.installation.stop()
    assert "lost" in kinds_of(here.complaints(writers))
