# SPDX-License-Identifier: Apache-2.0
"""The slots of the root key: list, add, remove, and make them all anew for another root key.

Wrapping may take a second, or wait for a service: it is done before the transaction that stores its result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from mysafe.crypto.root_key.catalogue import RECOVERING, describe
from mysafe.crypto.root_key.provider import RootKeyProvider
from mysafe.services.authentication import local_operator
from mysafe.services.keys import KeysRefused, OpenRoot, open_root, wrap_slot
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage import vault_state
from mysafe.storage.engine import Transaction
from mysafe.storage.vault_state import SlotRow


class Slot(NamedTuple):
    """A slot as people see it: number, provider, its parameters in words, and when it was made (Unix seconds).

    `is_recovering` says that it opens the vault when this machine and what it knows are lost.
    """

    id: int
    provider: str
    terms: str
    created_at: int
    is_recovering: bool


class RememberedRoot:
    """A provider that is asked once: what it unwrapped is kept for the rest of one command."""

    def __init__(self, provider: RootKeyProvider) -> None:
        self.name = provider.name
        self._provider = provider
        self._unwrapped: dict[tuple[bytes, bytes], bytes] = {}

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Return the root key wrapped. Raises RootKeyRefused."""
        return self._provider.wrap(key, aad)

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key. Raises RootKeyRefused, SealBroken."""
        if (blob, aad) not in self._unwrapped:
            self._unwrapped[blob, aad] = self._provider.unwrap(blob, aad)
        return self._unwrapped[blob, aad]

    def health(self) -> str | None:
        """Return what is wrong with the provider in one sentence, or None."""
        return self._provider.health()


class Resealed(NamedTuple):
    """The slots that were made anew, and those that only the person who has their key can make anew."""

    slots: Sequence[SlotRow]
    left_out: Sequence[Slot]


def list_slots(tx: Transaction) -> list[Slot]:
    """Return all slots, ascending by id. No key is needed for that."""
    return shown(vault_state.read_slots(tx))


def add_slot(vault: Vault, opener: RootKeyProvider, provider: RootKeyProvider, keep: Callable[[], None]) -> int:
    """Give the vault another slot and return its number.

    Args:
        vault: an open vault.
        opener: gives the root key once more.
        provider: opens the vault from now on, too.
        keep: puts away what people must keep of the slot, before it is stored.

    Raises:
        KeysRefused: there is a slot of this provider; a second one could only be opened by trying.
        RootKeyRefused: a provider does not do its part.
        Busy: slots, or the keyring, were changed meanwhile: the root key may be another one.
    """
    slots = vault.engine.look(vault_state.read_slots).result()
    if any(slot.provider == provider.name for slot in slots):
        raise KeysRefused(f"the vault has a slot of the provider {provider.name}: remove it first")
    root, version = vault.engine.look(partial(_opened_root, provider=opener)).result()
    slot_id = 1 + max(slot.slot_id for slot in slots)
    row = wrap_slot(provider, root.root_key, root.vault_id, slot_id, int(vault.clock()))
    keep()
    vault.run(local_operator, lambda uow: uow.registry.root.add_slot(row, version)).result()
    return slot_id


def _opened_root(tx: Transaction, provider: RootKeyProvider) -> tuple[OpenRoot, int]:
    """Return the root key, and the version of the keyring that it seals."""
    root = open_root(tx, provider)
    return root, root.keys.version


def remove_slot(uow: UnitOfWork, slot_id: int) -> list[Slot]:
    """Remove a slot and return those that are left. Raises NotFound, and WrongState if it is the only one.

    A copy of the database still has it: only another root key ends what it opens.
    """
    uow.registry.root.remove_slot(slot_id)
    return shown(uow.registry.root.slots())


def reseal_slots(
    slots: Iterable[SlotRow], root: OpenRoot, providers: Mapping[str, RootKeyProvider], now: int
) -> Resealed:
    """Make every slot anew for the root key of `root`, under its number, as far as its provider is there.

    Args:
        slots: the present ones.
        root: vault id and the new root key.
        providers: by name, those that can wrap now. Passphrases, codes and shares are asked for or made anew by their
            providers: leave those out that nobody is there for.
        now: Unix seconds.

    Raises:
        RootKeyRefused: a provider does not do its part. Then nothing is to be stored.
    """
    made, left_out = [], []
    for slot in slots:
        provider = providers.get(slot.provider)
        if provider is None:
            left_out.append(slot)
        else:
            made.append(wrap_slot(provider, root.root_key, root.vault_id, slot.slot_id, now))
    return Resealed(made, shown(left_out))


def shown(rows: Iterable[SlotRow]) -> list[Slot]:
    """Return slots as people see them. No key is needed for that, and nothing of it is proved."""
    return [
        Slot(row.slot_id, row.provider, describe(row.wrapped), row.created_at, row.provider in RECOVERING)
        for row in rows
    ]
