# SPDX-License-Identifier: Apache-2.0
"""The vault's own rows."""

from mysafe.storage import vault_state
from mysafe.storage.engine import Engine, Transaction
from mysafe.storage.vault_state import KeyringRow, SlotRow


def test_a_new_database_holds_no_vault(engine: Engine) -> None:
    assert engine.look(vault_state.read_vault).result() is None
    assert engine.look(vault_state.read_keyring).result() is None
    assert engine.look(vault_state.read_slots).result() == []


def test_vault_keyring_and_slots_come_back(engine: Engine) -> None:
    slots = [SlotRow(1, "keyfile", "{}", b"wrapped", 5), SlotRow(2, "shamir", '{"m": 1}', b"wrapped too", 6)]

    def write(tx: Transaction) -> None:
        vault_state.write_vault(tx, bytes(16), 5)
        for version in (1, 3, 2):
            vault_state.write_keyring(tx, KeyringRow(version, 1, b"sealed %d" % version), 5)
        for slot in reversed(slots):
            vault_state.write_slot(tx, slot)

    engine.submit(write).result()
    assert engine.look(vault_state.read_vault).result() == bytes(16)
    assert engine.look(vault_state.read_keyring).result() == KeyringRow(3, 1, b"sealed 3")
    assert engine.look(vault_state.read_slots).result() == slots
    engine.submit(lambda tx: vault_state.remove_slot(tx, 1)).result()
    assert engine.look(vault_state.read_slots).result() == slots[1:]
