# SPDX-License-Identifier: Apache-2.0
"""The processes that serve the vault: when each last said that it lives, and which keyring it has loaded."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from mysafe.storage import schema
from mysafe.storage.engine import Transaction
from mysafe.storage.statements import compile_statement, insert_all


class Node(NamedTuple):
    """A process that serves. `beat_at` is Unix seconds by its own clock."""

    node: str
    beat_at: int
    keyring_version: int


_table = schema.nodes
_INSERT = insert_all(_table)
_DELETE = compile_statement(delete(_table).where(_table.c.node == bindparam("node")), ("node",))
_DELETE_BEFORE = compile_statement(delete(_table).where(_table.c.beat_at < bindparam("before")), ("before",))
_SINCE = compile_statement(
    select(_table).where(_table.c.beat_at >= bindparam("since")).order_by(_table.c.node), ("since",)
)

FORGOTTEN_SECONDS = 86_400
"""After so long without a beat the row of a process that was killed is removed."""


def beat(tx: Transaction, node: Node) -> None:
    """Store that a process lives, and which keyring it has loaded."""
    tx.execute(_DELETE_BEFORE, node.beat_at - FORGOTTEN_SECONDS)
    tx.execute(_DELETE, node.node)
    tx.execute(_INSERT, *node)


def leave(tx: Transaction, node: str) -> None:
    """Store that a process serves no more."""
    tx.execute(_DELETE, node)


def since(tx: Transaction, at: int) -> list[Node]:
    """Return the processes that have given a beat since a time in Unix seconds."""
    return [Node._make(row) for row in tx.rows(_SINCE, at)]  # strict tables hold just these types
