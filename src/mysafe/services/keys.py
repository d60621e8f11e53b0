# SPDX-License-Identifier: Apache-2.0
"""The key ceremony: make the keys of a new vault, and open them again (security design, section 4).

provider (key file, …)  wraps  root key  seals  keyring  holds the working keys
"""

import hmac
import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from mysafe.crypto.aead import SealBroken, associated_data
from mysafe.crypto.blind_index import BlindIndex
from mysafe.crypto.form_tokens import FormTokens
from mysafe.crypto.keyring import Keyring
from mysafe.crypto.records import RecordCipher
from mysafe.crypto.root_key.handed import HandedRoot
from mysafe.crypto.root_key.provider import RootKeyProvider, new_root_key
from mysafe.crypto.signatures import SigningKey
from mysafe.crypto.verifiers import Verifiers
from mysafe.domain.errors import Sealed
from mysafe.storage import vault_state
from mysafe.storage.engine import Transaction
from mysafe.storage.vault_state import KeyringMark, KeyringRow, SlotRow

_security = logging.getLogger("mysafe.security")

DAILY_SLOT = 1
"""The slot that opens the vault at every start."""

LONGEST_LOOK_SECONDS = 60.0
"""How long keys are kept after newer ones came, for transactions that began before."""


_KEYS = {"keyfile": "key file", "passphrase": "passphrase", "recovery": "recovery code", "shamir": "shares"}
"""What the key of a provider is called."""


class KeysRefused(Exception):
    """The keys cannot be opened. The text is one sentence for the operator, without key material."""


@dataclass(frozen=True, slots=True, repr=False)
class VaultKeys:
    """What opens the vault: its id, the record cipher, the blind index, the verifiers of credentials.

    And what makes the tokens of web forms, and signs the checkpoints of its audit log.
    """

    vault_id: bytes
    cipher: RecordCipher
    index: BlindIndex
    verifiers: Verifiers
    forms: FormTokens
    signing: SigningKey

    @property
    def version(self) -> int:
        """The version of the keyring they come from."""
        return self.cipher.keyring_version

    @classmethod
    def of(cls, vault_id: bytes, keyring: Keyring) -> "VaultKeys":
        """Return the keys of an open keyring. `vault_id` is 16 bytes."""
        return cls(
            vault_id,
            RecordCipher(vault_id, keyring),
            BlindIndex(keyring.index_key),
            Verifiers(keyring.verifier_key),
            FormTokens(keyring.csrf_key),
            SigningKey(keyring.checkpoint_key),
        )


def envelope_digest(dek: bytes, meta: bytes, secret: bytes | None) -> bytes:
    """Return the SHA-256 by which the audit log knows a sealed record."""
    return sha256(b"".join((dek, meta, secret or b""))).digest()


def create_keys(tx: Transaction, providers: Sequence[RootKeyProvider], vault_id: bytes, now: int) -> "OpenRoot":
    """Make root key and keyring of a new vault, store them wrapped, and return them.

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
    sealed = keyring.seal(root_key, vault_id)
    vault_state.write_keyring(tx, KeyringRow(keyring.version, keyring.active_epoch, sealed), now)
    vault_state.note_epoch(tx, keyring.active_epoch, now)
    return OpenRoot(vault_id, root_key, VaultKeys.of(vault_id, keyring))


class OpenRoot(NamedTuple):
    """The root key while it is needed, and what it opens. It shows nothing when printed."""

    vault_id: bytes
    root_key: bytes
    keys: VaultKeys

    def __repr__(self) -> str:
        return "OpenRoot(***)"


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
    try:
        root_key = provider.unwrap(slot.wrapped, slot_bound(vault_id, slot))
        return OpenRoot(vault_id, root_key, VaultKeys.of(vault_id, open_keyring(root_key, vault_id, keyring)))
    except SealBroken:
        raise KeysRefused(
            f"the root key does not open this vault: wrong {_KEYS.get(provider.name, 'key')},"
            " or the database was changed"
        ) from None


def open_keyring(root_key: bytes, vault_id: bytes, row: KeyringRow) -> Keyring:
    """Return the keyring of a row. Raises SealBroken, also when the clear column names another active epoch."""
    keyring = Keyring.open(root_key, vault_id, row.version, row.sealed)
    if keyring.active_epoch != row.active_epoch:
        raise SealBroken
    return keyring


class Keychain:
    """The keys of a vault while its process lives: always those that the transaction at hand needs (decision 0021).

    `current` are the working keys. Safe to use from several threads at once.
    """

    def __init__(self, root: OpenRoot) -> None:
        self._known = root.keys, _mark_of(root.keys)  # together: two threads must never see halves
        self._before: VaultKeys | None = None
        self._taken_at = 0.0
        self._taking = threading.Lock()
        self._root_key = root.root_key

    def __repr__(self) -> str:
        return "Keychain(***)"

    @property
    def current(self) -> VaultKeys:
        """The working keys."""
        return self._known[0]

    def keys_in(self, tx: Transaction) -> VaultKeys:
        """Return the keys for a transaction, which never wraps under an epoch that is not active in its own view.

        Raises:
            Sealed: another epoch is active, in a keyring that the root key of this process does not open.
        """
        current, mark = self._known
        if vault_state.is_newest_keyring(tx, mark):
            return current
        newest = vault_state.newest_keyring(tx)
        if newest is None or newest.version == current.version:
            return current
        if newest.version < current.version:  # a look that began before the others saw a newer keyring
            before = self._before
            return before if before is not None and before.version >= newest.version else current
        if newest.active_epoch == current.cipher.epoch:
            self._note(current, newest)
            return current  # nothing is wrapped under another key; the pulse loads it soon
        try:
            self.load(tx)
        except SealBroken:
            _security.error("the keyring was sealed under another root key: seal and unseal this server")
            raise Sealed from None
        return self.current

    def keyring_in(self, tx: Transaction) -> Keyring:
        """Return the newest keyring, from its sealed form. Raises SealBroken."""
        row = vault_state.read_keyring(tx)
        if row is None:
            raise SealBroken
        return open_keyring(self._root_key, self.current.vault_id, row)

    def sealed(self, keyring: Keyring) -> KeyringRow:
        """Return a version of the keyring as a row."""
        blob = keyring.seal(self._root_key, self.current.vault_id)
        return KeyringRow(keyring.version, keyring.active_epoch, blob)

    def load(self, tx: Transaction, provider: RootKeyProvider | None = None) -> None:
        """Take over the newest keyring, if it is newer.

        Args:
            tx: where it lies.
            provider: is asked if the root key was changed. It may block; None asks nobody.

        Raises:
            SealBroken: the root key does not open it.
            RootKeyRefused, KeysRefused: the provider does not give the key that does.
        """
        newest = vault_state.newest_keyring(tx)
        if newest is None or newest.version <= self.current.version:
            return
        try:
            self._take(VaultKeys.of(self.current.vault_id, self.keyring_in(tx)))
        except SealBroken:
            if provider is None:
                raise
            root = open_root(tx, provider)
            self._root_key = root.root_key
            self._take(root.keys)

    def handed(self, provider: str) -> HandedRoot:
        """Return what opens the vault, by the slot of a provider, in a process that is made by this one."""
        return HandedRoot(provider, self._root_key)

    def is_root_key(self, key: bytes) -> bool:
        """Return whether a key is the root key."""
        return hmac.compare_digest(self._root_key, key)

    def forget_before(self) -> None:
        """Let go of the keys before the current ones, if no transaction is left that could need them."""
        with self._taking:
            if time.monotonic() - self._taken_at > LONGEST_LOOK_SECONDS:
                self._before = None

    def _note(self, keys: VaultKeys, mark: KeyringMark) -> None:
        """Remember that these keys are good as long as this keyring is the newest."""
        with self._taking:
            if self._known[0] is keys:
                self._known = keys, mark

    def _take(self, keys: VaultKeys) -> None:
        with self._taking:  # two threads may have loaded the same keyring: the second must not displace `_before`
            if keys.version > self.current.version:
                self._before, self._known = self.current, (keys, _mark_of(keys))
                self._taken_at = time.monotonic()


def _mark_of(keys: VaultKeys) -> KeyringMark:
    return KeyringMark(keys.version, keys.cipher.epoch)


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
