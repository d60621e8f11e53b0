# SPDX-License-Identifier: Apache-2.0
"""The checks behind `mysafe doctor`: each says ok to the right thing and something else to each wrong one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mysafe.services import health
from mysafe.services.health import RELEASED_AT, State
from mysafe.storage.durability import Durability, read_durability
from mysafe.storage.sqlite_lane import SqliteEngine


def private(path: Path, mode: int = 0o600) -> Path:
    path.write_bytes(b"x")
    path.chmod(mode)
    return path


def test_a_private_directory_is_ok(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert health.data_directory(tmp_path).state is State.OK


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o770])
def test_an_open_directory_is_unsafe(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    finding = health.data_directory(tmp_path)
    assert finding.state is State.UNSAFE
    assert "run chmod 700" in finding.text


def test_what_is_no_directory_is_unsafe(tmp_path: Path) -> None:
    assert health.data_directory(private(tmp_path / "file")).state is State.UNSAFE
    assert health.data_directory(tmp_path / "none").state is State.UNSAFE


def test_a_private_file_is_ok(tmp_path: Path) -> None:
    assert health.private_file("TLS key", private(tmp_path / "tls.key")) == (
        State.OK,
        "TLS key",
        f"{tmp_path}/tls.key (0600)",
    )


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o602])
def test_an_open_file_is_unsafe(mode: int, tmp_path: Path) -> None:
    assert health.private_file("TLS key", private(tmp_path / "tls.key", mode)).state is State.UNSAFE


def test_a_link_to_a_private_file_is_unsafe(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(private(tmp_path / "file"))
    assert health.private_file("TLS key", tmp_path / "link").state is State.UNSAFE


def test_a_file_of_another_user_is_unsafe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = private(tmp_path / "file")
    if os.geteuid() == 0:
        os.chown(file, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert "belongs to another user" in health.private_file("TLS key", file).text


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_every_file_of_the_database_counts(end: str, tmp_path: Path) -> None:
    for one in ("", "-wal", "-shm"):
        private(tmp_path / f"vault.db{one}")
    assert health.database_files(tmp_path / "vault.db").state is State.OK
    (tmp_path / f"vault.db{end}").chmod(0o644)
    finding = health.database_files(tmp_path / "vault.db")
    assert finding.state is State.UNSAFE
    assert f"vault.db{end} " in finding.text


def test_a_key_in_the_data_directory_is_unsafe(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert health.key_place(tmp_path / "data.key", data, None).state is State.OK
    assert health.key_place(data / "data.key", data, None).state is State.UNSAFE
    (tmp_path / "link").symlink_to(data)
    assert health.key_place(tmp_path / "link" / "data.key", data, None).state is State.UNSAFE
    assert health.key_place(tmp_path / "data.key", data, "it is too short") == (
        State.UNSAFE,
        "root key",
        "it is too short",
    )


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (lambda seen: seen._replace(sqlite_version="3.51.2"), "SQLite"),
        (lambda seen: seen._replace(journal_mode="delete"), "durability"),
        (lambda seen: seen._replace(synchronous=1), "durability"),
        (lambda seen: seen._replace(revision="9999"), "schema"),
    ],
)
def test_a_database_that_may_lose_data_is_unsafe(
    change: Callable[[Durability], Durability], subject: str, tmp_path: Path
) -> None:
    engine = SqliteEngine.create(tmp_path / "vault.db")
    try:
        seen = engine.look(read_durability).result()
        assert [finding.state for finding in health.database(engine)] == [State.OK] * 3
    finally:
        engine.close()
    unsafe = [finding for finding in health.durability(change(seen)) if finding.state is State.UNSAFE]
    assert [finding.subject for finding in unsafe] == [subject]


def test_a_clock_before_the_release_is_unsafe() -> None:
    assert health.clock(RELEASED_AT.timestamp()).state is State.OK
    assert health.clock(RELEASED_AT.timestamp() - 1).state is State.UNSAFE


@pytest.mark.parametrize(("mask", "state"), [(0o077, State.OK), (0o177, State.OK), (0o022, State.UNSAFE)])
def test_a_loose_umask_is_unsafe(mask: int, state: State) -> None:
    assert health.umask(mask).state is state


def test_core_files_are_worth_a_warning() -> None:
    assert health.core_files(0).state is State.OK
    assert health.core_files(-1).state is State.WARN


SWAPS = (
    "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-1 partition 8388604 0 -2\n/dev/sda2 partition 1 0 -3\n"
)


@pytest.mark.parametrize(
    ("table", "is_encrypted", "state", "words"),
    [
        ("", lambda _: False, State.OK, "none"),
        (SWAPS.splitlines()[0], lambda _: False, State.OK, "none"),
        (SWAPS, lambda _: True, State.OK, "encrypted"),
        (SWAPS, lambda place: place == "/dev/dm-1", State.WARN, "/dev/sda2"),
    ],
)
def test_swap_in_the_clear_is_worth_a_warning(
    table: str, is_encrypted: Callable[[str], bool], state: State, words: str
) -> None:
    finding = health.swap(table, is_encrypted)
    assert finding.state is state
    assert words in finding.text


def test_compressed_memory_is_no_clear_swap() -> None:
    assert health.is_swap_encrypted("/dev/zram0")
    assert not health.is_swap_encrypted("/swapfile")
    assert not health.is_swap_encrypted("/dev/zram0x")


@pytest.mark.parametrize(("ahead", "state"), [(-5, State.OK), (100, State.OK), (3600, State.WARN)])
def test_an_audit_entry_from_the_future_is_worth_a_warning(ahead: int, state: State) -> None:
    finding = health.newest_entry(7, RELEASED_AT.timestamp() + ahead, RELEASED_AT.timestamp())
    assert finding.state is state
    assert "number" in finding.text
