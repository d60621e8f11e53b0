# SPDX-License-Identifier: Apache-2.0
"""Encrypt a stream to an age recipient, or under a passphrase. Knows not what is in the stream.

    for a recipient     the age file, as `age -r` makes it
    for a passphrase    a tar archive of two age files: `identity.age`, a fresh age identity under the passphrase, and
                        `backup.age`, the stream for that identity. So even a stream of many gigabytes is never
                        held in memory, and age's own program opens both.

Source: the age format (https://age-encryption.org/v1).
"""

import io
import tarfile
from typing import BinaryIO, NoReturn

import pyrage

from mysafe.domain.secret_text import SecretText

IDENTITY_NAME, STREAM_NAME = "identity.age", "backup.age"

_MAGIC = b"age-encryption.org/v1\n"
_BLOCK = tarfile.BLOCKSIZE
_LARGEST_IDENTITY = 65_536
_MARK = "AGE-SECRET-KEY-"


SHORTEST_PASSPHRASE = 15
"""Fewest characters of a new passphrase: it can be tried for as long as somebody has the file."""


class AgeRefused(Exception):
    """It cannot be encrypted or decrypted. The text is one sentence for the operator, without key material."""


def check_passphrase(passphrase: SecretText) -> None:
    """Return if something may be sealed under a passphrase. Raises AgeRefused."""
    if len(passphrase.reveal()) < SHORTEST_PASSPHRASE:
        raise AgeRefused(f"the passphrase of a backup must have at least {SHORTEST_PASSPHRASE} characters")


def check_recipient(text: str) -> str:
    """Return an X25519 recipient (`age1…`) as it is written. Raises AgeRefused."""
    try:
        return str(pyrage.x25519.Recipient.from_str(text.strip()))
    except pyrage.RecipientError:
        raise AgeRefused("this is no age recipient: it begins with age1, and `age-keygen` prints it") from None


def find_identity(text: SecretText) -> SecretText:
    """Return the identity in the text of a file as `age-keygen` writes it. Raises AgeRefused."""
    lines = [line.strip() for line in text.reveal().splitlines()]
    found = [line for line in lines if line.startswith(_MARK)]
    if len(found) != 1:
        raise AgeRefused("the identity file must hold exactly one line that begins with AGE-SECRET-KEY-")
    return SecretText(found[0])


def seal_for_recipient(source: BinaryIO, target: BinaryIO, recipient: str) -> None:
    """Encrypt a stream to the holder of an identity. Raises AgeRefused."""
    try:
        pyrage.encrypt_io(source, target, [pyrage.x25519.Recipient.from_str(recipient)])
    except (pyrage.EncryptError, pyrage.RecipientError):
        raise AgeRefused("the stream cannot be encrypted to this recipient") from None


def seal_for_passphrase(source: BinaryIO, target: BinaryIO, passphrase: SecretText) -> None:
    """Encrypt a stream under a passphrase. `target` can be sought. Raises AgeRefused."""
    identity = pyrage.x25519.Identity.generate()
    wrapped = pyrage.passphrase.encrypt(str(identity).encode(), passphrase.reveal())
    _write_member(target, IDENTITY_NAME, wrapped)
    head_at = target.tell()
    target.write(bytes(_BLOCK))  # the length is not known yet
    seal_for_recipient(source, target, str(identity.to_public()))
    end = target.tell()
    target.write(bytes(-end % _BLOCK + 2 * _BLOCK))
    target.seek(head_at)
    target.write(_head(STREAM_NAME, end - head_at - _BLOCK))
    target.seek(0, io.SEEK_END)


def is_under_passphrase(source: BinaryIO) -> bool:
    """Return whether a file was made for a passphrase, and begin anew. Raises AgeRefused if it is neither."""
    head = source.read(_BLOCK)
    source.seek(0)
    if head.startswith(_MAGIC):
        return False
    if head.startswith(IDENTITY_NAME.encode() + b"\0"):
        return True
    raise AgeRefused("this is no backup of mysafe: it is neither an age file nor one of ours with a passphrase")


def open_with_identity(source: BinaryIO, target: BinaryIO, identity: SecretText) -> None:
    """Decrypt a stream for the holder of an identity.

    What was written to `target` before an error is authentic, but it is not all. Raises AgeRefused.
    """
    try:
        key = pyrage.x25519.Identity.from_str(identity.reveal())
    except pyrage.IdentityError:
        raise AgeRefused("this is no age identity") from None
    try:
        pyrage.decrypt_io(source, target, [key])
    except pyrage.DecryptError as error:
        _explain(error)
    except OSError as error:
        if error.errno is not None:
            raise  # the operating system's, about the target
        _explain(error)


def open_with_passphrase(source: BinaryIO, target: BinaryIO, passphrase: SecretText) -> None:
    """Decrypt a stream under a passphrase. As `open_with_identity`."""
    size = _read_head(source, IDENTITY_NAME)
    if size > _LARGEST_IDENTITY:
        raise AgeRefused("the backup is damaged: its first part is too large")
    wrapped = source.read(size)
    source.seek(-size % _BLOCK, io.SEEK_CUR)
    _read_head(source, STREAM_NAME)
    try:
        identity = pyrage.passphrase.decrypt(wrapped, passphrase.reveal()).decode("ascii")
    except pyrage.DecryptError:
        raise AgeRefused("the passphrase is wrong, or the backup is damaged") from None
    open_with_identity(_Bounded(source), target, SecretText(identity))  # type: ignore[arg-type]  # all that is read of it


def _explain(error: Exception) -> NoReturn:
    if "No matching keys" in str(error):
        raise AgeRefused("this identity does not open the backup: it was made for another one") from None
    raise AgeRefused("the backup is damaged or cut short") from None


def _head(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry.tobuf(tarfile.GNU_FORMAT)


def _write_member(target: BinaryIO, name: str, content: bytes) -> None:
    target.write(_head(name, len(content)) + content + bytes(-len(content) % _BLOCK))


def _read_head(source: BinaryIO, name: str) -> int:
    try:
        entry = tarfile.TarInfo.frombuf(source.read(_BLOCK), "utf-8", "strict")
    except tarfile.HeaderError:
        raise AgeRefused("the backup is damaged or cut short") from None
    if entry.name != name:
        raise AgeRefused("this is no backup of mysafe: its parts have other names")
    return entry.size


class _Bounded(io.RawIOBase):
    """The rest of a file, as far as its part goes."""

    def __init__(self, source: BinaryIO) -> None:
        here = source.tell()
        source.seek(here - _BLOCK)
        self._left = _read_head(source, STREAM_NAME)
        self._source = source

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data
