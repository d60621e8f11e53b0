# SPDX-License-Identifier: Apache-2.0
"""The sequencer: appends the rows of the audit log that are committed to the audit tree, soon after (decision 0025).

Whoever writes a row knows nothing of the tree. The sequencer has an order of its own, since rows may be committed in
another order than that of their numbers.
"""

import logging
from functools import partial
from typing import NamedTuple

from mysafe.audit.leaves import encode_leaf
from mysafe.audit.tree import Subtree, leaf_hash
from mysafe.domain.errors import VaultError
from mysafe.services.audit_tree.checkpoints import Checkpoints
from mysafe.services.vault import Vault
from mysafe.storage import audit_log, audit_tree
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.audit_tree import BATCH, STORED_LEVEL, Growth, Leaf, TreeDamaged, TreeState
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.postgres import late_writers

_log = logging.getLogger("mysafe.audit")

REST_SECONDS = 0.5
"""How long the sequencer rests when it has caught up: a row becomes a leaf in less than a second."""

PAUSE_SECONDS = 0.01
"""How long it rests while more rows wait: the lock belongs to the writers of the vault meanwhile."""

MOST_STEPS = 20_000
"""How often `catch_up` appends: five million rows."""


class TreeMoved(Exception):
    """Another sequencer appended meanwhile. Nothing was written."""


class Sequencer:
    """One step at a time, each in a transaction of its own. It may run anywhere; two at once do no harm.

    Args:
        vault: whose audit log it is.
        checkpoints: are written when they are due; None writes none.
    """

    name = "audit"

    def __init__(self, vault: Vault, checkpoints: Checkpoints | None = None) -> None:
        self._vault = vault
        self._checkpoints = checkpoints
        self._marked: _Mark | None = None
        self._complaint = ""

    def run(self) -> float:
        """Append what is there, and write a checkpoint if one is due; return how many seconds to rest.

        A tree that was changed outside the vault, or a file that cannot be written, is logged once.

        Raises:
            VaultError: the database cannot be used now.
        """
        try:
            if self.step() == BATCH:
                return PAUSE_SECONDS
            if self._checkpoints is not None:
                self._checkpoints.write_if_due()
            self._complaint = ""
        except (OSError, TreeDamaged) as error:
            self._complain(error)
        return REST_SECONDS

    def close(self) -> None:
        """Append and sign what is left, at the end of a server; what cannot be done now is done by the next one."""
        try:
            self.catch_up()
            if self._checkpoints is not None:
                self._checkpoints.write()
        except (VaultError, OSError, TreeDamaged) as error:
            self._complain(error)

    def step(self) -> int:
        """Append at most BATCH rows; return how many were found.

        Raises:
            VaultError: the database cannot be used now.
            TreeDamaged: the tree was changed outside the vault.
        """
        try:
            return self._step_beside() if self._vault.engine.is_shared else self._step_inside()
        except TreeMoved:
            return 0  # the next step begins with what the other one left
        except UniqueClash:
            raise TreeDamaged("a leaf or node stands behind the end of the audit tree") from None

    def _step_inside(self) -> int:
        """Append in the writer's own transaction, on its thread.

        Rows are read one by one. Beside a busy thread, each of them would cost a change of hands of the interpreter's
        lock, which is more than all the rest (decision 0011).
        """
        engine = self._vault.engine
        return engine.submit(_append).result() if engine.look(_has_new).result() else 0

    def _step_beside(self) -> int:
        """Read on a snapshot, and write what comes of it in another transaction.

        In a serializable one, reading the end of the audit log would conflict with all who write to it.
        """
        engine = self._vault.engine
        found = engine.look(partial(_found, bound=self._bound())).result()
        growth = _growth(found)
        if growth.after != growth.before:
            engine.submit(partial(_store, growth=growth)).result()
        if self._marked is None:
            self._marked = engine.look(_marked).result()
        return len(found.rows)

    def catch_up(self) -> None:
        """Append until nothing is left. Errors as for `step`."""
        for _ in range(MOST_STEPS):
            if self.step() < BATCH:
                return

    def _complain(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        if said != self._complaint:
            _log.error("the audit tree does not grow, or is not signed: %s", said)
        self._complaint = said

    def _bound(self) -> "_Mark":
        """Return a mark up to which no row can appear any more that is not seen by now."""
        marked = self._marked
        if marked is None or marked.writers & self._vault.engine.look(late_writers.writers).result():
            return _NO_MARK
        self._marked = None
        return marked


class _Mark(NamedTuple):
    """The number of the newest row at a moment, who was writing then, and how many leaves there were."""

    last_id: int
    writers: frozenset[str]
    size: int


_NO_MARK = _Mark(0, frozenset(), 0)


class _Found(NamedTuple):
    """What a step begins with.

    `reach` is a number up to which all rows are leaves after the step, and `later` the position of the first leaf that
    is there already and stands for a row above it.
    """

    state: TreeState
    rows: list[AuditRow]
    reach: int
    later: int | None


def append_own_rows(vault: Vault) -> None:
    """Append what a command wrote, where no server may be there to do it. What fails now is done by the next one."""
    try:
        Sequencer(vault).catch_up()
    except TreeDamaged as error:
        _log.error("the audit tree does not grow: it was changed outside the vault: %s", error)
    except VaultError as error:
        _log.warning("the audit tree does not grow: %s", type(error).__name__)


def _has_new(tx: Transaction) -> bool:
    return audit_log.last_id(tx) > audit_tree.sound_state(tx).swept_id


def _append(tx: Transaction) -> int:
    found = _found(tx, None)
    _store(tx, _growth(found))
    return len(found.rows)


def _found(tx: Transaction, bound: _Mark | None) -> _Found:
    """Return what a step begins with.

    Without a mark, every row that is not seen will have a higher number than those that are: SQLite has one writer,
    and numbers follow its commits. Raises TreeDamaged.
    """
    state = audit_tree.sound_state(tx)
    rows, reach = audit_tree.pending(tx, state), audit_log.last_id(tx)
    if bound is not None:
        # A tree or log that is smaller than it was is another one, after a failover: the mark says nothing about it.
        reach = bound.last_id if bound.size <= state.size and bound.last_id <= reach else 0
    if len(rows) == BATCH:
        reach = min(reach, rows[-1].id)  # rows above are left to the next step
    later = audit_tree.first_above(tx, state, reach) if reach > state.swept_id else None
    return _Found(state, rows, reach, later)


def _marked(tx: Transaction) -> _Mark:
    return _Mark(*late_writers.mark(tx), audit_tree.read_state(tx).size)


def _growth(found: _Found) -> Growth:
    """Return what the tree becomes with the rows that were found."""
    state, rows, reach, later = found
    edge = state.open_edge()
    leaves: list[Leaf] = []
    nodes: list[Subtree] = []
    for row in rows:
        leaf = Leaf(edge.size, row.id, leaf_hash(encode_leaf(row)))
        leaves.append(leaf)
        nodes += edge.add(leaf.hash, STORED_LEVEL)
    after = TreeState(edge.size, state.swept_id, state.swept_size, edge.encode())
    if reach > state.swept_id:
        above = next((leaf.position for leaf in leaves if leaf.audit_id > reach), edge.size)
        after = after._replace(swept_id=reach, swept_size=above if later is None else later)
    return Growth(state, after, leaves, nodes)


def _store(tx: Transaction, growth: Growth) -> None:
    if not audit_tree.grow(tx, growth):
        raise TreeMoved
