# SPDX-License-Identifier: Apache-2.0
"""Texts that must not turn up, and how to find them again whatever they were encoded as."""

import secrets
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

A_PART = "a part of one"
"""What is found when a canary was cut."""

_LETTERS = 16


def _random_letters(count: int) -> str:
    """Return letters that a TOTP seed may have too: A to Z and 2 to 7."""
    return b32encode(secrets.token_bytes(count)).decode()[:count]


class Canaries:
    """Named texts that begin with one mark, so that a place can be searched for all of them at once."""

    def __init__(self) -> None:
        self._mark = _random_letters(10)
        self._planted: dict[str, str] = {}
        self._issued: dict[str, str] = {}

    def plant(self, name: str) -> str:
        """Return a new text of that name: ASCII letters and digits only, so that no encoder may leave any out."""
        self._planted[name] = self._mark + _random_letters(_LETTERS)
        return self._planted[name]

    def expect_none_of(self, name: str, text: str) -> None:
        """Look out for a text that somebody else made."""
        self._issued[name] = text

    def names(self) -> set[str]:
        return {*self._planted, *self._issued}

    def found_in(self, data: bytes) -> set[str]:
        """Return the names of the texts that stand somewhere in the data, in any of the encodings."""
        lower = data.lower()
        found = _names_in(lower, self._issued)
        if any(needle in lower for needle in needles(self._mark)):
            found |= _names_in(lower, self._planted) or {A_PART}
        return found


def _names_in(lower: bytes, texts: Mapping[str, str]) -> set[str]:
    return {name for name, text in texts.items() if any(needle in lower for needle in needles(text))}


@cache
def needles(text: str) -> frozenset[bytes]:
    """Return what a text looks like in lower case after encoding, wherever it began, capitals counting or not."""
    found = set()
    for spelling in (text, text.lower(), text.upper()):
        data = spelling.encode()
        found |= {data, data.hex().encode(), spelling.encode("utf-16-le"), spelling.encode("utf-16-be")}
        found |= {"".join(f"\\u{ord(letter):04x}" for letter in spelling).encode()}
        found |= {"".join(f"%{byte:02x}" for byte in data).encode()}
        found |= set(_in_base64(data))
    return frozenset(needle.lower() for needle in found)


def _in_base64(data: bytes) -> Iterator[bytes]:
    """Yield the part that does not depend on the neighbours, for each place in a group of three bytes."""
    for shift in range(3):
        first, end = -(-8 * shift // 6), 8 * (shift + len(data)) // 6
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(bytes(shift) + data)[first:end]


def files_under(root: Path) -> dict[str, bytes]:
    """Return the contents of every file below a directory, by path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def process_texts(pid: int) -> dict[str, bytes]:
    """Return the command line and the environment of a process, and what is in its open files, deleted ones too.

    What the system keeps from other processes is left out, and so is a process that has ended.
    """
    process = Path(f"/proc/{pid}")
    found = {}
    for path in (process / "cmdline", process / "environ", *_open_files(process)):
        try:
            if path.is_file():
                found[path.relative_to(process).as_posix()] = path.read_bytes()
        except (PermissionError, FileNotFoundError):
            pass  # a process that hides its memory hides its environment too, from everybody but root
    return found


def _open_files(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except (PermissionError, FileNotFoundError):
        return []  # as above
