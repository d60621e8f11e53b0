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

MOST_STEPS = 10_000
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
        self._marked: _Marked | None = None
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
        swept = self._swept()
        found = self._vault.engine.look(_found).result()
        growth = _growth(found, swept or Swept(found.last_id))
        if growth.after != growth.before:
            try:
                self._vault.engine.submit(partial(_store, growth=growth)).result()
            except (TreeMoved, UniqueClash):
                return 0  # the next step begins with what the other one left
        self._mark()
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

    def _swept(self) -> "Swept | None":
        """Return up to where no row can appear any more that is not seen by now.

        None says that this is so for every row: SQLite has one writer, and numbers follow its commits.
        """
        if not self._vault.engine.is_shared:
            return None
        if self._marked is None or self._marked.writers & self._vault.engine.look(late_writers.writers).result():
            return Swept(0)
        marked, self._marked = self._marked, None
        return Swept(marked.last_id, marked.size)

    def _mark(self) -> None:
        if self._vault.engine.is_shared and self._marked is None:
            self._marked = self._vault.engine.look(_marked).result()


class Swept(NamedTuple):
    """A number up to which all rows are seen, and how many leaves there were when it was the last; None is now."""

    last_id: int
    size: int | None = None


class _Marked(NamedTuple):
    size: int
    last_id: int
    writers: frozenset[str]


class _Found(NamedTuple):
    state: TreeState
    rows: list[AuditRow]
    last_id: int


def append_own_rows(vault: Vault) -> None:
    """Append what a command wrote, where no server may be there to do it. What fails now is done by the next one."""
    try:
        Sequencer(vault).catch_up()
    except (VaultError, TreeDamaged) as error:
        _log.warning("the audit tree does not grow: %s", type(error).__name__)


def _found(tx: Transaction) -> _Found:
    state = audit_tree.read_state(tx)
    return _Found(state, audit_tree.pending(tx, state), audit_log.last_id(tx))


def _marked(tx: Transaction) -> _Marked:
    # First the size: a row whose number comes after the mark becomes a leaf at this position or behind it.
    return _Marked(audit_tree.read_state(tx).size, *late_writers.mark(tx))


def _growth(found: _Found, swept: Swept) -> Growth:
    """Return what the tree becomes with the rows that were found."""
    state = found.state
    edge = state.open_edge()
    leaves: list[Leaf] = []
    nodes: list[Subtree] = []
    for row in found.rows:
        leaf = Leaf(edge.size, row.id, leaf_hash(encode_leaf(row)))
        leaves.append(leaf)
        nodes += (made for made in edge.add(leaf.hash) if made.level >= STORED_LEVEL)
    after = TreeState(edge.size, state.swept_id, state.swept_size, edge.encode())
    # A full batch may have left rows of lower numbers to the next step.
    if len(found.rows) < BATCH and swept.last_id > state.swept_id:
        size = edge.size if swept.size is None else swept.size
        after = after._replace(swept_id=swept.last_id, swept_size=size)
    return Growth(state, after, leaves, nodes)


def _store(tx: Transaction, growth: Growth) -> None:
    if not audit_tree.grow(tx, growth):
        raise TreeMoved
