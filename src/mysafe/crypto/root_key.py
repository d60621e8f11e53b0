# SPDX-License-Identifier: Apache-2.0
"""Providers of the root key: each wraps and unwraps the same 32 bytes. Knows neither keyring nor database.

    key file    32 random bytes, and nothing else
    slot        "MR" | format 1 | algorithm 1 | nonce 24 | wrapped root key 32 | tag 16      76 bytes

A slot of the key file provider is sealed with XAES-256-GCM under the key file; what it is bound to is the caller's
business. A provider is called when a vault is made, opened or rotated, never by a request.
"""

import os
import stat
import struct
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, Self

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, TAG_BYTES, SealBroken, XaesKey

CREDENTIAL_NAME = "mysafe-root-key"
"""Name of the key file among the credentials systemd gives to a service."""

ENTRY_POINT_GROUP = "mysafe.root_provider"

_HEADER = b"MR\x01\x01"
_SLOT_BYTES = len(_HEADER) + NONCE_BYTES + KEY_BYTES + TAG_BYTES
_OPEN_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
_ACL_HEADER_BYTES = 4
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_USER_OBJECT, _ACL_USER, _ACL_MASK = 0x01, 0x02, 0x10

RandomBytes = Callable[[int], bytes]


class RootKeyRefused(Exception):
    """The root key cannot be had safely. The text is one sentence for the operator, without key material."""


class RootKeyProvider(Protocol):
    """Wrap and unwrap the root key. `name` is stored with each slot and finds the provider again."""

    @property
    def name(self) -> str:
        """The name in the entry-point group, as stored with a slot."""

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the root key wrapped and bound to `aad`. Raises RootKeyRefused."""

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of what `wrap` returned for the same `aad`. Raises RootKeyRefused, SealBroken."""

    def health(self) -> str | None:
        """Return what is wrong with the provider in one sentence, or None."""


def new_root_key() -> bytes:
    """Return a new root key: 32 random bytes."""
    return os.urandom(KEY_BYTES)


class KeyFileProvider:
    """Wrap the root key under a file of 32 bytes that nobody else may read. The file is read at each use.

    Args:
        path: the key file.
        random_bytes: source of nonces; anything but `os.urandom` is for test vectors.
    """

    name = "keyfile"

    def __init__(self, path: str | Path, *, random_bytes: RandomBytes = os.urandom) -> None:
        self._path = Path(path)
        self._random_bytes = random_bytes

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """Make a new key file with mode 0600, safely on disk, and return its provider.

        Raises:
            RootKeyRefused: there is a file already, or it cannot be written.
        """
        path = Path(path)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o600)
        except OSError as error:
            raise RootKeyRefused(f"the key file {path} cannot be made: {error.strerror}") from None
        try:
            _write(descriptor, os.urandom(KEY_BYTES), path.parent)
        except OSError as error:
            path.unlink(missing_ok=True)  # half a key would be in the way of the next try
            raise RootKeyRefused(f"the key file {path} cannot be written: {error.strerror}") from None
        return cls(path)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the slot of a root key (32 bytes). Raises RootKeyRefused."""
        if len(key) != KEY_BYTES:
            raise ValueError("a root key has 32 bytes")
        return _HEADER + XaesKey(_read(self._path)).seal_with_nonce(self._random_bytes(NONCE_BYTES), key, aad)

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of a slot. Raises RootKeyRefused, SealBroken."""
        if len(blob) != _SLOT_BYTES or not blob.startswith(_HEADER):
            raise SealBroken
        return XaesKey(_read(self._path)).open(blob[len(_HEADER) :], aad)

    def health(self) -> str | None:
        """Return what is wrong with the key file in one sentence, or None."""
        try:
            _read(self._path)
        except RootKeyRefused as refused:
            return str(refused)
        return None


def find_key_file(explicit: Path | None, default: Path, environ: Mapping[str, str]) -> Path:
    """Return where the key file is: as told, else among the systemd credentials if it is there, else `default`."""
    if explicit is not None:
        return explicit
    directory = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(directory, CREDENTIAL_NAME) if directory else None
    return credential if credential is not None and credential.exists() else default


def load_provider(name: str, parameters: Mapping[str, str]) -> RootKeyProvider:
    """Return the provider of a name, made with its parameters; `keyfile` takes `path`.

    Raises:
        RootKeyRefused: there is not exactly one such provider, or it takes other parameters.
    """
    try:
        provider: RootKeyProvider = _maker(name)(**parameters)
    except TypeError:
        raise RootKeyRefused(f"the root key provider {name} does not take these parameters") from None
    return provider


def _maker(name: str) -> Callable[..., RootKeyProvider]:
    if name == KeyFileProvider.name:
        return KeyFileProvider  # first: an installed package must not be able to take this name
    points = tuple(entry_points(group=ENTRY_POINT_GROUP, name=name))
    if len(points) != 1:
        raise RootKeyRefused(f"{len(points) or 'no'} installed packages have a root key provider {name}")
    maker: Callable[..., RootKeyProvider] = points[0].load()
    return maker


def _write(descriptor: int, content: bytes, directory: Path) -> None:
    """Write a new file and see it on disk, its name in the directory included."""
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask was
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _read(path: Path) -> bytes:
    """Return the content of a key file. Raises RootKeyRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _OPEN_FLAGS)  # a pipe must not make us wait
    except OSError as error:
        reason = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise RootKeyRefused(f"the key file {path} cannot be opened: {reason}") from None
    try:
        complaint = _complaint(descriptor)
        content = b"" if complaint else os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if complaint is None and len(content) != KEY_BYTES:
        complaint = f"has not exactly {KEY_BYTES} bytes"
    if complaint is not None:
        raise RootKeyRefused(f"the key file {path} {complaint}")
    return content


def _complaint(descriptor: int) -> str | None:
    seen = os.fstat(descriptor)
    if not stat.S_ISREG(seen.st_mode):
        return "is not a regular file"
    if seen.st_uid not in {os.geteuid(), 0}:
        return "belongs to another user: run chown on it"
    mode = stat.S_IMODE(seen.st_mode)
    if mode & 0o037 or (mode & 0o040 and not _is_for_this_user_alone(_access_list(descriptor))):
        return f"is open to other users ({mode:04o}): run chmod 600 on it"
    return None


def _access_list(descriptor: int) -> bytes:
    """Return the POSIX access control list of an open file, empty if it has none."""
    if sys.platform != "linux":
        return b""
    try:
        return os.getxattr(descriptor, "system.posix_acl_access")
    except OSError:
        return b""


def _is_for_this_user_alone(access_list: bytes) -> bool:
    """Return whether an access control list lets in, besides the owner, at most the user of this process.

    systemd leaves the credentials of a service to root and lets the service's user in by such a list. The group
    bits of the file then show the list's mask, which looks as if the group could read it.

    Source: acl(5); linux/posix_acl_xattr.h.
    """
    entries = access_list[_ACL_HEADER_BYTES:]
    if not entries or len(entries) % _ACL_ENTRY.size:
        return False
    return all(
        not permissions or tag in {_ACL_USER_OBJECT, _ACL_MASK} or (tag == _ACL_USER and user == os.geteuid())
        for tag, permissions, user in _ACL_ENTRY.iter_unpack(entries)
    )
