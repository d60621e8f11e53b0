# SPDX-License-Identifier: Apache-2.0
"""Replay the whole audit log: every leaf against its row, every checkpoint against the leaves (R-LOG-04).

What is found is what somebody with the database did: rows edited, deleted, inserted, put in another order, leaves
made to fit. The first bad entry is named.
"""

from array import array
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from mysafe.audit.checkpoint import Found, parse_note
from mysafe.audit.leaves import encode_leaf
from mysafe.audit.tree import Edge, leaf_hash
from mysafe.crypto.aead import SealBroken
from mysafe.domain.actions import Action
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.checkpoints import complaint
from mysafe.services.audit_tree.numbers import Numbers
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads.envelope import PayloadUnknown
from mysafe.services.recording import open_row
from mysafe.services.vault import Vault
from mysafe.storage import audit_log, audit_tree
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.audit_tree import STORED_LEVEL, Leaf, PlacedRow, TreeDamaged
from mysafe.storage.engine import Transaction

MOST_NAMED = 20
"""How many faults are named; the others are only counted."""


_SMALLEST_NUMBER = -(2**63)


class Fault(NamedTuple):
    """Something that is not as it was. `entry` is the number of a row of the audit log, 0 where it is about no row."""

    entry: int
    text: str


class Verified(NamedTuple):
    """What a replay found.

    `entries` are leaves; `pending` rows that became none yet; `stored` and `external` count the checkpoints that were
    checked; `given_up` those that an accepted rollback excuses; `stray_lines` those of the file that are no note.
    """

    entries: int
    pending: int
    stored: int
    external: int
    given_up: int
    stray_lines: int
    faults: tuple[Fault, ...]
    fault_count: int


def verify(vault: Vault, file: CheckpointFile | None) -> Verified:
    """Replay everything. Cost: about 30 seconds for a million entries; nobody is kept waiting.

    Raises:
        VaultError, OSError: the database, or the file of checkpoints, cannot be read.
    """
    return vault.engine.look(partial(replay, keys=vault.keys, file=file)).result()


def replay(tx: Transaction, keys: VaultKeys, file: CheckpointFile | None) -> Verified:
    """Replay everything, on one snapshot. The file is read first: what it has, the database must have had."""
    found = file.read() if file is not None else Found([], 0)
    return _Replay(tx, keys, found).run()


class _Replay:
    """One run through the leaves, in their order."""

    def __init__(self, tx: Transaction, keys: VaultKeys, outside: Found) -> None:
        self._tx = tx
        self._keys = keys
        self._outside = outside
        self._notes = outside.notes
        self._state = audit_tree.read_state(tx)
        self._faults: list[Fault] = []
        self._fault_count = 0
        self._edge = Edge()
        self._seen = Numbers()
        self._seals = array("Q")
        self._nodes = 0
        self._accepted: dict[bytes, int] = {}
        self._roots: dict[int, bytes] = {0: self._edge.root()}
        self._wanted = {note.checkpoint.size for note in self._notes}

    def run(self) -> Verified:
        stored = self._replay_leaves()
        self._check_tree()
        pending = self._look_for_rows_without_leaf()
        self._look_for_seals_used_twice()
        given_up = self._check_file()
        return Verified(
            self._edge.size,
            pending,
            stored,
            len(self._notes),
            given_up,
            self._outside.stray_lines,
            tuple(self._faults),
            self._fault_count,
        )

    def _fault(self, entry: int, text: str) -> None:
        self._fault_count += 1
        if len(self._faults) < MOST_NAMED:
            self._faults.append(Fault(entry, text))

    def _replay_leaves(self) -> int:
        """Go through all leaves with their rows, and check the stored checkpoints on the way; return how many."""
        checkpoints = audit_tree.all_checkpoints(self._tx)
        due = next(checkpoints, None)
        checked = sound = 0
        for leaf, row in self._placed():
            self._check_leaf(leaf, row)
            self._nodes += self._check_nodes(leaf)
            size = self._edge.size
            if size in self._wanted:
                self._roots[size] = self._edge.root()
            while due is not None and due.size <= size:
                sound = self._check_stored(due, sound)
                checked, due = checked + 1, next(checkpoints, None)
        while due is not None:
            self._fault(0, f"the end is missing: a checkpoint has {due.size} entries, and there are {self._edge.size}")
            checked, due = checked + 1, next(checkpoints, None)
        return checked

    def _placed(self) -> Iterator[tuple[Leaf, AuditRow | None]]:
        while placed := self._next_rows():
            for one in placed:
                if one.leaf.position != self._edge.size:
                    self._fault(0, f"the leaf {self._edge.size} is missing")
                    return
                yield one

    def _next_rows(self) -> list[PlacedRow]:
        try:
            return audit_tree.placed_rows(self._tx, self._edge.size)
        except TreeDamaged as error:
            self._fault(0, str(error))
            return []

    def _check_leaf(self, leaf: Leaf, row: AuditRow | None) -> None:
        entry = leaf.audit_id
        if not self._seen.add(entry):
            self._fault(entry, "stands in the tree twice")
        if row is None:
            self._fault(entry, "was deleted")
        elif leaf_hash(encode_leaf(row)) != leaf.hash:
            self._fault(entry, "was edited, or put in the place of another one")
        elif not self._opens(row):
            self._fault(entry, "was edited or inserted: its seal does not open")
        else:
            self._seals.append(int.from_bytes(row.details[:8]))
            if row.action == Action.AUDIT_ACCEPT_ROLLBACK and row.result == "allowed":
                self._accepted[row.envelope_sha256] = row.record_id

    def _opens(self, row: AuditRow) -> bool:
        try:
            open_row(self._keys, row)
        except (SealBroken, PayloadUnknown, ValueError):
            return False
        return True

    def _check_nodes(self, leaf: Leaf) -> int:
        """Add a leaf to the replayed tree; compare stored nodes that it makes complete, and return how many."""
        made = self._edge.add(leaf.hash, STORED_LEVEL)
        for node in made:
            try:
                is_same = audit_tree.subtree(self._tx, node.level, node.number) == node.hash
            except TreeDamaged:
                is_same = False
            if not is_same:
                self._fault(
                    0, f"the stored node {node.number} of level {node.level} is not that of the leaves below it"
                )
        return len(made)

    def _check_stored(self, stored: audit_tree.StoredCheckpoint, sound: int) -> int:
        """Check a stored checkpoint at its size; return up to which size the tree is sound."""
        note = parse_note(stored.note)
        wrong = "it is damaged" if note is None else complaint(self._keys, note)
        if note is None or wrong is not None or note.checkpoint.size != stored.size:
            self._fault(
                0, f"the stored checkpoint of {stored.size} entries was changed: {wrong or 'its size is wrong'}"
            )
        elif stored.size != self._edge.size or note.checkpoint.root != self._edge.root():
            self._fault(0, f"between the checkpoints of {sound} and {stored.size} entries, leaves were changed")
        else:
            return stored.size
        return sound

    def _check_tree(self) -> None:
        state = self._state
        if state.size != self._edge.size:
            self._fault(0, f"the tree should have {state.size} leaves, and has {self._edge.size}")
        elif state.edge != self._edge.encode():
            self._fault(0, "the edge of the tree is not that of its leaves")
        if not self._fault_count and state.swept_id > (last := audit_log.last_id(self._tx)):
            self._fault(0, f"the tree is said to hold all entries up to {state.swept_id}, and the last is {last}")
        if audit_tree.count_nodes(self._tx) != self._nodes:
            self._fault(0, "there are stored nodes that no leaves belong to")

    def _look_for_rows_without_leaf(self) -> int:
        """Look for rows that were inserted beside the sequencer; return how many it has not come to yet."""
        pending, after = 0, _SMALLEST_NUMBER
        while numbers := audit_tree.ids_after(self._tx, after):
            for number in numbers:
                if number in self._seen:
                    continue
                if number <= self._state.swept_id:
                    self._fault(number, "was inserted: it is not in the tree, and its place is past")
                else:
                    pending += 1
            after = numbers[-1]
        return pending

    def _look_for_seals_used_twice(self) -> None:
        """A row that was copied opens as the first one does. Its seal was made once, with random bytes."""
        ordered = sorted(self._seals)
        twice = {one for one, following in pairwise(ordered) if one == following}
        if not twice:
            return
        met: set[int] = set()
        start = 0
        while start < self._edge.size and (placed := audit_tree.placed_rows(self._tx, start)):
            for leaf, row in placed:
                seal = int.from_bytes(row.details[:8]) if row is not None else 0
                if seal in met:
                    self._fault(leaf.audit_id, "was inserted: it is a copy of another entry")
                if seal in twice:
                    met.add(seal)
            start = placed[-1].leaf.position + 1

    def _check_file(self) -> int:
        """Check the notes of the file; return how many are excused by rollbacks that were accepted."""
        if self._outside.changed:
            self._fault(0, f"{self._outside.changed} checkpoints in the file were changed and are none any more")
        excused = self._excused()
        given_up = sound = 0
        for place, note in enumerate(self._notes):
            size = note.checkpoint.size
            wrong = complaint(self._keys, note)
            if wrong is not None:
                self._fault(0, f"a checkpoint of {size} entries in the file cannot be used: {wrong}")
            elif self._roots.get(size) == note.checkpoint.root:
                sound = max(sound, size)
            elif place in excused:
                given_up += 1
            elif size > self._edge.size:
                self._fault(
                    0, f"rollback: a checkpoint in the file has {size} entries, and there are {self._edge.size}"
                )
            else:
                self._fault(
                    0, f"between the checkpoints of {sound} and {size} entries in the file, leaves were changed"
                )
        return given_up

    def _excused(self) -> set[int]:
        """Return the places of the notes that rollbacks which were accepted later excuse.

        They are those behind the note that was kept, up to the one that was given up. What was given up may be smaller
        than what was kept, so the sizes of notes say nothing.
        """
        excused: set[int] = set()
        for place, note in enumerate(self._notes):
            kept = self._accepted.get(note.digest())
            if kept is not None:
                excused.update(range(self._place_of(kept, place) + 1, place + 1))
        return excused

    def _place_of(self, kept: int, before: int) -> int:
        """Return where the last note of a size stands before a place, -1 without one: best one that fits the tree."""
        places = [place for place in range(before) if self._notes[place].checkpoint.size == kept]
        fitting = [place for place in places if self._notes[place].checkpoint.root == self._roots.get(kept)]
        return max(fitting or places, default=-1)
