# SPDX-License-Identifier: Apache-2.0
"""What is written about the vault as a whole: slots of its root key, that it was sealed, backed up or restored."""

from collections.abc import Sequence

from mysafe.audit.events import Result
from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy, NotFound, WrongState
from mysafe.domain.ids import LARGEST_ID
from mysafe.services.keys import envelope_digest
from mysafe.services.recording import Recorder, Subject
from mysafe.storage import vault_state
from mysafe.storage.copies.tables import drop_credentials
from mysafe.storage.engine import Transaction
from mysafe.storage.vault_state import SlotRow


class RootWrites:
    """Decide, write and record in one call each. Every method raises AccessDenied and AuditUnwritable."""

    def __init__(self, tx: Transaction, recorder: Recorder) -> None:
        self._tx = tx
        self._recorder = recorder

    def record_sealing(self, action: Action, refusals: Sequence[str] = ()) -> None:
        """Record that the vault was sealed or unsealed, and before it what was refused while it was sealed."""
        for reason in refusals:
            self._recorder.left_out(action, Result.DENIED, Subject("vault"), reason)
        self._recorder.permit(action)
        self._recorder.allowed(action)

    def add_slot(self, slot: SlotRow, keyring_version: int) -> None:
        """Store a new slot, which holds the root key that seals a version of the keyring.

        Raises:
            Busy: there is a slot of its provider, or with its id, by now, or another version of the keyring, which
                another root key may seal.
        """
        subject = Subject("slot", slot.slot_id, 0, envelope_digest(slot.wrapped, b"", None), slot.provider)
        self._recorder.permit(Action.SLOT_ADD)
        self._recorder.attempt(Action.SLOT_ADD, subject)
        if any(slot.slot_id == one.slot_id or slot.provider == one.provider for one in self.slots()):
            raise Busy
        newest = vault_state.newest_keyring(self._tx)
        if newest is None or newest.version != keyring_version:
            raise Busy
        vault_state.write_slot(self._tx, slot)
        self._recorder.allowed(Action.SLOT_ADD, subject)

    def remove_slot(self, slot_id: int) -> SlotRow:
        """Remove a slot of the root key and return it. Raises NotFound, and WrongState if it is the last one."""
        self._recorder.permit(Action.SLOT_REMOVE)
        self._recorder.attempt(Action.SLOT_REMOVE, Subject("slot", min(slot_id, LARGEST_ID)))
        slots = self.slots()
        slot = next((slot for slot in slots if slot.slot_id == slot_id), None)
        if slot is None:
            raise NotFound("slot")
        if len(slots) == 1:
            raise WrongState("this is the only slot: without it nobody could open the vault again")
        vault_state.remove_slot(self._tx, slot_id)
        digest = envelope_digest(slot.wrapped, b"", None)
        self._recorder.allowed(Action.SLOT_REMOVE, Subject("slot", slot_id, 0, digest, slot.provider))
        return slot

    def slots(self) -> list[SlotRow]:
        """Return the slots of the root key, ascending by id. They open nothing by themselves."""
        return vault_state.read_slots(self._tx)

    def record_backup(self, action: Action, name: str) -> None:
        """Record that a backup is taken or was proved; `name` says which."""
        self._recorder.permit(action)
        self._recorder.allowed(action, Subject(name=name))

    def begin_after_restore(self, name: str) -> None:
        """End tokens, sessions and links, since some may have been revoked after the backup; record the restoring."""
        self._recorder.permit(Action.BACKUP_RESTORE)
        drop_credentials(self._tx)
        self._recorder.allowed(Action.BACKUP_RESTORE, Subject(name=name))

    def record_rollback(self, kept: int, given_up: int, digest: bytes, name: str) -> None:
        """Record that an older state of the vault is accepted.

        Args:
            kept: the size of the last checkpoint that the audit log still extends.
            given_up: how many the last checkpoint has that is given up.
            digest: SHA-256 of that checkpoint, as a signed note.
            name: where it stands.
        """
        self._recorder.permit(Action.AUDIT_ACCEPT_ROLLBACK)
        self._recorder.allowed(Action.AUDIT_ACCEPT_ROLLBACK, Subject("audit", kept, given_up, digest, name))

    def record_on_audit(self, action: Action, name: str = "") -> None:
        """Record that the audit log is verified or exported; `name` says where to."""
        self._recorder.permit(action)
        self._recorder.allowed(action, Subject("audit", name=name))
