# SPDX-License-Identifier: Apache-2.0
"""The key file: 32 bytes on this machine that nobody else may read, or a credential of systemd.

    key file    32 random bytes, and nothing else
    slot        "MR" | format 1 | algorithm 1 | nonce 24 | wrapped root key 32 | tag 16      76 bytes

XAES-256-GCM under the key file, bound to what the caller says.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from mysafe.crypto.aead import KEY_BYTES, NONCE_BYTES, SealBroken
from mysafe.crypto.root_key.private_file import read_private, write_private
from mysafe.crypto.root_key.provider import (
    MAGIC,
    SEALED_BYTES,
    RandomBytes,
    RootKeyRefused,
    open_root_key,
    seal_root_key,
)

CREDENTIAL_NAME = "mysafe-root-key"
"""Name of the key file among the credentials systemd gives to a service."""

_HEADER = MAGIC + b"\x01"
_WHAT = "key file"


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
        write_private(path, os.urandom(KEY_BYTES), _WHAT)
        return cls(path)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the slot of a root key (32 bytes). Raises RootKeyRefused."""
        nonce = self._random_bytes(NONCE_BYTES)
        return _HEADER + seal_root_key(_read(self._path), nonce, key, aad)

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key of a slot. Raises RootKeyRefused, SealBroken."""
        if len(blob) != len(_HEADER) + SEALED_BYTES or not blob.startswith(_HEADER):
            raise SealBroken
        return open_root_key(_read(self._path), blob[len(_HEADER) :], aad)

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


def _read(path: Path) -> bytes:
    """Return the content of a key file. Raises RootKeyRefused."""
    content = read_private(path, KEY_BYTES, _WHAT)
    if len(content) != KEY_BYTES:
        raise RootKeyRefused(f"the key file {path} has not exactly {KEY_BYTES} bytes")
    return content
