# SPDX-License-Identifier: Apache-2.0
"""Chores: what has to be done now and then, by one of the servers of a vault at a time."""

from typing import Protocol


class Chore(Protocol):
    """A piece of background work.

    It is run by one thread of one server at a time. But a server that was cut off from the database may be in the
    middle of a step when another one begins, so every step is a transaction of its own that may be run twice.
    """

    @property
    def name(self) -> str:
        """What it is called in the log."""

    def run(self) -> float:
        """Do one bounded step, and return the seconds until the next one.

        Raises:
            VaultError: it could not be done now. It is logged, and tried again.
        """
