# SPDX-License-Identifier: Apache-2.0
"""Rotate the root key: another one seals the keyring, and every slot is made anew for it, in one transaction.

Wrapping may ask people, or wait for a service, so it is done before. Servers that run go on with the keys they have:
the keyring holds the same ones.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.keyring import Keyring
from mysafe.crypto.root_key.catalogue import PEOPLES, NewProvider, describe
from mysafe.crypto.root_key.key_file import KeyFileProvider
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused, new_root_key
from mysafe.crypto.root_key.shares import SharesProvider
from mysafe.domain.actions import Action
from mysafe.domain.secret_text import SecretText
from mysafe.services.keys import KeysRefused, slot_bound, wrap_slot
from mysafe.services.root.slots import Slot, list_slots
from mysafe.services.rotation.epochs import patiently
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage import vault_state
from mysafe.storage.vault_state import KeyringRow, SlotRow


class NewSlots(NamedTuple):
    """How the slots for the new root key are made.

    Args:
        opener_of: returns the provider of a slot of a machine, as it opens the slot that there is.
        provider_of: returns what makes the slot of a provider anew.
        key_file: a new key file for the slot of the provider `keyfile`; None uses its present one again.
        are_renewed: people are asked, and given codes and shares, for the slots whose key is theirs.
        are_dropped: those slots are dropped.
        are_terms_said: `provider_of` was told how many shares there shall be, and how many of them open.
    """

    opener_of: Callable[[str], RootKeyProvider]
    provider_of: Callable[[str], NewProvider]
    key_file: Path | None
    are_renewed: bool
    are_dropped: bool
    are_terms_said: bool = False


class RootChange(NamedTuple):
    """A change that is prepared and not stored. Printing it shows nothing."""

    expected: Sequence[SlotRow]
    slots: Sequence[SlotRow]
    keyring: KeyringRow
    printed: dict[str, Sequence[SecretText]]
    dropped: Sequence[Slot]

    def __repr__(self) -> str:
        return "RootChange(***)"


def prepare(vault: Vault, wanted: NewSlots) -> RootChange:
    """Return the change to a new root key: the keyring and all slots, sealed for it. Nothing is stored.

    Raises:
        KeysRefused: slots would be lost, and it was not said that they are to be dropped; or none would be left; or
            one was put there by somebody who has not the root key; or of shares it was not said how many, or it was
            and there are none.
        RootKeyRefused: a provider does not do its part.
    """
    expected = vault.engine.look(vault_state.read_slots).result()
    lost = _lost(vault, wanted)
    kept = [slot for slot in expected if slot.slot_id not in {one.id for one in lost}]
    if not kept:
        raise KeysRefused("no slot would be left: without one nobody could open the vault again")
    _check_terms(kept, wanted)
    root_key, vault_id, now = new_root_key(), vault.keys.vault_id, int(vault.clock())
    keyring: Keyring = vault.engine.look(vault.keychain.keyring_in).result().renewed()
    slots, printed = [], {}
    for slot in kept:
        if slot.provider not in PEOPLES:
            _check_genuine(vault, wanted, slot)
        made = _provider(wanted, slot)
        row = wrap_slot(made.provider, root_key, vault_id, slot.slot_id, now)
        if slot.provider not in PEOPLES:
            _check(made, row, root_key, vault_id)
        slots.append(row)
        if secrets := made.printed():
            printed[slot.provider] = secrets
    sealed = KeyringRow(keyring.version, keyring.active_epoch, keyring.seal(root_key, vault_id))
    return RootChange(expected, slots, sealed, printed, lost)


def store(vault: Vault, change: RootChange) -> None:
    """Store a prepared change. Raises Busy if keyring or slots were changed since it was prepared."""
    patiently(vault, partial(_store, change=change))


def _store(uow: UnitOfWork, change: RootChange) -> None:
    writes = uow.registry.keyring
    writes.store(change.keyring, Action.ROOT_ROTATE, [change.keyring.active_epoch])
    writes.replace_slots(change.expected, change.slots)


def _lost(vault: Vault, wanted: NewSlots) -> list[Slot]:
    """Return the slots that are to be dropped. Raises KeysRefused if nobody said what happens to them."""
    slots = vault.engine.look(list_slots).result()
    lost = [] if wanted.are_renewed else [slot for slot in slots if slot.provider in PEOPLES]
    if lost and not wanted.are_dropped:
        names = ", ".join(f"{slot.id} ({slot.provider})" for slot in lost)
        raise KeysRefused(
            f"these slots would be lost, because people have their key: {names};"
            " make them anew with --renew-slots, or drop them with --drop-slots"
        )
    return lost


def _check_terms(kept: Sequence[SlotRow], wanted: NewSlots) -> None:
    """Return if it is said how many shares there shall be, where there are shares, so that no slot decides it.

    Nothing seals what a slot says of itself until somebody opens it. Raises KeysRefused.
    """
    of_shares = [slot for slot in kept if slot.provider == SharesProvider.name]
    if of_shares and not wanted.are_terms_said:
        slot = of_shares[0]
        raise KeysRefused(
            f"slot {slot.slot_id} ({slot.provider}) says {describe(slot.wrapped)}, which whoever writes in the database"
            " can change: say with --shares T/N how many shares there shall be, and how many of them open the vault"
        )
    if wanted.are_terms_said and not of_shares:
        raise KeysRefused(
            "there is no slot of shares to make anew: leave out --shares, and if there should be one, find out who"
            " removed it"
        )


def _check_genuine(vault: Vault, wanted: NewSlots, slot: SlotRow) -> None:
    """Return if a slot holds the root key, so that who writes in the database cannot ask for the next one.

    Raises KeysRefused.
    """
    try:
        opened = wanted.opener_of(slot.provider).unwrap(slot.wrapped, slot_bound(vault.keys.vault_id, slot))
    except (SealBroken, RootKeyRefused):
        opened = b""
    if not vault.keychain.is_root_key(opened):
        raise KeysRefused(
            f"slot {slot.slot_id} ({slot.provider}) does not open this vault with what is set for its provider:"
            f" set that right, or remove it with mysafe keys remove-slot {slot.slot_id}"
        )


def _provider(wanted: NewSlots, slot: SlotRow) -> NewProvider:
    if slot.provider == KeyFileProvider.name and wanted.key_file is not None:
        return NewProvider(KeyFileProvider.create(wanted.key_file), list)
    return wanted.provider_of(slot.provider)


def _check(made: NewProvider, row: SlotRow, root_key: bytes, vault_id: bytes) -> None:
    """Return if the new slot opens. Raises RootKeyRefused."""
    try:
        opened = made.provider.unwrap(row.wrapped, slot_bound(vault_id, row))
    except SealBroken:
        opened = b""
    if opened != root_key:
        raise RootKeyRefused(f"the provider {row.provider} does not open what it wrapped: nothing was changed")
