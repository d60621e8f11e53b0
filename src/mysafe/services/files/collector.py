# SPDX-License-Identifier: Apache-2.0
"""Collect what interrupted uploads left behind (R-FILE-04)."""

import logging

from mysafe.domain.errors import VaultError
from mysafe.services.authentication import local_operator
from mysafe.services.files.shelf import Shelf
from mysafe.services.files.uploads import discard
from mysafe.services.vault import Vault

_log = logging.getLogger("mysafe.files")

AGE_SECONDS = 24 * 3600
"""An upload that is older is not under way any more."""

EVERY_SECONDS = 3600.0


def collect(vault: Vault, shelf: Shelf, *, age_seconds: int = AGE_SECONDS) -> int:
    """Remove the blobs that nothing kept and that were begun so long ago; return how many. It blocks.

    One that cannot be removed now does not keep the others.

    Raises:
        VaultError: the database cannot be used now, or the store could not remove the last of them that failed.
    """
    before = int(vault.clock()) - age_seconds
    removed, failure = 0, None
    for blob_id in vault.run(local_operator, lambda uow: uow.registry.blobs.left_over(before)).result():
        try:
            removed += discard(vault, shelf, blob_id)
        except VaultError as error:
            failure = error
    if failure is not None:
        raise failure
    return removed


class Collector:
    """The chore of collecting, every hour."""

    name = "the removal of interrupted uploads"

    def __init__(self, vault: Vault, shelf: Shelf) -> None:
        self._vault = vault
        self._shelf = shelf

    def begin_alone(self) -> None:
        """Collect everything that is pending, before a process takes uploads that is the only one to take them."""
        try:
            self._collect(-1)
        except VaultError as error:
            _log.warning("interrupted uploads cannot be removed now: %s", type(error).__name__)

    def run(self) -> float:
        """Collect what is old enough, and return the seconds until the next time. Raises as `collect` does."""
        self._collect(AGE_SECONDS)
        return EVERY_SECONDS

    def _collect(self, age_seconds: int) -> None:
        removed = collect(self._vault, self._shelf, age_seconds=age_seconds)
        if removed:
            _log.info("removed %d contents of interrupted uploads", removed)
