# SPDX-License-Identifier: Apache-2.0
"""The audit tree as rows: leaves in their order, larger subtrees, how far it is, and its checkpoints.

Nothing here is believed: what is read is compared with signed checkpoints by who asks for it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, text, update

from mysafe.audit.tree import Edge, Subtree
from mysafe.storage import audit_log
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.schema import audit, audit_checkpoints, audit_leaves, audit_nodes, audit_tree
from mysafe.storage.statements import Row, compile_statement, insert_all

BATCH = 250
"""Most rows that become leaves in one transaction, and that are read at once. On SQLite all others wait that long."""

STORED_LEVEL = 8
"""Subtrees of at least this level are stored: one row for 256 leaves, and any root takes at most 255 hashes a level."""

_ONLY = 1
"""The number of the one row of `audit_tree`."""


class TreeDamaged(Exception):
    """A part of the stored tree is missing or cannot be one. The text says which."""


class TreeState(NamedTuple):
    """How far the tree is.

    Attributes:
        size: how many leaves there are.
        swept_id: every row of the audit log up to this number is a leaf, or never will be.
        swept_size: the position of the first leaf of a row above `swept_id`: who looks for rows that are leaves
            already finds them there or behind it.
        edge: the hashes of `mysafe.audit.tree.Edge`.
    """

    size: int = 0
    swept_id: int = 0
    swept_size: int = 0
    edge: bytes = b""

    def open_edge(self) -> Edge:
        """Return the edge, which can be added to. Raises TreeDamaged."""
        try:
            return Edge(self.size, self.edge)
        except ValueError:
            raise TreeDamaged("the edge of the audit tree does not fit its size") from None


class Leaf(NamedTuple):
    """A leaf: its position from 0, the number of its row, its hash."""

    position: int
    audit_id: int
    hash: bytes


class PlacedRow(NamedTuple):
    """A leaf, and the row of the audit log it stands for; None if that is gone."""

    leaf: Leaf
    row: AuditRow | None


class StoredCheckpoint(NamedTuple):
    """A checkpoint as it is stored: its size, when it was made in Unix seconds, the signed note."""

    size: int
    at: int
    note: str


class Growth(NamedTuple):
    """What one step adds: the state before and after it, and the new leaves and stored subtrees."""

    before: TreeState
    after: TreeState
    leaves: Sequence[Leaf]
    nodes: Sequence[Subtree]


_BATCH = text(f"LIMIT {BATCH}")  # a bound limit spoils the plan on PostgreSQL
_STATE_COLUMNS = tuple(audit_tree.c[name] for name in TreeState._fields)
_READ = compile_statement(select(*_STATE_COLUMNS).where(audit_tree.c.id == text(str(_ONLY))), ())
_BEGIN = insert_all(audit_tree)
_MOVE = compile_statement(
    update(audit_tree)
    .where(
        audit_tree.c.size == bindparam("before"),
        audit_tree.c.swept_id == bindparam("before_id"),
        audit_tree.c.id == text(str(_ONLY)),
    )
    .values({name: bindparam(f"new_{name}") for name in TreeState._fields}),
    (*(f"new_{name}" for name in TreeState._fields), "before", "before_id"),
)
_LAST_LEAF = compile_statement(select(func.max(audit_leaves.c.position)), ())
_ADD_LEAF = insert_all(audit_leaves)
_ADD_NODE = insert_all(audit_nodes)
_known = select(audit_leaves.c.audit_id).where(audit_leaves.c.position >= bindparam("from_position"))
_PENDING = compile_statement(
    select(audit)
    .where(audit.c.id > bindparam("after_id"), audit.c.id.not_in(_known))
    .order_by(audit.c.id)
    .suffix_with(_BATCH),
    ("after_id", "from_position"),
)
_FIRST_ABOVE = compile_statement(
    select(func.min(audit_leaves.c.position)).where(
        audit_leaves.c.position >= bindparam("from_position"), audit_leaves.c.audit_id > bindparam("number")
    ),
    ("from_position", "number"),
)
_LEAVES = compile_statement(
    select(audit_leaves.c.hash)
    .where(audit_leaves.c.position >= bindparam("start"), audit_leaves.c.position < bindparam("end"))
    .order_by(audit_leaves.c.position),
    ("start", "end"),
)
_NODE = compile_statement(
    select(audit_nodes.c.hash).where(
        audit_nodes.c.level == bindparam("level"), audit_nodes.c.number == bindparam("number")
    ),
    ("level", "number"),
)
_PLACED = compile_statement(
    select(audit_leaves, audit)
    .select_from(audit_leaves.outerjoin(audit, audit.c.id == audit_leaves.c.audit_id))
    .where(audit_leaves.c.position >= bindparam("start"))
    .order_by(audit_leaves.c.position)
    .suffix_with(_BATCH),
    ("start",),
)
_IDS = compile_statement(
    select(audit.c.id).where(audit.c.id > bindparam("after")).order_by(audit.c.id).suffix_with(_BATCH), ("after",)
)
_NODES = compile_statement(select(func.count()).select_from(audit_nodes), ())
_ADD_CHECKPOINT = insert_all(audit_checkpoints)
_CHECKPOINT = compile_statement(
    select(audit_checkpoints).order_by(audit_checkpoints.c.size.desc()).suffix_with(text("LIMIT 1")), ()
)
_CHECKPOINTS = compile_statement(
    select(audit_checkpoints)
    .where(audit_checkpoints.c.size > bindparam("above"))
    .order_by(audit_checkpoints.c.size)
    .suffix_with(_BATCH),
    ("above",),
)


def read_state(tx: Transaction) -> TreeState:
    """Return how far the tree is; without a tree, that of an empty one."""
    row = tx.row(_READ)
    return TreeState() if row is None else TreeState._make(row)


def sound_state(tx: Transaction) -> TreeState:
    """Return how far the tree is, if its leaves end there and there are rows as far as it says.

    Otherwise rows would be passed by: as if they were leaves already, or as if somebody else had appended them.

    Raises:
        TreeDamaged: somebody changed the tree outside the vault, or removed the newest rows.
    """
    state = read_state(tx)
    (last,) = tx.rows(_LAST_LEAF)[0]
    leaves = 0 if last is None else int(str(last)) + 1
    if leaves != state.size:
        where = "behind the end of the audit tree" if leaves > state.size else "no longer"
        raise TreeDamaged(
            f"the audit tree has {state.size} leaves, and the leaf {max(leaves, state.size) - 1} is {where}"
        )
    if state.swept_id > audit_log.last_id(tx):
        raise TreeDamaged(f"the audit tree is said to hold all entries up to {state.swept_id}, which there is not")
    return state


def pending(tx: Transaction, state: TreeState) -> list[AuditRow]:
    """Return rows of the audit log that are no leaves yet, ascending by their numbers, at most BATCH.

    Raises:
        TreeDamaged: a text of them is none, which SQLite takes from whoever insists.
    """
    try:
        return [AuditRow._make(row) for row in tx.rows(_PENDING, state.swept_id, state.swept_size)]
    except UnicodeDecodeError:
        raise TreeDamaged(f"an audit entry above {state.swept_id} has a text that is no UTF-8") from None


def first_above(tx: Transaction, state: TreeState, number: int) -> int | None:
    """Return the position of the first leaf of a row above a number that is not below `swept_id`, or None."""
    (position,) = tx.rows(_FIRST_ABOVE, state.swept_size, number)[0]
    return None if position is None else int(str(position))


def grow(tx: Transaction, growth: Growth) -> bool:
    """Store what a step adds; return False, having written nothing, if somebody else moved the tree meanwhile.

    Raises:
        UniqueClash: a leaf or a node stands where none may be; on PostgreSQL not before the commit.
    """
    if not _move(tx, growth.before, growth.after):
        return False
    tx.execute_many(_ADD_LEAF, growth.leaves)
    tx.execute_many(_ADD_NODE, growth.nodes)
    return True


def _move(tx: Transaction, before: TreeState, after: TreeState) -> bool:
    if before != TreeState() or tx.row(_READ) is not None:
        return bool(tx.execute(_MOVE, *after, before.size, before.swept_id))
    try:
        tx.execute(_BEGIN, _ONLY, *after)
    except UniqueClash:
        return False  # somebody else began the tree
    return True


def subtree(tx: Transaction, level: int, number: int) -> bytes:
    """Return the hash of a complete subtree. Raises TreeDamaged if it is not all there."""
    if level >= STORED_LEVEL:
        row = tx.row(_NODE, level, number)
        if row is None:
            raise TreeDamaged(f"a node of the audit tree is missing: level {level}, number {number}")
        return bytes(row[0])  # type: ignore[arg-type]  # a blob column
    start, count = number << level, 1 << level
    rows = tx.rows(_LEAVES, start, start + count)
    if len(rows) != count:
        raise TreeDamaged(f"a leaf of the audit tree is missing between {start} and {start + count - 1}")
    edge = Edge()
    for (leaf,) in rows:
        edge.add(bytes(leaf))  # type: ignore[arg-type]  # a blob column
    return edge.root()


def placed_rows(tx: Transaction, start: int) -> list[PlacedRow]:
    """Return leaves from a position on with their rows, ascending, at most BATCH. Raises TreeDamaged as `pending`."""
    try:
        return [_placed(row) for row in tx.rows(_PLACED, start)]
    except UnicodeDecodeError:
        where = f"among the leaves {start} to {start + BATCH - 1}"
        raise TreeDamaged(f"an audit entry has a text that is no UTF-8, {where}") from None


def ids_after(tx: Transaction, after: int) -> list[int]:
    """Return numbers of rows of the audit log above one, ascending, at most BATCH."""
    return [int(str(number)) for (number,) in tx.rows(_IDS, after)]


def count_nodes(tx: Transaction) -> int:
    """Return how many subtrees are stored."""
    return int(str(tx.rows(_NODES)[0][0]))


def store_checkpoint(tx: Transaction, checkpoint: StoredCheckpoint) -> None:
    """Store a checkpoint. Raises UniqueClash if there is one of its size."""
    tx.execute(_ADD_CHECKPOINT, *checkpoint)


def newest_checkpoint(tx: Transaction) -> StoredCheckpoint | None:
    """Return the checkpoint of the largest size, or None."""
    row = tx.row(_CHECKPOINT)
    return None if row is None else StoredCheckpoint._make(row)


def all_checkpoints(tx: Transaction) -> Iterator[StoredCheckpoint]:
    """Yield all checkpoints, ascending by size."""
    above = -1
    while rows := tx.rows(_CHECKPOINTS, above):
        found = [StoredCheckpoint._make(row) for row in rows]
        yield from found
        above = found[-1].size


def _placed(row: Row) -> PlacedRow:
    leaf, columns = Leaf._make(row[:3]), row[3:]
    return PlacedRow(leaf, None if columns[0] is None else AuditRow._make(columns))
