# SPDX-License-Identifier: Apache-2.0
"""Ask the operator for secrets: on the terminal, or from standard input. Nothing typed is shown."""

import getpass
import os
import sys
from collections.abc import Callable, Iterator

from mysafe.domain.errors import InvalidField, MissingField, WrongState
from mysafe.domain.secret_text import SecretText

LONGEST_SECRET = 4096
"""Characters of a line that is a secret for `mysafe unseal`."""


def ask_secret(what: str) -> SecretText:
    """Ask for a passphrase, a code or a share on the terminal; a new one is asked for twice. Nothing is shown.

    Raises:
        MissingField, InvalidField: nothing was typed, or two different ones.
        WrongState: there is no terminal.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise WrongState(f"the {what} is asked for on a terminal, and there is none") from None
    try:
        text = getpass.getpass(f"{what.capitalize()}: ")
        if what.startswith("new ") and getpass.getpass(f"{what.capitalize()}, once more: ") != text:
            raise InvalidField(what)
    except EOFError:
        text = ""
    if not text:
        raise MissingField(what)
    return SecretText(text)


def secret_lines(prompt: Callable[[], str]) -> Iterator[SecretText]:
    """Yield what is typed on the terminal until it is nothing, or the lines of standard input that are not empty."""
    if not sys.stdin.isatty():
        while text := sys.stdin.readline(LONGEST_SECRET):
            if text.strip():
                yield SecretText(text.removesuffix("\n"))
        return
    try:
        while text := getpass.getpass(prompt()):
            yield SecretText(text)
    except EOFError:
        return
