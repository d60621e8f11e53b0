# SPDX-License-Identifier: Apache-2.0
"""Read a secret that the operator keeps in a file of its own (R-CFG-07)."""

import os
import stat
from pathlib import Path

from mysafe.storage.engine import StorageRefused

LONGEST_BYTES = 4096


def read_secret_file(path: Path) -> str:
    """Return the text of a file without the end of its line. Raises StorageRefused if others may read it."""
    try:
        # A pipe would let the start wait for ever.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            data = opened.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise StorageRefused(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise StorageRefused(f"{path} may be read or changed by others: run chmod 600 on it")
    try:
        secret = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        secret = ""
    if not secret or len(data) > LONGEST_BYTES or not secret.isprintable():
        raise StorageRefused(f"{path} must hold one line with a password")
    return secret
