# SPDX-License-Identifier: Apache-2.0
"""The vault itself as rows: its id, its sealed keyring, and the slots that lead to the root key."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from mysafe.storage import schema
from mysafe.storage.engine import Transaction
from mysafe.storage.statements import compile_statement, insert_all


class KeyringRow(NamedTuple):
    """The newest keyring: its version and its sealed bytes."""

    version: int
    sealed: bytes


class SlotRow(NamedTuple):
    """One way to the root key."""

    slot_id: int
    provider: str
    parameters: str
    wrapped: bytes
    created_at: int


_slots = schema.keyring_slots
_WRITE_VAULT = insert_all(schema.vault)
_WRITE_KEYRING = insert_all(schema.keyring)
_WRITE_SLOT = insert_all(_slots)
_READ_VAULT = compile_statement(select(schema.vault.c.vault_id), ())
_READ_KEYRING = compile_statement(
    select(schema.keyring.c.version, schema.keyring.c.sealed).order_by(schema.keyring.c.version.desc()), ()
)
_READ_SLOTS = compile_statement(select(*(_slots.c[name] for name in SlotRow._fields)).order_by(_slots.c.slot_id), ())
_REMOVE_SLOT = compile_statement(delete(_slots).where(_slots.c.slot_id == bindparam("slot_id")), ("slot_id",))


def write_vault(tx: Transaction, vault_id: bytes, created_at: int) -> None:
    """Store the id of a new vault."""
    tx.execute(_WRITE_VAULT, vault_id, created_at)


def read_vault(tx: Transaction) -> bytes | None:
    """Return the vault id, or None where there is no vault."""
    row = tx.row(_READ_VAULT)
    return None if row is None else bytes(row[0])  # type: ignore[arg-type]  # a blob column


def write_keyring(tx: Transaction, version: int, sealed: bytes, created_at: int) -> None:
    """Store a version of the keyring."""
    tx.execute(_WRITE_KEYRING, version, sealed, created_at)


def read_keyring(tx: Transaction) -> KeyringRow | None:
    """Return the newest keyring, or None."""
    row = tx.row(_READ_KEYRING)
    return None if row is None else KeyringRow._make(row)


def write_slot(tx: Transaction, slot: SlotRow) -> None:
    """Store a slot. Raises UniqueClash if there is one with its id."""
    tx.execute(_WRITE_SLOT, *slot)


def remove_slot(tx: Transaction, slot_id: int) -> None:
    """Remove a slot."""
    tx.execute(_REMOVE_SLOT, slot_id)


def read_slots(tx: Transaction) -> list[SlotRow]:
    """Return all slots, ascending by id."""
    return [SlotRow._make(row) for row in tx.rows(_READ_SLOTS)]
