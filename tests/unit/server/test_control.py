# SPDX-License-Identifier: Apache-2.0
"""The local socket: for its owner only, one line each way, and no line stops it."""

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mysafe.server.sealing import control
from mysafe.server.sealing.control import SOCKET_NAME, ControlRefused, ControlSocket, ask


def echo(asked: Mapping[str, str]) -> Mapping[str, Any]:
    return {"asked": dict(asked)}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    listening = ControlSocket(tmp_path, echo)
    yield tmp_path
    listening.close()
    assert not (tmp_path / SOCKET_NAME).exists()


def test_a_question_is_answered_on_a_socket_of_its_owner_only(directory: Path) -> None:
    assert ask(directory, {"do": "status"}) == {"asked": {"do": "status"}}
    mode = (directory / SOCKET_NAME).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_another_user_is_not_answered(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_peer", lambda connection: 12_345)
    with pytest.raises(ControlRefused, match="not the server of this vault"):
        ask(directory, {})
    monkeypatch.setattr(control, "_is_owner", lambda connection, where: True)
    with pytest.raises(ControlRefused, match="does not answer"):
        ask(directory, {})
    monkeypatch.setattr(control, "_peer", lambda connection: 0)
    assert ask(directory, {}) == {"asked": {}}


def test_the_system_says_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert control._peer(one) == os.geteuid()


NONSENSE: tuple[bytes, ...] = (
    b"",
    b"\n",
    b"{}",
    b"[]\n",
    b"nothing\n",
    b"\xff\n",
    b'{"do":' + b"9" * 20_000,
    b"[" * 9_000 + b"\n",
)


@pytest.mark.parametrize("line", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_not_answered_and_stops_nothing(line: bytes, directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(directory / SOCKET_NAME))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        try:
            answered = connection.recv(100)
        except ConnectionResetError:
            answered = b""
        assert answered == b""
    assert ask(directory, {}) == {"asked": {}}


def test_there_is_one_sentence_where_no_server_runs(tmp_path: Path) -> None:
    with pytest.raises(ControlRefused, match="no server"):
        ask(tmp_path, {})
    _leave_a_stale_socket(tmp_path)
    with pytest.raises(ControlRefused, match="no server"):
        ask(tmp_path, {})


def test_the_socket_of_a_killed_server_is_replaced_and_that_of_a_living_one_never(tmp_path: Path) -> None:
    _leave_a_stale_socket(tmp_path)
    first = ControlSocket(tmp_path, echo)
    with pytest.raises(ControlRefused, match="another server"):
        ControlSocket(tmp_path, echo)
    assert ask(tmp_path, {}) == {"asked": {}}
    first.close()
    (tmp_path / SOCKET_NAME).write_text("a file", encoding="utf-8")
    with pytest.raises(ControlRefused, match="no socket"):
        ControlSocket(tmp_path, echo)
    assert (tmp_path / SOCKET_NAME).read_text(encoding="utf-8") == "a file"


def test_a_directory_may_have_a_longer_path_than_an_address(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    listening = ControlSocket(directory, echo)
    assert ask(directory, {}) == {"asked": {}}
    listening.close()


def _leave_a_stale_socket(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / SOCKET_NAME))


def test_whoever_sends_byte_after_byte_is_left_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise one who never ends would keep the server from ending, too."""
    monkeypatch.setattr(control, "SECONDS", 0.3)
    listening = ControlSocket(tmp_path, echo)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / SOCKET_NAME))
        began, is_left = time.monotonic(), False
        while not is_left and time.monotonic() - began < 20:
            try:
                client.sendall(b" ")
            except OSError:
                is_left = True
            threading.Event().wait(0.05)
    listening.close()
    assert is_left
