# SPDX-License-Identifier: Apache-2.0
"""Users, groups, access keys and tokens as their sealed records say. Index columns only find candidates."""

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress
from mysafe.domain.access_keys import AccessKey, ClientCredentials, Session
from mysafe.domain.ids import LARGEST_ID, AccessKeyId, GroupId, TransferId, UserId
from mysafe.domain.principals import Group, User
from mysafe.domain.sign_in import Factor, Link, WebSession
from mysafe.domain.transfers import Transfer
from mysafe.services.keys import VaultKeys
from mysafe.services.opened_rows import OpenedRows
from mysafe.services.payloads import principals as payloads
from mysafe.services.payloads import sign_in
from mysafe.storage import principals as store
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import ACCESS_KEYS, GROUPS, TOKENS, TRANSFERS, USERS, RecordRow, RecordTable
from mysafe.storage.sign_in import FACTORS, LINKS, SESSIONS

T = TypeVar("T")

_security = logging.getLogger("mysafe.security")

Decoder = Callable[[bytes, int, int, int], T]


class Activity(NamedTuple):
    """What the clear columns say of a user, to be shown: when they last logged in (Unix seconds), and their items."""

    last_login_at: int | None
    items: int


class SignedIn(NamedTuple):
    """What a session token stands for: the session, and its user as they are now."""

    session: WebSession
    user: User | None

    def is_good(self, now: int) -> bool:
        """Return whether the session may still be used (Unix seconds), its second factor apart."""
        user, session = self.user, self.session
        is_sound = user is not None and user.is_active and user.auth_epoch == session.auth_epoch
        return is_sound and now < session.expires_at


class Principals:
    """Read principals inside one unit of work. `now` is the unit's time in Unix seconds.

    `steady_now` never goes back while the server runs: lifetimes end by it, see `SteadyClock`.

    Every method returns None where there is no such record. A row that does not open under its own address
    raises `SealBroken`: somebody changed it outside the vault.
    """

    def __init__(self, tx: Transaction, keys: VaultKeys, opened: OpenedRows, now: int, steady_now: int) -> None:
        self._tx = tx
        self._keys = keys
        self._opened = opened
        self.now = now
        self.steady_now = steady_now

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

    def private_group_by_name(self, owner_id: UserId, name: str) -> Group | None:
        """Return a private group of an owner by name; case and compatibility forms do not count."""
        index = self._keys.index.private_group_name(owner_id, name)
        return GROUPS.remembered_by_index(self._tx, index, self._open_group)

    def users_after(self, user_id: int) -> Iterator[User]:
        """Return the users whose id is greater, ascending by id. One that was changed outside the vault is left out."""
        while rows := USERS.after(self._tx, user_id):
            yield from self._sound(USERS, rows, self._open_user)
            user_id = rows[-1].id

    def groups_of_owner(self, owner_id: UserId) -> list[Group]:
        """Return the private groups of an owner, the system groups for 0, ascending by id; otherwise as above."""
        return list(self._sound(GROUPS, store.groups_of_owner(self._tx, owner_id), self._open_group))

    def groups_with(self, user_id: UserId) -> list[Group]:
        """Return the groups that list a user as a member, disabled ones included, ascending by id."""
        groups = self._sound(GROUPS, store.groups_of(self._tx, user_id), self._open_group)
        return [group for group in groups if user_id in group.members]

    def activity_of(self, user_id: UserId) -> Activity:
        """Return what a user did, without content."""
        return Activity(store.last_login(self._tx, user_id), store.count_items(self._tx, user_id))

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

    def access_keys_of(self, owner_id: UserId | None) -> list[AccessKey]:
        """Return the access keys of a user, of everybody for None, ascending by id; revoked ones are left out.

        A row that was changed outside the vault is left out too, and reported as a security event.
        """
        rows = ACCESS_KEYS.all(self._tx) if owner_id is None else store.access_keys_of(self._tx, owner_id)
        found = []
        for row in rows:
            try:
                found.append(self._open_access_key(row))
            except SealBroken:
                _security.error("seal broken: access key %d", row.id)
        return [key for key in found if not key.is_revoked]

    def session(self, text: str) -> Session | None:
        """Return what an access token stands for, expired ones included."""
        # No row can have changed while this is remembered, so token, key and user are looked up together.
        index = self._keys.index.token(text)
        return TOKENS.remembered_by_index(self._tx, index, lambda row: self._open_session(text, row))

    def web_session(self, text: str) -> SignedIn | None:
        """Return what a session token of a browser stands for, sessions whose time is over included."""
        index = self._keys.index.session(text)
        return SESSIONS.remembered_by_index(self._tx, index, lambda row: self._open_signed_in(text, row))

    def sessions_of(self, user_id: UserId) -> list[WebSession]:
        """Return the sessions of a user, ascending by id, those whose time is over included."""
        rows = SESSIONS.of_owner(self._tx, user_id)
        return list(self._sound(SESSIONS, rows, lambda row: self._open(SESSIONS, row, sign_in.decode_session)))

    def factors_of(self, user_id: UserId) -> list[Factor]:
        """Return the second factors of a user, ascending by id. Raises SealBroken: none may be left out."""
        rows = FACTORS.of_owner(self._tx, user_id)
        return [self._open(FACTORS, row, sign_in.decode_factor) for row in rows]

    def link(self, text: str) -> Link | None:
        """Return what a link token stands for, links whose time is over included."""
        index = self._keys.index.link(text)
        return LINKS.remembered_by_index(self._tx, index, lambda row: self._open_link(text, row))

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

    def _sound(self, table: RecordTable, rows: list[RecordRow], build: Callable[[RecordRow], T]) -> Iterator[T]:
        """Return what rows open to. One that does not open is a security event; the others are still served."""
        for row in rows:
            try:
                yield build(row)
            except SealBroken:
                _security.error("seal broken: %s %d", table.name, row.id)

    def _group_index(self, group: Group) -> bytes:
        index, name = self._keys.index, group.name
        return index.private_group_name(group.owner_id, name) if group.is_private else index.group_name(name)

    def _open_session(self, text: str, row: RecordRow) -> Session | None:
        token = self._open(TOKENS, row, payloads.decode_token)
        verifiers = self._keys.verifiers
        if not verifiers.matches(token.verifier, verifiers.of_token(text)):
            return None
        return Session(token, self.access_key(token.access_key_id), self.user(token.user_id))

    def _open_signed_in(self, text: str, row: RecordRow) -> SignedIn | None:
        session = self._open(SESSIONS, row, sign_in.decode_session)
        verifiers = self._keys.verifiers
        if not verifiers.matches(session.verifier, verifiers.of_session(text)):
            return None
        return SignedIn(session, self.user(session.user_id))

    def _open_link(self, text: str, row: RecordRow) -> Link | None:
        link = self._open(LINKS, row, sign_in.decode_link)
        verifiers = self._keys.verifiers
        return link if verifiers.matches(link.verifier, verifiers.of_link(text)) else None

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
            if not self._belongs_to(row, opened):
                raise SealBroken
            self._opened.put(table.name, row.id, row, opened)
        return opened  # type: ignore[return-value]  # each table has one decoder

    def _belongs_to(self, row: RecordRow, opened: object) -> bool:
        """Return whether the index column belongs to what was sealed. A token is told by its verifier instead."""
        bidx, index = row.bidx, self._keys.index
        match opened:
            case User():
                return bidx == index.user_name(opened.username)
            case Group():
                return bidx == self._group_index(opened) and row.owner_id == opened.owner_id
            case AccessKey():
                return bidx == index.client_id(opened.client_id)
            case Transfer():
                return bidx == index.transfer(opened.id)
            case Factor():
                return bidx == index.factor(opened.user_id, opened.kind) and row.owner_id == opened.user_id
            case WebSession() | Link():
                return row.owner_id == opened.user_id
            case _:
                return True
