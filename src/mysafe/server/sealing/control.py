# SPDX-License-Identifier: Apache-2.0
"""The local socket: one line of JSON in, one line of JSON out, for the user of the server and for root (R-CRY-11).

    {"do": "status" | "unseal" | "seal", "secret": TEXT}        →  {"is_open": BOOL, …, "error": TEXT or null}

The socket has mode 0600 in a directory of mode 0700, and on Linux the system is asked who is at the other end. One
connection is served at a time, for a bounded time.
"""

import json
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET_NAME = "control.sock"
LONGEST_LINE_BYTES = 16_384
SECONDS = 10.0
"""How long one side waits for the other to say something."""

UNSEALING_SECONDS = 120.0
"""How long a command waits for an answer: the server may compute, or finish requests, before it has one."""

_LONGEST_PATH_BYTES = 100
_CREDENTIALS = struct.Struct("iII")

Handle = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""Do what was asked for and return the answer. It must not raise."""


class ControlRefused(Exception):
    """The socket cannot be made or reached. The text is one sentence for the operator."""


class ControlListener:
    """The socket without a thread, for a process that has one thread only and waits for several things.

    Raises:
        ControlRefused: another server listens there, or the socket cannot be made.
    """

    def __init__(self, directory: Path, handle: Handle) -> None:
        self._path = directory / SOCKET_NAME
        self._handle = handle
        self._listener = _listen(directory)

    def fileno(self) -> int:
        """Return the descriptor that is readable when somebody connects."""
        return self._listener.fileno()

    def serve_one(self) -> None:
        """Wait for one connection and serve it, for a bounded time. Raises OSError when the socket was shut."""
        connection, _ = self._listener.accept()
        with connection:
            self._answer(connection)

    def wake(self) -> None:
        """Let `serve_one` return, in whatever thread it waits."""
        self._listener.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Remove the socket."""
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let go of the socket in a process that was forked; the other one goes on listening."""
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        try:
            if not _is_ours(connection):
                return
            asked = _read_line(connection)
            connection.sendall(_line(self._handle(asked)))
        except (OSError, ValueError):
            return  # it said nothing that can be understood, or went away


class ControlSocket:
    """Listen in a thread of its own while the server runs. Raises ControlRefused as a ControlListener does."""

    def __init__(self, directory: Path, handle: Handle) -> None:
        self._is_over = threading.Event()
        self._listener = ControlListener(directory, handle)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, after what is under way, and remove the socket."""
        self._is_over.set()
        self._listener.wake()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                self._listener.serve_one()
            except OSError:
                if self._is_over.is_set():
                    return
                continue  # one connection failed before it began


def ask(directory: Path, question: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the server of a data directory answers. Raises ControlRefused if there is none."""
    path = directory / SOCKET_NAME
    try:
        with _address(directory) as address, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(UNSEALING_SECONDS)
            connection.connect(address)
            if not _is_owner(connection, directory):
                raise ControlRefused(f"what listens at {path} is not the server of this vault")
            connection.sendall(_line(question))
            return _read_line(connection)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlRefused(f"no server of the vault in {directory} runs on this machine") from None
    except (OSError, ValueError) as error:
        raise ControlRefused(f"the server at {path} does not answer: {type(error).__name__}") from None


def _listen(directory: Path) -> socket.socket:
    path = directory / SOCKET_NAME
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _address(directory) as address:
            _remove_stale(path, address)
            mask = os.umask(0o177)
            try:
                listener.bind(address)
            finally:
                os.umask(mask)
        path.chmod(0o600)
        listener.listen(8)
    except OSError as error:
        listener.close()
        raise ControlRefused(f"the socket {path} cannot be made: {error.strerror}") from None
    except ControlRefused:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path, address: str) -> None:
    """Remove the socket of a server that was killed. Raises ControlRefused if anybody listens there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlRefused(f"{path} is in the way: it is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address)
        except OSError:
            path.unlink()
            return
    raise ControlRefused(f"another server listens at {path}")


@contextmanager
def _address(directory: Path) -> Iterator[str]:
    """Give the address of the socket, by way of a descriptor where its path is longer than an address can be."""
    path = str(directory / SOCKET_NAME)
    if len(os.fsencode(path)) <= _LONGEST_PATH_BYTES:
        yield path
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def _is_ours(connection: socket.socket) -> bool:
    """Return whether this user or root is at the other end."""
    user = _peer(connection)
    return user is None or user in {0, os.geteuid()}


def _is_owner(connection: socket.socket, directory: Path) -> bool:
    """Return whether the owner of the vault's directory, or root, is at the other end."""
    user = _peer(connection)
    return user is None or user in {0, directory.stat().st_uid}


def _peer(connection: socket.socket) -> int | None:
    """Return the user at the other end; None where the system does not tell, and the file's mode has to do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(user)


def _read_line(connection: socket.socket) -> dict[str, Any]:
    """Return the JSON object of one line, which must come within the timeout of the connection as a whole.

    Raises OSError, ValueError.
    """
    received = b""
    until = time.monotonic() + (connection.gettimeout() or SECONDS)
    while b"\n" not in received:
        connection.settimeout(max(0.001, until - time.monotonic()))
        part = connection.recv(4096)
        received += part
        if not part or len(received) > LONGEST_LINE_BYTES:
            raise ValueError("no line")
    try:
        whole = json.loads(received)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(whole, dict):
        raise ValueError("no object")  # to whoever reads lines this is one more wrong value
    return whole


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
