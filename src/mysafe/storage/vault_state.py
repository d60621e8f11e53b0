# SPDX-License-Identifier: Apache-2.0
"""The vault itself as rows: its id, its sealed keyring, and the slots that lead to the root key."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, text

from mysafe.storage import schema
from mysafe.storage.engine import Transaction
from mysafe.storage.statements import compile_statement, insert_all


class KeyringRow(NamedTuple):
    """The newest keyring: its version, the epoch that is active in it, and its sealed bytes."""

    version: int
    active_epoch: int
    sealed: bytes


class KeyringMark(NamedTuple):
    """What the clear columns say of the newest keyring."""

    version: int
    active_epoch: int


class SlotRow(NamedTuple):
    """One way to the root key."""

    slot_id: int
    provider: str
    parameters: str
    wrapped: bytes
    created_at: int


_slots = schema.keyring_slots
_WRITE_VAULT = insert_all(schema.vault)
_WRITE_KEYRING = insert_all(schema.keyring, changes_remembered=True)
_WRITE_SLOT = insert_all(_slots)
_READ_VAULT = compile_statement(select(schema.vault.c.vault_id), ())
_ring = schema.keyring.c
_READ_KEYRING = compile_statement(
    select(_ring.version, _ring.active_epoch, _ring.sealed).order_by(_ring.version.desc()), ()
)
_NEWEST_KEYRING = compile_statement(
    select(_ring.version, _ring.active_epoch)
    .where(_ring.version > bindparam("above"))
    .order_by(_ring.version.desc())
    .suffix_with(text("LIMIT 1")),
    ("above",),
)
_DROP_KEYRINGS = compile_statement(
    delete(schema.keyring).where(_ring.version < bindparam("version")), ("version",), changes_remembered=True
)
_NOTE_EPOCH = insert_all(schema.epochs)
_FORGET_EPOCH = compile_statement(
    delete(schema.epochs).where(schema.epochs.c.number == bindparam("number")), ("number",)
)
_READ_EPOCHS = compile_statement(select(schema.epochs), ())
_READ_SLOTS = compile_statement(select(*(_slots.c[name] for name in SlotRow._fields)).order_by(_slots.c.slot_id), ())
_REMOVE_SLOT = compile_statement(delete(_slots).where(_slots.c.slot_id == bindparam("slot_id")), ("slot_id",))


def write_vault(tx: Transaction, vault_id: bytes, created_at: int) -> None:
    """Store the id of a new vault."""
    tx.execute(_WRITE_VAULT, vault_id, created_at)


def read_vault(tx: Transaction) -> bytes | None:
    """Return the vault id, or None where there is no vault."""
    row = tx.row(_READ_VAULT)
    return None if row is None else bytes(row[0])  # type: ignore[arg-type]  # a blob column


def write_keyring(tx: Transaction, row: KeyringRow, created_at: int) -> None:
    """Store a version of the keyring."""
    tx.execute(_WRITE_KEYRING, *row, created_at)


def is_newest_keyring(tx: Transaction, mark: KeyringMark) -> bool:
    """Return whether a keyring is the newest one. It is asked in every transaction: see `Transaction.expect`."""
    return tx.expect(_NEWEST_KEYRING, 0, KeyringMark._make, mark)


def newest_keyring(tx: Transaction) -> KeyringMark | None:
    """Return what is newest, or None."""
    return tx.remembered(_NEWEST_KEYRING, 0, KeyringMark._make)  # strict tables hold just these types


def drop_keyrings_before(tx: Transaction, version: int) -> None:
    """Remove older keyrings: they hold the keys of epochs that are to be destroyed. The journal is emptied."""
    tx.execute(_DROP_KEYRINGS, version)
    tx.empty_journal_afterwards()


def note_epoch(tx: Transaction, number: int, since: int) -> None:
    """Store since when (Unix seconds) an epoch is in its state."""
    tx.execute(_FORGET_EPOCH, number)
    tx.execute(_NOTE_EPOCH, number, since)


def epoch_times(tx: Transaction) -> dict[int, int]:
    """Return by number since when the epochs are in their states, in Unix seconds."""
    return {int(str(number)): int(str(since)) for number, since in tx.rows(_READ_EPOCHS)}


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
