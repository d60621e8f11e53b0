# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the audit tree: signed, stored in the database, and appended to a file outside the data directory.

Nothing is signed that does not extend the checkpoints before: whoever brings back an old database gets no signature.
"""

import logging
import time
from functools import partial

from mysafe.audit.checkpoint import Checkpoint, Note, key_hash, origin_of, parse_note, verifier_key
from mysafe.audit.tree import EMPTY_ROOT, consistency_proof, is_consistent
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.keys import VaultKeys
from mysafe.services.vault import Vault
from mysafe.storage import audit_tree
from mysafe.storage.audit_tree import StoredCheckpoint, TreeDamaged
from mysafe.storage.engine import Transaction, UniqueClash

_security = logging.getLogger("mysafe.security")


class NotExtended(Exception):
    """The audit tree does not extend a checkpoint. The text says which, in a few words."""


class Checkpoints:
    """Write a checkpoint from time to time, when something new came.

    Args:
        vault: whose audit log it is.
        file: gets each checkpoint too; None for none.
        every_seconds: the shortest time between two.
    """

    def __init__(self, vault: Vault, file: CheckpointFile | None, every_seconds: float) -> None:
        self._vault = vault
        self._file = file
        self._every_seconds = every_seconds
        self._written: tuple[int, float] | None = None
        self._is_reported = False

    def write_if_due(self) -> None:
        """Write one if the last one is old enough. Errors as for `write`."""
        if self._written is None or time.monotonic() - self._written[1] >= self._every_seconds:
            self.write()

    def write(self, *, is_rollback_accepted: bool = False) -> None:
        """Write one for the tree as it is, unless it was written already.

        Args:
            is_rollback_accepted: the last checkpoint in the file is of a state that was given up.

        Raises:
            VaultError, OSError: the database, or the file, cannot be used now.
            TreeDamaged: the tree was changed outside the vault.
        """
        size = self._vault.engine.look(audit_tree.read_state).result().size
        if size and (self._written is None or self._written[0] != size):
            try:
                self._write(is_rollback_accepted=is_rollback_accepted)
            except NotExtended as error:
                if not self._is_reported:
                    _security.error("no checkpoint is signed: rollback or fork detected: %s", error)
                self._is_reported = True
                return
        self._written = size, time.monotonic()

    def _write(self, *, is_rollback_accepted: bool) -> None:
        keys, file = self._vault.keys, self._file
        last = file.last() if file is not None else None
        known = None if is_rollback_accepted else last
        checkpoint = self._vault.engine.look(partial(_checked, keys=keys, known=known)).result()
        note = signed(keys, checkpoint)
        stored = StoredCheckpoint(checkpoint.size, int(self._vault.clock()), note.encode())
        try:
            self._vault.engine.submit(partial(audit_tree.store_checkpoint, checkpoint=stored)).result()
        except UniqueClash:
            pass  # Ed25519 signs the same text in the same way: the one that is there is this one
        if file is not None and (last is None or last.checkpoint != checkpoint):
            file.append(note)


def signed(keys: VaultKeys, checkpoint: Checkpoint) -> Note:
    """Return a checkpoint with the signature of the vault."""
    hashed = key_hash(checkpoint.origin, keys.signing.public)
    return Note(checkpoint, checkpoint.origin, hashed, keys.signing.sign(checkpoint.text().encode()))


def public_key(keys: VaultKeys) -> str:
    """Return the key that checks the checkpoints of the vault, as tools for signed notes take it."""
    return verifier_key(origin_of(keys.vault_id), keys.signing.public)


def complaint(keys: VaultKeys, note: Note) -> str | None:
    """Return what is wrong with a note, without looking at the tree, or None."""
    origin = origin_of(keys.vault_id)
    if note.checkpoint.origin != origin:
        return "it is one of another vault"
    is_ours = note.name == origin and note.key_hash == key_hash(origin, keys.signing.public)
    if not is_ours or not keys.signing.has_signed(note.checkpoint.text().encode(), note.signature):
        return "its signature is not this vault's"
    return None


def current(tx: Transaction, keys: VaultKeys) -> Checkpoint:
    """Return what a checkpoint of the tree would say now. Raises TreeDamaged."""
    edge = audit_tree.read_state(tx).open_edge()
    return Checkpoint(origin_of(keys.vault_id), edge.size, edge.root())


def check_extends(tx: Transaction, keys: VaultKeys, note: Note) -> None:
    """Return if the tree extends a checkpoint: a consistency proof leads from it to the tree.

    Raises:
        NotExtended: the tree is smaller, or was another one; or the checkpoint is none of this vault.
        TreeDamaged: parts of the tree are missing.

    Source: RFC 9162, section 2.1.4.
    """
    wrong = complaint(keys, note)
    if wrong is not None:
        raise NotExtended(f"a checkpoint of {note.checkpoint.size} entries cannot be used: {wrong}")
    now, before = current(tx, keys), note.checkpoint
    if before.size > now.size:
        raise NotExtended(f"the audit log has {now.size} entries, and had {before.size}")
    if before.size == 0:
        is_extended = before.root == EMPTY_ROOT
    else:
        path = consistency_proof(before.size, now.size, partial(audit_tree.subtree, tx))
        is_extended = is_consistent(before.size, before.root, now.size, now.root, path)
    if not is_extended:
        raise NotExtended(f"the first {before.size} entries of the audit log are not those of the checkpoint")


def check_stored(tx: Transaction, keys: VaultKeys) -> None:
    """Return if the tree extends the newest checkpoint of the database, if there is one. Errors as above."""
    stored = audit_tree.newest_checkpoint(tx)
    if stored is None:
        return
    note = parse_note(stored.note)
    if note is None or note.checkpoint.size != stored.size:
        raise TreeDamaged(f"the stored checkpoint of {stored.size} entries is damaged")
    check_extends(tx, keys, note)


def _checked(tx: Transaction, keys: VaultKeys, known: Note | None) -> Checkpoint:
    check_stored(tx, keys)
    if known is not None:
        check_extends(tx, keys, known)
    return current(tx, keys)
