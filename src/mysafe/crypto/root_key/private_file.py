# SPDX-License-Identifier: Apache-2.0
"""Files that nobody else may read: made once, never over another one, and refused when they are open to others."""

import os
import stat
import struct
import sys
from pathlib import Path

from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.domain.secret_text import SecretText

LONGEST_LINE_BYTES = 4096
"""Longest passphrase, PIN or token in a file."""

_OPEN_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
_ACL_HEADER_BYTES = 4
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_USER_OBJECT, _ACL_USER, _ACL_MASK = 0x01, 0x02, 0x10


def write_private(path: Path, content: bytes, what: str) -> None:
    """Make a new file with mode 0600, safely on disk; `what` names it, as in "key file".

    Raises:
        RootKeyRefused: there is a file already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o600)
    except OSError as error:
        raise RootKeyRefused(f"the {what} {path} cannot be made: {error.strerror}") from None
    try:
        _write(descriptor, content, path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a secret would be in the way of the next try
        raise RootKeyRefused(f"the {what} {path} cannot be written: {error.strerror}") from None


def read_private(path: Path, most_bytes: int, what: str) -> bytes:
    """Return the content of a file, at most one byte more than `most_bytes`. Raises RootKeyRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _OPEN_FLAGS)  # a pipe must not make us wait
    except OSError as error:
        reason = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise RootKeyRefused(f"the {what} {path} cannot be opened: {reason}") from None
    try:
        complaint = _complaint(descriptor)
        content = b"" if complaint else os.read(descriptor, most_bytes + 1)
    finally:
        os.close(descriptor)
    if complaint is not None:
        raise RootKeyRefused(f"the {what} {path} {complaint}")
    return content


def read_secret_line(path: Path, what: str) -> SecretText:
    """Return the one line of a file without its end. Raises RootKeyRefused, also if it is empty or no line."""
    content = read_private(path, LONGEST_LINE_BYTES, what)
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text or len(content) > LONGEST_LINE_BYTES:
        raise RootKeyRefused(f"the {what} {path} does not hold exactly one line of text")
    return SecretText(text)


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
