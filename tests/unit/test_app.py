# SPDX-License-Identifier: Apache-2.0
"""Making and opening a vault: all or nothing, never over something that exists, never with a wrong key."""

import fcntl
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mysafe import app, making, opening
from mysafe.config import Settings
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.services.keys import KeysRefused
from mysafe.storage.engine import StorageRefused


def test_a_vault_is_made_with_its_key_beside_it_and_opens_again(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    making.initialise(settings)
    assert (tmp_path / "data.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "vault.db").stat().st_mode & 0o777 == 0o600
    opening.open_vault(settings).close()


def test_an_interrupted_init_leaves_nothing_in_the_way_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path / "data")
    with monkeypatch.context() as patch:
        patch.setattr(making, "_fill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            making.initialise(settings)
    key = (tmp_path / "data.key").read_bytes()
    assert list((tmp_path / "data").iterdir()) == []
    making.initialise(settings)
    assert (tmp_path / "data.key").read_bytes() == key  # it may open another vault: it is used again, not replaced
    opening.open_vault(settings).close()


def test_what_a_killed_init_left_is_removed_by_the_next(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    settings.data.mkdir(mode=0o755)
    for end in ("", "-wal", "-shm"):
        (settings.data / f".vault.db.1.new{end}").write_bytes(b"half a vault")
    making.initialise(settings)
    assert [path.name for path in settings.data.iterdir()] == ["vault.db"]
    assert settings.data.stat().st_mode & 0o777 == 0o700
    opening.open_vault(settings).close()


def test_a_database_elsewhere_gets_its_name_at_the_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(tmp_path / "data", database=f"sqlite:///{tmp_path}/other/my.db")
    with monkeypatch.context() as patch:
        patch.setattr(making, "_fill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            making.initialise(settings)
    making.initialise(settings)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["my.db"]
    opening.open_vault(settings).close()
    with pytest.raises(making.InitRefused):
        making.initialise(settings)


def test_two_who_make_a_vault_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, create = Settings(tmp_path / "data"), making._fill

    def create_while_another_tries(*arguments: Any) -> None:
        with pytest.raises(making.InitRefused, match="another command"):
            making.initialise(settings)
        create(*arguments)

    monkeypatch.setattr(making, "_fill", create_while_another_tries)
    making.initialise(settings)
    opening.open_vault(settings).close()


def test_leftovers_of_a_database_with_a_strange_name_are_found(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data", database=f"sqlite:///{tmp_path}/data/v[1].db")
    settings.data.mkdir()
    (settings.data / ".v[1].db.77.new").write_bytes(b"half a vault")
    making.initialise(settings)
    opening.open_vault(settings).close()


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_vault_is_not_made_over_anything(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    making.initialise(settings)
    before = (tmp_path / "data" / "vault.db").read_bytes()
    with pytest.raises(making.InitRefused):
        making.initialise(settings)
    assert (tmp_path / "data" / "vault.db").read_bytes() == before


def test_another_key_does_not_open_a_vault(tmp_path: Path) -> None:
    for name in ("one", "two"):
        making.initialise(Settings(tmp_path / name))
    with pytest.raises(KeysRefused) as refused:
        opening.open_vault(Settings(tmp_path / "one", key_file=tmp_path / "two.key"))
    assert "does not open this vault" in str(refused.value)


def test_a_vault_does_not_open_without_its_key_or_database(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    with pytest.raises(StorageRefused):
        opening.open_vault(settings)
    making.initialise(settings)
    (tmp_path / "data.key").unlink()
    with pytest.raises(RootKeyRefused):
        opening.open_vault(settings)


def test_a_vault_that_is_served_is_not_served_twice(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    making.initialise(settings)
    descriptor = os.open(settings.data, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # as the first server does
        with pytest.raises(app.StartRefused, match="another server"):
            app.serve(settings)
    finally:
        os.close(descriptor)


def test_a_vault_is_not_served_by_a_clock_from_before_this_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path / "data")
    making.initialise(settings)
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    with pytest.raises(app.StartRefused):
        app.serve(settings)
