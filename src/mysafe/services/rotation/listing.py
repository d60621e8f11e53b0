# SPDX-License-Identifier: Apache-2.0
"""Say which epochs there are, and what still uses them."""

from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage import vault_state
from mysafe.storage.rotation.wrapped_keys import ALL_WRAPPED


class EpochUse(NamedTuple):
    """An epoch, its state, since when (Unix seconds), and how many rows of each table it wraps the keys of."""

    epoch: int
    state: str
    since: int
    rows: dict[str, int]


def list_epochs(vault: Vault, uow: UnitOfWork) -> list[EpochUse]:
    """Return all epochs, ascending; that is recorded. Raises SealBroken, AccessDenied."""
    writes = uow.registry.keyring
    writes.record(Action.KEY_LIST)
    times = vault_state.epoch_times(writes.tx)
    uses = {keys.name: keys.uses(writes.tx) for keys in ALL_WRAPPED}
    return [
        EpochUse(
            epoch.number,
            epoch.state.name.lower().replace("_", "-"),
            times.get(epoch.number, 0),
            {name: count[epoch.number] for name, count in uses.items() if epoch.number in count},
        )
        for epoch in vault.keychain.keyring_in(writes.tx).epochs
    ]
