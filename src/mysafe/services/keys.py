# SPDX-License-Identifier: Apache-2.0
"""The key ceremony: make the keys of a new vault, and open them again (security design, section 4).

provider (key file, …)  wraps  root key  seals  keyring  holds the working keys
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from mysafe.crypto.aead import SealBroken, associated_data
from mysafe.crypto.blind_index import BlindIndex
from mysafe.crypto.keyring import Keyring
from mysafe.crypto.records import RecordCipher
from mysafe.crypto.root_key.provider import RootKeyProvider, new_root_key
from mysafe.crypto.verifiers import Verifiers
from mysafe.storage import vault_state
from mysafe.storage.engine import Transaction
from mysafe.storage.vault_state import SlotRow

DAILY_SLOT = 1
"""The slot that opens the vault at every start."""


_KEYS = {"keyfile": "key file", "passphrase": "passphrase", "recovery": "recovery code", "shamir": "shares"}
"""What the key of a provider is called."""


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


def create_keys(tx: Transaction, providers: Sequence[RootKeyProvider], vault_id: bytes, now: int) -> VaultKeys:
    """Make root key and keyring of a new vault, store them wrapped, and return the working keys.

    Args:
        providers: each opens the vault from now on; the first gets the daily slot.
        vault_id: 16 random bytes, part of all associated data from now on.
        now: Unix seconds.
    """
    root_key = new_root_key()
    keyring = Keyring.create()
    vault_state.write_vault(tx, vault_id, now)
    for slot_id, provider in enumerate(providers, DAILY_SLOT):
        vault_state.write_slot(tx, wrap_slot(provider, root_key, vault_id, slot_id, now))
    vault_state.write_keyring(tx, keyring.version, keyring.seal(root_key, vault_id), now)
    return VaultKeys.of(vault_id, keyring)


class OpenRoot(NamedTuple):
    """The root key while it is needed, and what it opens. It shows nothing when printed."""

    vault_id: bytes
    root_key: bytes
    keys: VaultKeys

    def __repr__(self) -> str:
        return "OpenRoot(***)"


def open_keys(tx: Transaction, provider: RootKeyProvider) -> VaultKeys:
    """Return the working keys of an existing vault. Raises KeysRefused, RootKeyRefused."""
    return open_root(tx, provider).keys


def open_root(tx: Transaction, provider: RootKeyProvider) -> OpenRoot:
    """Return root key and working keys of an existing vault.

    One slot is tried, that of the provider: nothing falls back to another one (R-CRY-04).

    Raises:
        KeysRefused: the database holds no vault, no slot of this provider, or the key does not fit.
        RootKeyRefused: the provider does not give the key.
    """
    vault_id = vault_state.read_vault(tx)
    keyring = vault_state.read_keyring(tx)
    if vault_id is None or keyring is None:
        raise KeysRefused("the database holds no vault; run `mysafe init` on an empty directory")
    slot = find_slot(tx, provider.name)
    version, sealed = keyring
    try:
        root_key = provider.unwrap(slot.wrapped, slot_bound(vault_id, slot))
        keys = VaultKeys.of(vault_id, Keyring.open(root_key, vault_id, version, sealed))
        return OpenRoot(vault_id, root_key, keys)
    except SealBroken:
        raise KeysRefused(
            f"the root key does not open this vault: wrong {_KEYS.get(provider.name, 'key')},"
            " or the database was changed"
        ) from None


def find_slot(tx: Transaction, provider: str) -> SlotRow:
    """Return the slot of a provider. Raises KeysRefused, which says which slots there are."""
    slots = vault_state.read_slots(tx)
    slot = next((slot for slot in slots if slot.provider == provider), None)
    if slot is None:
        there = ", ".join(slot.provider for slot in slots) or "none"
        raise KeysRefused(
            f"the vault has no slot for the root key provider {provider}; it has {there}: set root_provider to one"
        )
    return slot


def wrap_slot(provider: RootKeyProvider, root_key: bytes, vault_id: bytes, slot_id: int, now: int) -> SlotRow:
    """Return a new slot of a provider for a root key. Raises RootKeyRefused."""
    empty = SlotRow(slot_id, provider.name, json.dumps({}), b"", now)
    return empty._replace(wrapped=provider.wrap(root_key, slot_bound(vault_id, empty)))


def slot_bound(vault_id: bytes, slot: SlotRow) -> bytes:
    """Return what the wrapped root key of a slot is bound to: its vault, its id and its parameters."""
    return associated_data("slot", vault_id, slot.slot_id, slot.parameters)
