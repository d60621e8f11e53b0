# SPDX-License-Identifier: Apache-2.0
"""Change the keyring and what it wraps, inside one unit of work: decide, store and record in one call each."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy
from mysafe.services.recording import Recorder, Subject
from mysafe.storage import vault_state
from mysafe.storage.engine import Transaction
from mysafe.storage.rotation.wrapped_keys import ALL_WRAPPED, WrappedKey, WrappedKeys
from mysafe.storage.vault_state import KeyringRow, SlotRow


class Rewrapped(NamedTuple):
    """A wrapped key that was found, and what it is to be replaced with."""

    found: WrappedKey
    dek: bytes


class KeyringWrites:
    """Every method raises AccessDenied when the policy says no, AuditUnwritable when it could not be recorded, and
    Busy when the keyring was changed meanwhile.
    """

    def __init__(self, tx: Transaction, recorder: Recorder, now: int) -> None:
        self.tx = tx
        self._recorder = recorder
        self._now = now

    def permit(self, action: Action) -> None:
        """Decide on an action; what is done then is recorded by another call."""
        self._recorder.permit(action)

    def record(self, action: Action) -> None:
        """Decide on an action that changes nothing, and record it."""
        self._recorder.permit(action)
        self._recorder.allowed(action)

    def store(self, row: KeyringRow, action: Action, epochs: Sequence[int]) -> None:
        """Store the next version of the keyring, remove the ones before, and record it for each epoch it is about."""
        self._recorder.permit(action)
        newest = vault_state.newest_keyring(self.tx)
        if newest is None or newest.version != row.version - 1:
            raise Busy
        vault_state.write_keyring(self.tx, row, self._now)
        vault_state.drop_keyrings_before(self.tx, row.version)
        digest = sha256(row.sealed).digest()
        for epoch in epochs:
            self._recorder.allowed(action, Subject("epoch", epoch, row.version, digest))

    def note_epochs(self, *epochs: int) -> None:
        """Store that these epochs are in a new state from now on."""
        for epoch in epochs:
            vault_state.note_epoch(self.tx, epoch, self._now)

    def count_others(self, epoch: int) -> int:
        """Return how many rows of all tables are not wrapped under an epoch."""
        return sum(keys.count_others(self.tx, epoch) for keys in ALL_WRAPPED)

    def rewrap(self, keys: WrappedKeys, epoch: int, rewrapped: Sequence[Rewrapped]) -> int:
        """Replace wrapped keys of a table, those that nobody changed since; return how many.

        Raises:
            Busy: `epoch`, under which they are wrapped now, is not the active one.
        """
        self._recorder.permit(Action.KEY_REWRAP)
        newest = vault_state.newest_keyring(self.tx)
        if newest is None or newest.active_epoch != epoch:
            raise Busy
        done = sum(keys.replace(self.tx, one.found, epoch, one.dek) for one in rewrapped)
        self._recorder.allowed(Action.KEY_REWRAP, Subject("epoch", epoch, newest.version, name=f"{done} {keys.name}"))
        return done

    def replace_slots(self, expected: Sequence[SlotRow], slots: Sequence[SlotRow]) -> None:
        """Store other slots for another root key, and record those that are gone. Raises Busy if others are there."""
        if vault_state.read_slots(self.tx) != list(expected):
            raise Busy
        kept = {slot.slot_id for slot in slots}
        for slot in expected:
            vault_state.remove_slot(self.tx, slot.slot_id)
            if slot.slot_id not in kept:
                self._recorder.allowed(Action.SLOT_REMOVE, Subject("slot", slot.slot_id, name=slot.provider))
        for slot in slots:
            vault_state.write_slot(self.tx, slot)
