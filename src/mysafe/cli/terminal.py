# SPDX-License-Identifier: Apache-2.0
"""How commands read a password and print records."""

import argparse
import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from mysafe.cli.local_vault import printable
from mysafe.config import Loaded
from mysafe.domain.errors import InvalidField, MissingField, TooLong
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts.users import LONGEST_PASSWORD_BYTES

Options = argparse.Namespace

Command = Callable[[Options, Loaded], int]
"""Does what was asked for and returns the exit status."""


def moment(at: int | None) -> str:
    """Return a time in Unix seconds as ISO 8601 in UTC, "never" for none."""
    return "never" if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def line(*words: str) -> str:
    """Return one line of a list: the words that are not empty, two spaces between them."""
    return "  ".join(printable(word) for word in words if word)


def password_from_stdin() -> SecretText:
    """Return the password without the end of its line.

    Raises:
        MissingField, TooLong, InvalidField: nothing came, more than R-AUTH-01 allows, or no UTF-8.
    """
    if sys.stdin.isatty():
        try:
            return SecretText(getpass.getpass("Password: "))
        except EOFError:
            raise MissingField("password") from None
    text = sys.stdin.buffer.readline(LONGEST_PASSWORD_BYTES + 3)
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text:
        raise MissingField("password")
    if len(text) > LONGEST_PASSWORD_BYTES:
        raise TooLong("password", LONGEST_PASSWORD_BYTES)
    try:
        return SecretText(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidField("password") from None
