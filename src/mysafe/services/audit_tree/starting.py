# SPDX-License-Identifier: Apache-2.0
"""What must be true of the audit log before a vault is served, and what the operator can do if it is not."""

import logging
from functools import partial

from mysafe.audit.checkpoint import Note
from mysafe.audit.leaves import encode_leaf
from mysafe.audit.tree import leaf_hash, root_of
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.checkpoints import Checkpoints, NotExtended, check_extends, check_stored, complaint
from mysafe.services.audit_tree.sequencer import Sequencer
from mysafe.services.authentication import local_operator
from mysafe.services.keys import VaultKeys
from mysafe.services.vault import Vault
from mysafe.storage import audit_tree
from mysafe.storage.audit_tree import BATCH, TreeDamaged
from mysafe.storage.engine import Transaction

_security = logging.getLogger("mysafe.security")


class RollbackDetected(Exception):
    """The audit log is not the one that was signed, or not all of it. The text is one sentence for the operator."""


def check_start(vault: Vault, file: CheckpointFile | None) -> None:
    """Return if the audit log extends what was signed of it, in the database and in a file outside of it.

    The newest leaves are compared with their rows besides. Cost: some hundred rows, however long the log is.

    Raises:
        RollbackDetected: it does not; nothing may be served.
        VaultError, OSError: the database, or the file, cannot be read.

    Source: security design, section 7; R-LOG-04.
    """
    try:
        vault.engine.look(partial(check_newest, keys=vault.keys)).result()
    except (TreeDamaged, NotExtended) as error:
        raise RollbackDetected(
            f"rollback or fork detected: {error}: run `mysafe audit verify` to see what was changed,"
            " and restore the newest backup"
        ) from None
    if file is None:
        return
    doubt = doubt_about(vault, file)
    if doubt is not None:
        _security.warning("%s", doubt)
    note = file.last()
    if note is None:
        return
    try:
        vault.engine.look(partial(check_extends, keys=vault.keys, note=note)).result()
    except (TreeDamaged, NotExtended) as error:
        raise RollbackDetected(
            f"rollback or fork detected: {error} in {file.path}: restore the newest backup;"
            " if this older state is wanted, say so with `mysafe restore --accept-rollback`"
        ) from None


def doubt_about(vault: Vault, file: CheckpointFile) -> str | None:
    """Return in one sentence why an old database might not be noticed although there is a file, or None.

    The end of the file may be torn because power failed, and there is no file before the first checkpoint: neither is
    refused, and who brings back an old database can bring about both.

    Raises:
        RollbackDetected: a checkpoint before the last one was changed, which no failure does.
        VaultError, OSError: the database, or the file, cannot be read.
    """
    found = file.tail()
    if found.changed > found.is_torn:
        raise RollbackDetected(
            f"checkpoints in {file.path} were changed: put back a copy of the file, or,"
            " if there is none, name a new one after `mysafe audit verify`"
        )
    if found.is_torn:
        return (
            f"the end of {file.path} is no checkpoint: unless power failed, the last one was changed,"
            " and an old database may not be noticed: put back a copy of the file"
        )
    if not found.notes and vault.engine.look(audit_tree.newest_checkpoint).result() is not None:
        return (
            f"there is no checkpoint in {file.path}, and there are some in the database:"
            " unless the file is a new one, put it back: an old database is not noticed without it"
        )
    return None


def check_newest(tx: Transaction, keys: VaultKeys) -> int:
    """Return how many entries the audit tree has, if its newest part is as it was signed and written.

    Raises:
        TreeDamaged, NotExtended: it is not; the text says what is wrong.
    """
    check_stored(tx, keys)
    state = audit_tree.read_state(tx)
    if root_of(state.size, partial(audit_tree.subtree, tx)) != state.open_edge().root():
        raise TreeDamaged("the edge of the audit tree does not fit its leaves")
    start = max(0, state.size - BATCH + 1)
    placed = audit_tree.placed_rows(tx, start)
    for position, one in enumerate(placed, start):
        if one.row is None:
            raise TreeDamaged(f"the audit entry {one.leaf.audit_id} was deleted")
        if one.leaf.position != position or leaf_hash(encode_leaf(one.row)) != one.leaf.hash:
            raise TreeDamaged(f"the audit entry {one.leaf.audit_id} was edited")
    if len(placed) != state.size - start:
        raise TreeDamaged("there are leaves behind the end of the audit tree")
    audit_tree.sound_state(tx)
    return state.size


def is_rolled_back(vault: Vault, file: CheckpointFile) -> bool:
    """Return whether the audit log, with all its rows in the tree, does not extend the last checkpoint of a file.

    Raises:
        RollbackDetected: the last checkpoint is one of another vault.
        VaultError, OSError, TreeDamaged: the database or the file cannot be read, or the tree was changed.
    """
    note = file.last()
    if note is None:
        return False
    wrong = complaint(vault.keys, note)
    if wrong is not None:
        raise RollbackDetected(f"the last checkpoint in {file.path} cannot be used: {wrong}")
    Sequencer(vault).catch_up()
    try:
        vault.engine.look(partial(check_extends, keys=vault.keys, note=note)).result()
    except NotExtended:
        return True
    return False


def accept_rollback(vault: Vault, file: CheckpointFile) -> int:
    """Go on from the state that is there: record that, and sign it. Return how many entries were given up, at most.

    The entry says which checkpoint is the last one that is given up, by its SHA-256 and size, and the size of the last
    one before it that is extended. A checkpoint that stands between these in the file is excused by the entry, and by
    nothing else, whatever its size is.

    Raises:
        RollbackDetected: there is nothing to accept.
        AuditUnwritable, and what `is_rolled_back` raises.
    """
    if not is_rolled_back(vault, file):
        raise RollbackDetected(f"there is no rollback to accept: the audit log extends the checkpoints in {file.path}")
    notes = file.read().notes
    kept, common = vault.engine.look(partial(_last_extended, keys=vault.keys, notes=notes)).result()
    last = notes[-1]
    vault.run(
        local_operator,
        lambda uow: uow.registry.root.record_rollback(kept, last.checkpoint.size, last.digest(), file.path.name),
    ).result()
    Sequencer(vault).catch_up()
    Checkpoints(vault, file, 0).write(is_rollback_accepted=True)
    return last.checkpoint.size - common


def _last_extended(tx: Transaction, keys: VaultKeys, notes: list[Note]) -> tuple[int, int]:
    """Return the size of the last of some checkpoints that the tree extends, and what it has in common with the last.

    That is the size of the last one extended that is not larger than the last of all. 0 stands for none.
    """
    kept: int | None = None
    for note in reversed(notes):
        try:
            check_extends(tx, keys, note)
        except NotExtended:
            continue
        size = note.checkpoint.size
        kept = size if kept is None else kept
        if size <= notes[-1].checkpoint.size:
            return kept, size
    return kept or 0, 0
