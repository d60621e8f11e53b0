# SPDX-License-Identifier: Apache-2.0
"""Remove access tokens that expired. They are good for nothing then, whether they are removed or not."""

from functools import partial

from mysafe.services.vault import Vault
from mysafe.storage.principals import MOST_SWEPT, delete_expired_tokens

EVERY_SECONDS = 60.0
SHORTEST_SECONDS = 0.2
"""How long after a step with more to do the next one comes: others want to write, too."""


class ExpiredTokens:
    """The chore of removing them, some at a time."""

    name = "the removal of expired tokens"

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def run(self) -> float:
        """Remove some, and return the seconds until the next time. Raises VaultError."""
        work = partial(delete_expired_tokens, before=int(self._vault.clock()))
        removed = self._vault.engine.submit(work).result()
        return SHORTEST_SECONDS if removed == MOST_SWEPT else EVERY_SECONDS
