# SPDX-License-Identifier: Apache-2.0
"""The key ceremony: make the keys of a new vault, and open them again (security design, section 4).

provider (key file, …)  wraps  root key  seals  keyring  holds the working keys
"""

import json
from dataclasses import dataclass
from hashlib import sha256

from mysafe.crypto.aead import SealBroken, associated_data
from mysafe.crypto.blind_index import BlindIndex
from mysafe.crypto.keyring import Keyring
from mysafe.crypto.records import RecordCipher
from mysafe.crypto.root_key import RootKeyProvider, new_root_key
from mysafe.crypto.verifiers import Verifiers
from mysafe.storage import vault_state
from mysafe.storage.engine import Transaction
from mysafe.storage.vault_state import SlotRow

DAILY_SLOT = 1
"""The slot that opens the vault at every start."""


class KeysRefused(Exception):
    """The keys cannot be opened. The text is one sentence for the operator, without key material."""


@dataclass(frozen=True, slots=True, repr=False)
class VaultKeys:
    """What opens the vault: its id, the record cipher, the blind index and the verifiers of credentials."""

    vault_id: bytes
    cipher: RecordCipher
    index: BlindIndex
    verifiers: Verifiers

    @classmethod
    def of(cls, vault_id: bytes, keyring: Keyring) -> "VaultKeys":
        """Return the keys of an open keyring. `vault_id` is 16 bytes."""
        return cls(
            vault_id, RecordCipher(vault_id, keyring), BlindIndex(keyring.index_key), Verifiers(keyring.verifier_key)
        )


def envelope_digest(dek: bytes, meta: bytes, secret: bytes | None) -> bytes:
    """Return the SHA-256 by which the audit log knows a sealed record."""
    return sha256(b"".join((dek, meta, secret or b""))).digest()


def create_keys(tx: Transaction, provider: RootKeyProvider, vault_id: bytes, now: int) -> VaultKeys:
    """Make root key and keyring of a new vault, store them wrapped, and return the working keys.

    Args:
        provider: what will open the vault from now on.
        vault_id: 16 random bytes, part of all associated data from now on.
        now: Unix seconds.
    """
    parameters = json.dumps({})
    root_key = new_root_key()
    keyring = Keyring.create()
    wrapped = provider.wrap(root_key, _slot_bound(vault_id, DAILY_SLOT, parameters))
    vault_state.write_vault(tx, vault_id, now)
    vault_state.write_slot(tx, SlotRow(DAILY_SLOT, provider.name, parameters, wrapped), now)
    vault_state.write_keyring(tx, keyring.version, keyring.seal(root_key, vault_id), now)
    return VaultKeys.of(vault_id, keyring)


def open_keys(tx: Transaction, provider: RootKeyProvider) -> VaultKeys:
    """Return the working keys of an existing vault.

    Raises:
        KeysRefused: the database holds no vault, no slot of this provider, or the key does not fit.
    """
    vault_id = vault_state.read_vault(tx)
    keyring = vault_state.read_keyring(tx)
    if vault_id is None or keyring is None:
        raise KeysRefused("the database holds no vault; run `mysafe init` on an empty directory")
    slot = next((slot for slot in vault_state.read_slots(tx) if slot.provider == provider.name), None)
    if slot is None:
        raise KeysRefused(f"the vault has no slot for the root key provider {provider.name}")
    version, sealed = keyring
    try:
        root_key = provider.unwrap(slot.wrapped, _slot_bound(vault_id, slot.slot_id, slot.parameters))
        return VaultKeys.of(vault_id, Keyring.open(root_key, vault_id, version, sealed))
    except SealBroken:
        raise KeysRefused(
            "the root key does not open this vault: wrong key file, or the database was changed"
        ) from None


def _slot_bound(vault_id: bytes, slot_id: int, parameters: str) -> bytes:
    return associated_data("slot", vault_id, slot_id, parameters)
