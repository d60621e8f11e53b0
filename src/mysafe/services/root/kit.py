# SPDX-License-Identifier: Apache-2.0
"""The recovery kit: a file to print and lock away, which opens the vault when its machine is lost."""

from collections.abc import Sequence
from pathlib import Path

from mysafe.crypto.root_key.private_file import write_private
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.domain.secret_text import SecretText

_HEAD = """\
RECOVERY KIT of the mysafe vault made in {data}

Print this page, lock it away, and remove the file. With a copy of the database it opens the vault without the machine.

    mysafe keys add-slot --root-provider {provider} --provider keyfile --data DIR

asks for what stands below and makes a new key file.
"""


def check_place(path: Path, data: Path) -> None:
    """Return if a kit can be put there. Raises RootKeyRefused."""
    if path.absolute().resolve().is_relative_to(data.resolve()):
        raise RootKeyRefused("the recovery kit must not lie in the data directory: a copy of that would open itself")
    if path.exists() or path.is_symlink():
        raise RootKeyRefused(f"there is a file {path}: a recovery kit never replaces one")


def write(path: Path, provider: str, secrets: Sequence[SecretText], data: Path) -> None:
    """Write a kit once, with mode 0600, safely on disk. Raises RootKeyRefused."""
    names = ["Recovery code"] if len(secrets) == 1 else [f"Share {number}" for number in range(1, len(secrets) + 1)]
    lines = [f"\n{name}:\n\n    {secret.reveal()}\n" for name, secret in zip(names, secrets, strict=True)]
    head = _HEAD.format(data=data, provider=provider)
    write_private(path, (head + "".join(lines)).encode(), "recovery kit")
