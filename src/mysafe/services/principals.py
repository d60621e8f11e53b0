# SPDX-License-Identifier: Apache-2.0
"""Users, groups, access keys and tokens as their sealed records say. Index columns only find candidates."""

from collections.abc import Callable
from typing import TypeVar

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress
from mysafe.domain.access_keys import AccessKey, ClientCredentials, Session
from mysafe.domain.ids import LARGEST_ID, AccessKeyId, GroupId, TransferId, UserId
from mysafe.domain.principals import Group, User
from mysafe.domain.transfers import Transfer
from mysafe.services import payloads
from mysafe.services.keys import VaultKeys
from mysafe.services.opened_rows import OpenedRows
from mysafe.storage import principals as store
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import ACCESS_KEYS, GROUPS, TOKENS, TRANSFERS, USERS, RecordRow, RecordTable

T = TypeVar("T")

Decoder = Callable[[bytes, int, int, int], T]


class Principals:
    """Read principals inside one unit of work. `now` is the unit's time in Unix seconds.

    Every method returns None where there is no such record. A row that does not open under its own address
    raises `SealBroken`: somebody changed it outside the vault.
    """

    def __init__(self, tx: Transaction, keys: VaultKeys, opened: OpenedRows, now: int) -> None:
        self._tx = tx
        self._keys = keys
        self._opened = opened
        self.now = now

    def user(self, user_id: UserId) -> User | None:
        """Return a user by id."""
        return USERS.remembered(self._tx, user_id, self._open_user)

    def user_by_name(self, username: str) -> User | None:
        """Return a user by user name; case and compatibility forms do not count."""
        return USERS.remembered_by_index(self._tx, self._keys.index.user_name(username), self._open_user)

    def group(self, group_id: GroupId) -> Group | None:
        """Return a group by id."""
        return GROUPS.remembered(self._tx, group_id, self._open_group)

    def group_by_name(self, name: str) -> Group | None:
        """Return a group by name; case and compatibility forms do not count."""
        return GROUPS.remembered_by_index(self._tx, self._keys.index.group_name(name), self._open_group)

    def groups_of(self, user_id: UserId) -> frozenset[int]:
        """Return the ids of the enabled groups that list the user as a member."""
        groups = map(self._open_group, store.groups_of(self._tx, user_id))
        return frozenset(group.id for group in groups if group.is_enabled and user_id in group.members)

    def access_key(self, key_id: AccessKeyId) -> AccessKey | None:
        """Return an access key by id, revoked or expired ones included."""
        return ACCESS_KEYS.remembered(self._tx, key_id, self._open_access_key)

    def access_key_by_client(self, client_id: str) -> AccessKey | None:
        """Return an access key by client id, revoked or expired ones included."""
        return ACCESS_KEYS.remembered_by_index(self._tx, self._keys.index.client_id(client_id), self._open_access_key)

    def session(self, text: str) -> Session | None:
        """Return what an access token stands for, expired ones included."""
        # No row can have changed while this is remembered, so token, key and user are looked up together.
        index = self._keys.index.token(text)
        return TOKENS.remembered_by_index(self._tx, index, lambda row: self._open_session(text, row))

    def transfer(self, transfer_id: TransferId) -> Transfer | None:
        """Return a transfer of items by id."""
        if transfer_id > LARGEST_ID:
            return None
        return TRANSFERS.remembered(self._tx, transfer_id, self._open_transfer)

    def transfers(self) -> list[Transfer]:
        """Return all transfers of items, ascending by id."""
        return [self._open_transfer(row) for row in TRANSFERS.all(self._tx)]

    def is_client_secret(self, key: AccessKey | None, credentials: ClientCredentials) -> bool:
        """Return whether the secret is the key's; the work is the same when there is no key."""
        verifiers = self._keys.verifiers
        actual = verifiers.of_client_secret(credentials.client_id, credentials.client_secret.reveal())
        return verifiers.matches(key.secret_verifier if key else bytes(32), actual) and key is not None

    def _open_session(self, text: str, row: RecordRow) -> Session | None:
        token = self._open(TOKENS, row, payloads.decode_token)
        verifiers = self._keys.verifiers
        if not verifiers.matches(token.verifier, verifiers.of_token(text)):
            return None
        return Session(token, self.access_key(token.access_key_id), self.user(token.user_id))

    def _open_user(self, row: RecordRow) -> User:
        return self._open(USERS, row, payloads.decode_user)

    def _open_group(self, row: RecordRow) -> Group:
        return self._open(GROUPS, row, payloads.decode_group)

    def _open_access_key(self, row: RecordRow) -> AccessKey:
        return self._open(ACCESS_KEYS, row, payloads.decode_access_key)

    def _open_transfer(self, row: RecordRow) -> Transfer:
        return self._open(TRANSFERS, row, payloads.decode_transfer)

    def _open(self, table: RecordTable, row: RecordRow, decode: Decoder[T]) -> T:
        opened = self._opened.get(table.name, row.id, row)
        if opened is None:
            address = RecordAddress(table.name, table.name, row.id, row.owner_id, row.version)
            meta = self._keys.cipher.unwrap(address, row.dek).open_meta(row.meta)
            opened = decode(meta, row.id, row.version, row.created_at)
            if not self._is_index_of(row.bidx, opened):
                raise SealBroken
            self._opened.put(table.name, row.id, row, opened)
        return opened  # type: ignore[return-value]  # each table has one decoder

    def _is_index_of(self, bidx: bytes, opened: object) -> bool:
        """Return whether an index column belongs to what was sealed. A token is told by its verifier instead."""
        index = self._keys.index
        match opened:
            case User():
                return bidx == index.user_name(opened.username)
            case Group():
                return bidx == index.group_name(opened.name)
            case AccessKey():
                return bidx == index.client_id(opened.client_id)
            case Transfer():
                return bidx == index.transfer(opened.id)
            case _:
                return True
