# SPDX-License-Identifier: Apache-2.0
"""Run use cases on the vault of these settings, as the local operator."""

from collections.abc import Callable
from typing import TypeVar

from mysafe import opening
from mysafe.cli.asking import ask_secret
from mysafe.config import Loaded
from mysafe.services.audit_tree.sequencer import append_own_rows
from mysafe.services.authentication import local_operator
from mysafe.services.unit_of_work import UnitOfWork

T = TypeVar("T")


def operate(loaded: Loaded, work: Callable[[UnitOfWork], T]) -> T:
    """Run a use case. Its effect is on disk when this returns."""
    provider = opening.root_provider(loaded.settings, ask_secret)
    vault = opening.open_vault(loaded.settings, provider=provider)
    try:
        value = vault.run(local_operator, work).result()
        append_own_rows(vault)
        return value
    finally:
        vault.close()


def printable(text: str) -> str:
    """Escape what could move the cursor of a terminal: names and client programs are the callers' words."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
