# SPDX-License-Identifier: Apache-2.0
"""T-CONF: the server starts on a correct installation, and refuses each broken one with one sentence."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mysafe.config import Settings, load_settings
from tests.support import databases
from tests.support.process import COMMAND, free_port

EVERYWHERE = "0.0.0.0"  # noqa: S104  # it is refused


@dataclass
class Place:
    """A copy of an installation that a case may spoil, and what the case adds to a command."""

    folder: Path
    address: object = None
    environ: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def settings(self) -> Settings:
        return load_settings({"data": self.data, "database": self.address}, {}, None)

    @property
    def database(self) -> Path:
        return self.data / "vault.db"

    @property
    def key(self) -> Path:
        return self.folder / "data.key"

    def start(self, *command: str) -> "subprocess.Popen[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MYSAFE_")}
        return subprocess.Popen(
            [*COMMAND, *command, *self.arguments],
            env={**kept, "MYSAFE_DATA": str(self.data), "MYSAFE_DATABASE": str(self.address or ""), **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str, str]:
        with self.start(*command) as process:
            out, err = process.communicate(timeout=30)
        return process.returncode, out, err


def new_place(folder: Path) -> Place:
    return Place(folder, databases.chosen().get("database"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = new_place(tmp_path_factory.mktemp("made"))
    status, _, err = place.run("init")
    assert status == 0, err
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    address = databases.copied(made.settings, tmp_path) if databases.IS_ON_POSTGRESQL else None
    return Place(Path(shutil.copytree(made.folder, tmp_path / "place")), address)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return connection.recv(9) == b"HTTP/1.1 "
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_correct_installation_starts_and_stops_with_status_0(place: Place, number: int) -> None:
    port = free_port()
    with place.start("serve", "--port", str(port)) as process:
        began = time.monotonic()
        while not answers(port):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() - began < 30
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_a_correct_installation_passes_the_examination(place: Place) -> None:
    status, out, err = place.run("doctor")
    assert (status, err) == (0, ""), out + err
    states = {line.partition(" ")[0] for line in out.splitlines()}
    assert "ok" in states
    assert "unsafe" not in states
    assert "setting port = 8080 (default)" in out
    assert f"setting data = {place.data} (MYSAFE_DATA)" in out


def _newer_schema(place: Place) -> None:
    with databases.beside(place.settings) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        assert connection.changes() == 1


def _damage(place: Place) -> None:
    place.database.write_bytes(b"no database at all" * 1000)


def _another_program(place: Place) -> None:
    with databases.beside(place.settings) as connection:
        connection.execute("DROP TABLE alembic_version")


def _no_vault(place: Place) -> None:
    with databases.beside(place.settings) as connection:
        connection.execute("DELETE FROM vault")


def _nobody_there(place: Place) -> None:
    place.address = f"postgresql://mysafe@/v?host={place.folder}"


def _another_key(place: Place) -> None:
    content = place.key.read_bytes()
    place.key.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def _symbolic_key(place: Place) -> None:
    place.key.rename(place.folder / "real.key")
    place.key.symlink_to(place.folder / "real.key")


def _settings_for_all(place: Place) -> None:
    file = place.folder / "mysafe.toml"
    file.write_text("[server]\nport = 8080\n", encoding="utf-8")
    file.chmod(0o644)
    place.environ["MYSAFE_CONFIG"] = str(file)


Case = tuple[Callable[[Place], object], str]

OF_SQLITE: dict[str, Case] = {
    "a database that others can read": (lambda place: place.database.chmod(0o644), "vault.db"),
    "no database": (lambda place: place.database.unlink(), "vault.db"),
    "a file that is no database": (_damage, "database"),
}
OF_POSTGRESQL: dict[str, Case] = {
    "a server that does not answer": (_nobody_there, "cannot be reached"),
}
REFUSED: dict[str, Case] = {
    **(OF_POSTGRESQL if databases.IS_ON_POSTGRESQL else OF_SQLITE),
    "a key that others can read": (lambda place: place.key.chmod(0o644), "data.key"),
    "a key that the group can read": (lambda place: place.key.chmod(0o640), "data.key"),
    "no key": (lambda place: place.key.unlink(), "data.key"),
    "a short key": (lambda place: place.key.write_bytes(b"short"), "data.key"),
    "a symbolic link for a key": (_symbolic_key, "data.key"),
    "another key": (_another_key, "does not open this vault"),
    "a database without a vault": (_no_vault, "no vault"),
    "tables of another program": (_another_program, "another program"),
    "a newer schema": (_newer_schema, "the schema 9999"),
    "settings that others can read": (_settings_for_all, "chmod 640"),
    "an unknown setting": (lambda place: place.environ.update(MYSAFE_HOTS="x"), "unknown setting MYSAFE_HOTS"),
    "an address without encryption": (lambda place: place.environ.update(MYSAFE_HOST=EVERYWHERE), "unencrypted"),
    "a proxy without addresses": (
        lambda place: place.environ.update(MYSAFE_HOST=EVERYWHERE, MYSAFE_BEHIND_PROXY="true"),
        "trusted_proxies",
    ),
    "a password in the address of the database": (
        lambda place: place.environ.update(MYSAFE_DATABASE="postgresql://u:8jhfy@db/v"),
        "may not hold a password",
    ),
}


@pytest.mark.parametrize(("spoil", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_broken_installation_is_refused_with_one_sentence(
    spoil: Callable[[Place], object], words: str, place: Place
) -> None:
    spoil(place)
    status, out, err = place.run("serve", "--port", "0")
    assert (status, out) == (1, "")
    assert err.startswith("mysafe: ")
    assert err.count("\n") == 1
    assert words in err
    assert "8jhfy" not in err


@pytest.mark.parametrize(("spoil", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_the_examination_of_a_broken_installation_is_red(
    spoil: Callable[[Place], object], words: str, place: Place
) -> None:
    spoil(place)
    status, out, err = place.run("doctor")
    assert status == 1
    assert words in out + err
    assert any(line.startswith("unsafe ") for line in out.splitlines()) or err.startswith("mysafe: ")
    assert "Traceback" not in err


def test_the_examination_notices_an_open_data_directory(place: Place) -> None:
    place.data.chmod(0o755)
    status, out, _ = place.run("doctor")
    assert status == 1
    assert f"unsafe  data directory: {place.data} is open to other users (0755)" in out


def test_the_examination_notices_an_emptied_audit_log(place: Place) -> None:
    with databases.beside(place.settings) as connection:
        connection.execute("DELETE FROM audit")
    status, out, err = place.run("doctor")
    assert (status, err) == (1, "")
    assert "unsafe  audit log: it is empty" in out


def test_a_port_in_use_is_refused_with_one_sentence(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, out, err = place.run("serve", "--port", str(taken.getsockname()[1]))
    assert (status, out) == (1, "")
    assert "Traceback" not in err
    assert "in use" in err


def _each_thing(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def test_init_does_not_touch_what_is_there(place: Place) -> None:
    before = list(_each_thing(place.folder))
    assert before
    status, out, err = place.run("init")
    assert (status, out) == (1, "")
    assert ("there is a vault in the database" if databases.IS_ON_POSTGRESQL else "is not empty") in err
    assert list(_each_thing(place.folder)) == before


def test_init_makes_private_files(tmp_path: Path) -> None:
    place = new_place(tmp_path / "new")
    status, _, err = place.run("init")
    assert (status, err) == (0, "")
    modes = {path.relative_to(place.folder).as_posix(): path.stat().st_mode & 0o777 for path in place.folder.rglob("*")}
    assert modes["data"] == 0o700
    assert modes["data.key"] == modes.get("data/vault.db", 0o600) == 0o600
    assert ("data/vault.db" in modes) is not databases.IS_ON_POSTGRESQL
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes


@pytest.mark.sqlite("it names a file of SQLite")
def test_init_takes_a_database_address(tmp_path: Path) -> None:
    place = Place(tmp_path / "new")
    place.folder.mkdir(mode=0o700)
    address = f"sqlite:///{place.folder}/elsewhere.db"
    status, _, err = place.run("init", "--database", address)
    assert (status, err) == (0, "")
    assert (place.folder / "elsewhere.db").exists()
    assert not place.database.exists()
    status, _, err = place.run("user", "add", "demo", "--database", address)
    assert (status, err) == (0, "")
