# SPDX-License-Identifier: Apache-2.0
"""T-BACKUP: a backup taken under load holds all that was acknowledged before, and answers byte for byte the same.

The control copies the database file alone, as people do, and must be found out: what is in the WAL is lost.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pyrage
import pytest

from tests.support.file_client import RAW, fields_header
from tests.support.process import Installation
from tests.support.server import authorization

BODY = {
    "name": "Mail server",
    "username": "root",
    "password": "pass\u00adwörd \U0001f511",
    "secret_key": "JBSWY3DPEHPK3PXP",
    "notes": "line\nline",
    "tags": "a, b",
    "users_allowed": [{"username": "friend", "can_edit": True}],
}
CONTENT = bytes(range(256)) * 2000


class Scene:
    """An installation with an item, a file, and a writer that never stops."""

    def __init__(self, directory: Path, live: Installation) -> None:
        self.live = live
        self.live.command("user", "add", "owner")
        self.key = self.live.new_key("owner")
        self.live.command("user", "add", "friend")
        self.live.start()
        self.token = self.live.token(self.key)
        _, answer = self.call("POST", "/api/mysafe/password", BODY)
        self.item = str(answer["password_entity"]["identifier"])  # type: ignore[index]  # an entity
        self.file = self._upload()
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write)
        self._writer.start()
        self.identity = pyrage.x25519.Identity.generate()
        self.identity_file = directory / "identity"
        _write_private(self.identity_file, f"# made for a test\n{self.identity}\n")
        self.backup = directory / "vault.age"

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        return self.live.call(method, path, body, self.token)

    def take(self) -> list[str]:
        """Take a backup, and return the items that were acknowledged before."""
        while len(self.acknowledged) < 50:
            self._stop.wait(0.01)
        before = list(self.acknowledged)
        self.live.command("backup", str(self.backup), "--recipient", str(self.identity.to_public()))
        return before

    def stop(self) -> None:
        self._stop.set()
        self._writer.join()
        self.live.stop()

    def copy_of(self, installation: Installation) -> dict[str, bytes]:
        """Return what an installation answers to the owner: the item, its history, the file, and the list."""
        token = installation.token(self.key)
        paths = (
            f"/api/mysafe/password/{self.item}",
            f"/api/mysafe/file/{self.file}/content",
            f"/api/manage/items/password/{self.item}/versions",
        )
        return {path: _get(installation.port, path, token) for path in paths}

    def listed(self, installation: Installation) -> set[str]:
        token = installation.token(self.key)
        lines = json.loads(_get(installation.port, "/api/mysafe/password", token))["password_on_list"]
        return {str(line["identifier"]) for line in lines}

    def _upload(self) -> str:
        headers = {**authorization(self.token), "Content-Type": RAW, **fields_header(name="a file", file_name="f.bin")}
        with closing(HTTPConnection("127.0.0.1", self.live.port, timeout=20)) as connection:
            connection.request("POST", "/api/mysafe/file", CONTENT, headers)
            answer = json.loads(connection.getresponse().read())
        return str(answer["file_entity"]["identifier"])

    def _write(self) -> None:
        body = {"name": "more", "username": "u", "password": "p"}
        while not self._stop.is_set():
            status, answer = self.call("POST", "/api/mysafe/password", body)
            assert status == 201, answer
            self.acknowledged.append(str(answer["password_entity"]["identifier"]))  # type: ignore[index]  # an entity


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _get(port: int, path: str, token: str) -> bytes:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        data = answer.read()
    assert answer.status == 200, data
    return data


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("live")
    live = Installation(directory)
    try:
        scene = Scene(directory, live)
        yield scene
        scene.stop()
    finally:
        live.close()


@pytest.fixture(scope="module")
def before(scene: Scene) -> list[str]:
    """The items acknowledged before the backup that the tests below are about."""
    return scene.take()


def _another(scene: Scene, directory: Path) -> Installation:
    """Return an empty place with the key of the vault."""
    other = Installation(directory, is_on_sqlite=True)
    shutil.rmtree(other.data)
    shutil.copy(scene.live.data.with_suffix(".key"), other.data.with_suffix(".key"))
    return other


def test_a_backup_taken_under_load_answers_byte_for_byte_the_same(
    scene: Scene, before: list[str], tmp_path: Path
) -> None:
    assert before
    other = _another(scene, tmp_path)
    opened = ["--identity", str(scene.identity_file)]
    out = other.command("restore", str(scene.backup), *opened, "--verify")
    assert "records opened" in out
    other.start()
    try:
        assert scene.copy_of(other) == scene.copy_of(scene.live)
        assert set(before) <= scene.listed(other)
        status, answer = other.call("POST", "/api/mysafe/password", BODY, other.token(scene.key))
        entity = answer["password_entity"]
        assert status == 201
        assert int(entity["identifier"]) > 10_000  # type: ignore[index]  # an entity
    finally:
        other.stop()


def test_tokens_of_before_end_with_a_restore(scene: Scene, before: list[str], tmp_path: Path) -> None:
    other = _another(scene, tmp_path)
    other.command("restore", str(scene.backup), "--identity", str(scene.identity_file))
    other.start()
    try:
        assert other.call("GET", "/api/mysafe/password", None, scene.token)[0] == 401
    finally:
        other.stop()


@pytest.mark.sqlite("there is no such file on PostgreSQL")
def test_a_copy_of_the_database_file_alone_is_found_out(scene: Scene, before: list[str], tmp_path: Path) -> None:
    """The control: this is how backups lose what was acknowledged, and `set(before) <= listed` must see it."""
    other = _another(scene, tmp_path)
    other.data.mkdir(mode=0o700)
    more = [scene.call("POST", "/api/mysafe/password", BODY)[1] for _ in range(3)]
    last = str(more[-1]["password_entity"]["identifier"])  # type: ignore[index]  # an entity
    shutil.copy(scene.live.data / "vault.db", other.data / "vault.db")
    os.chmod(other.data / "vault.db", 0o600)
    other.start()
    try:
        lost = {*before, last} - scene.listed(other)
    except AssertionError:
        lost = {"it does not even answer"}
    finally:
        other.stop()
    assert lost


def test_the_wrong_root_key_is_refused(scene: Scene, before: list[str], tmp_path: Path) -> None:
    other = _another(scene, tmp_path)
    other.data.with_suffix(".key").write_bytes(bytes(32))
    status, _, error = other.attempt("restore", str(scene.backup), "--identity", str(scene.identity_file))
    assert (status, other.data.exists()) == (1, False)
    assert "root key does not open this vault" in error


def test_the_wrong_identity_is_refused(scene: Scene, before: list[str], tmp_path: Path) -> None:
    other = _another(scene, tmp_path)
    stranger = tmp_path / "stranger"
    _write_private(stranger, str(pyrage.x25519.Identity.generate()))
    status, _, error = other.attempt("restore", str(scene.backup), "--identity", str(stranger))
    assert (status, other.data.exists()) == (1, False)
    assert "made for another one" in error


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def _flipped(share: float) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        at = int((len(data) - 1) * share)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return flip


@pytest.mark.parametrize(
    "damage",
    [*map(_cut, (0, 0.001, 0.3, 0.999)), *map(_flipped, (0, 0.0005, 0.2, 0.6, 1)), lambda data: data + b"x"],
)
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    damage: Callable[[bytes], bytes], scene: Scene, before: list[str], tmp_path: Path
) -> None:
    other = _another(scene, tmp_path)
    damaged = tmp_path / "damaged.age"
    damaged.write_bytes(damage(scene.backup.read_bytes()))
    status, _, error = other.attempt("restore", str(damaged), "--identity", str(scene.identity_file))
    assert (status, error.count("\n")) == (1, 1), error
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir() if "scratch" in path.name or path == other.data) == []


def test_a_backup_proves_itself_and_doctor_knows(scene: Scene, before: list[str]) -> None:
    out = scene.live.command("backup", "prove", str(scene.backup), "--identity", str(scene.identity_file))
    assert "is whole" in out
    assert "records opened" in out
    assert "backup proved: 0 days ago" in scene.live.command("doctor")
    assert "backup.prove allowed" in scene.live.command("audit", "tail", "--lines", "10000")  # the writer goes on


def test_a_backup_holds_neither_the_root_key_nor_a_secret(scene: Scene, before: list[str]) -> None:
    opened = pyrage.decrypt(scene.backup.read_bytes(), [scene.identity])
    key = scene.live.data.with_suffix(".key").read_bytes()
    assert b"manifest.json" in opened
    for secret in (key, BODY["password"].encode(), BODY["name"].encode(), CONTENT[:64]):  # type: ignore[attr-defined]  # texts
        assert secret not in opened


def test_a_backup_never_replaces_a_file(scene: Scene, before: list[str]) -> None:
    status, _, error = scene.live.attempt("backup", str(scene.backup), "--recipient", str(scene.identity.to_public()))
    assert status == 1
    assert "never replaces a file" in error


def test_a_backup_of_another_vault_is_no_proof(scene: Scene, before: list[str], tmp_path: Path) -> None:
    other = Installation(tmp_path)
    shutil.copy(scene.live.data.with_suffix(".key"), tmp_path / "k")
    status, _, error = other.attempt("backup", "prove", str(scene.backup), "--identity", str(scene.identity_file))
    assert status == 1
    assert "root key does not open this vault" in error
