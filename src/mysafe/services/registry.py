# SPDX-License-Identifier: Apache-2.0
"""Write users, groups, access keys and tokens: decide, seal, store and record in one call each."""

from dataclasses import replace

from mysafe.crypto.records import RecordAddress
from mysafe.domain.access_keys import AccessKey, AccessToken
from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy
from mysafe.domain.ids import AccessKeyId, GroupId, Kind, TokenId, UserId
from mysafe.domain.principals import Group, User
from mysafe.domain.secret_text import SecretText
from mysafe.services import payloads
from mysafe.services.keys import VaultKeys, envelope_digest
from mysafe.services.recording import Recorder, Subject
from mysafe.storage import principals as store
from mysafe.storage.blobs.rows import BlobRows
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import ACCESS_KEYS, GROUPS, TOKENS, USERS, RecordRow, RecordTable


class Registry:
    """Write principals inside one unit of work.

    Every method raises AccessDenied when the policy says no, Conflict when the name is taken,
    AuditUnwritable when it could not be recorded, and Busy when another writer changed the record meanwhile.
    """

    def __init__(self, tx: Transaction, keys: VaultKeys, recorder: Recorder, now: int) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self._now = now

    def record_creation(self) -> None:
        """Record that this vault was made: the first row of its audit log."""
        self._recorder.permit(Action.VAULT_CREATE)
        self._recorder.allowed(Action.VAULT_CREATE)

    def record_upload(self) -> BlobRows:
        """Record that the actor may begin to upload a new file, and return where its blob is entered."""
        self._recorder.permit(Action.ITEM_CREATE)
        self._recorder.allowed(Action.ITEM_UPLOAD, Subject(Kind.FILE))
        return self.blobs

    @property
    def blobs(self) -> BlobRows:
        """The rows of blobs. They reveal nothing, and each follows a decision on an item."""
        return BlobRows(self._tx, self._now)

    def add_user(self, user: User, password_hash: str | None) -> User:
        """Store a new user and return it with its id and time. `password_hash` is a PHC string."""
        self._recorder.permit(Action.USER_CREATE)
        user = replace(user, id=UserId(self._tx.next_id("users")), version=1, created_at=self._now)
        row = self._seal(
            USERS,
            (user.id, 0, 1, self._now),
            self._keys.index.user_name(user.username),
            payloads.encode_user(user),
            payloads.encode_user_credentials(password_hash),
        )
        self._insert(USERS, row, Action.USER_CREATE, user.username)
        return user

    def change_user(self, user: User) -> User:
        """Store the next version of a user and return it; the credentials are carried over."""
        self._recorder.permit(Action.USER_UPDATE)
        stored = USERS.find(self._tx, user.id)
        credentials = self._secret_of(USERS, stored) if stored else None
        user = replace(user, version=user.version + 1)
        row = self._seal(
            USERS,
            (user.id, 0, user.version, user.created_at),
            self._keys.index.user_name(user.username),
            payloads.encode_user(user),
            credentials,
        )
        self._replace(USERS, row, Action.USER_UPDATE, user.username)
        return user

    def keep_user(self, user: User) -> User:
        """Record that there was nothing to change about a user, and return it."""
        self._recorder.permit(Action.USER_UPDATE)
        self._recorder.allowed(Action.USER_UPDATE, Subject(USERS.name, user.id, user.version, name=user.username))
        return user

    def add_group(self, group: Group) -> Group:
        """Store a new group and return it with its id and time."""
        self._recorder.permit(Action.GROUP_CREATE)
        group = replace(group, id=GroupId(self._tx.next_id("groups")), version=1, created_at=self._now)
        row = self._seal(
            GROUPS,
            (group.id, 0, 1, self._now),
            self._keys.index.group_name(group.name),
            payloads.encode_group(group),
            None,
        )
        self._insert(GROUPS, row, Action.GROUP_CREATE, group.name)
        store.set_members(self._tx, group.id, sorted(group.members))
        return group

    def add_access_key(self, key: AccessKey, private_key: SecretText | None = None) -> AccessKey:
        """Store a new access key and return it with its id and time. `private_key` belongs to its encryption key."""
        self._recorder.permit(Action.ACCESS_KEY_CREATE)
        key = replace(key, id=AccessKeyId(self._tx.next_id("access_keys")), version=1, created_at=self._now)
        secret = payloads.encode_private_key(private_key) if private_key else None
        self._insert(ACCESS_KEYS, self._seal_access_key(key, secret), Action.ACCESS_KEY_CREATE, key.name)
        return key

    def change_access_key(self, key: AccessKey) -> AccessKey:
        """Store the next version of an access key and return it; a private key is carried over."""
        self._recorder.permit(Action.ACCESS_KEY_UPDATE)
        stored = ACCESS_KEYS.find(self._tx, key.id)
        secret = self._secret_of(ACCESS_KEYS, stored) if stored else None
        key = replace(key, version=key.version + 1)
        self._replace(ACCESS_KEYS, self._seal_access_key(key, secret), Action.ACCESS_KEY_UPDATE, key.name)
        return key

    def private_key_of(self, key: AccessKey) -> SecretText | None:
        """Return the private key of an access key as PEM, None if it has none; that it was shown is recorded."""
        self._recorder.permit(Action.ACCESS_KEY_REVEAL)
        row = ACCESS_KEYS.find(self._tx, key.id)
        secret = self._secret_of(ACCESS_KEYS, row) if row else None
        if row is None or secret is None:
            return None
        self._record(ACCESS_KEYS, row, Action.ACCESS_KEY_REVEAL, key.name)
        return payloads.decode_private_key(secret)

    def verifier_of(self, client_id: str, secret: SecretText) -> bytes:
        """Return the keyed hash by which a client secret is recognised."""
        return self._keys.verifiers.of_client_secret(client_id, secret.reveal())

    def add_token(self, token: AccessToken, text: SecretText) -> AccessToken:
        """Store a new access token and return it with its id. Expired tokens are swept."""
        self._recorder.permit(Action.TOKEN_ISSUE)
        store.delete_expired_tokens(self._tx, self._now)
        verifier = self._keys.verifiers.of_token(text.reveal())
        token = replace(token, id=TokenId(self._tx.next_id("tokens")), verifier=verifier)
        row = self._seal(
            TOKENS,
            (token.id, token.user_id, 1, self._now),
            self._keys.index.token(text.reveal()),
            payloads.encode_token(token),
            None,
        )._replace(expires_at=token.expires_at)
        self._insert(TOKENS, row, Action.TOKEN_ISSUE, "")
        return token

    def _seal_access_key(self, key: AccessKey, secret: bytes | None) -> RecordRow:
        return self._seal(
            ACCESS_KEYS,
            (key.id, key.owner_id, key.version, key.created_at),
            self._keys.index.client_id(key.client_id),
            payloads.encode_access_key(key),
            secret,
        )

    def _seal(
        self, table: RecordTable, numbers: tuple[int, int, int, int], index: bytes, meta: bytes, secret: bytes | None
    ) -> RecordRow:
        record_id, owner_id, version, created_at = numbers
        address = RecordAddress(table.name, table.name, record_id, owner_id, version)
        sealed = self._keys.cipher.seal(address, meta, secret)
        return RecordRow(
            record_id,
            owner_id,
            version,
            self._keys.cipher.epoch,
            index,
            created_at,
            self._now,
            None,
            sealed.dek,
            sealed.meta,
            sealed.secret,
        )

    def _secret_of(self, table: RecordTable, row: RecordRow) -> bytes | None:
        if row.secret is None:
            return None
        address = RecordAddress(table.name, table.name, row.id, row.owner_id, row.version)
        return self._keys.cipher.unwrap(address, row.dek).open_secret(row.secret)

    def _insert(self, table: RecordTable, row: RecordRow, action: Action, name: str) -> None:
        self._recorder.attempt(action, Subject(table.name, row.id, name=name))
        table.insert(self._tx, row)
        self._record(table, row, action, name)

    def _replace(self, table: RecordTable, row: RecordRow, action: Action, name: str) -> None:
        self._recorder.attempt(action, Subject(table.name, row.id, name=name))
        if not table.replace(self._tx, row, row.version - 1):
            raise Busy
        self._record(table, row, action, name)

    def _record(self, table: RecordTable, row: RecordRow, action: Action, name: str) -> None:
        digest = envelope_digest(row.dek, row.meta, row.secret)
        self._recorder.allowed(action, Subject(table.name, row.id, row.version, digest, name))
