# SPDX-License-Identifier: Apache-2.0
"""Write users, groups, access keys and tokens: decide, seal, store and record in one call each."""

from collections.abc import Callable
from dataclasses import replace

from mysafe.audit.events import AuditEntry
from mysafe.authz.decide import decide_on_access_key, decide_on_group
from mysafe.domain.access_keys import MOST_ITEMS_OF_A_KEY, AccessKey, AccessToken, KeySecrets
from mysafe.domain.actions import Action
from mysafe.domain.errors import AccessDenied, Busy, NotFound
from mysafe.domain.ids import LARGEST_ID, AccessKeyId, GroupId, ItemRef, Kind, TokenId, TransferId, UserId
from mysafe.domain.principals import Group, User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.transfers import Transfer
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads import principals as payloads
from mysafe.services.recording import Recorder, Subject, open_row
from mysafe.services.writes.keyring import KeyringWrites
from mysafe.services.writes.records import RecordWriter
from mysafe.services.writes.root import RootWrites
from mysafe.services.writes.sign_in import SignInWrites
from mysafe.storage import audit_log
from mysafe.storage import principals as store
from mysafe.storage.blobs.rows import BlobRows
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import ACCESS_KEYS, GROUPS, TOKENS, TRANSFERS, USERS, RecordRow

NO_SECRETS = KeySecrets()


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
        self._records = RecordWriter(tx, keys, recorder, now)

    def permit(self, action: Action) -> None:
        """Decide on an action that concerns no item and changes nothing, and record it."""
        self._recorder.permit(action)
        self._recorder.allowed(action)

    def require(self, action: Action) -> None:
        """Decide on an action that concerns no item; what is done then is recorded by another call."""
        self._recorder.permit(action)

    def record_creation(self) -> None:
        """Record that this vault was made: the first row of its audit log."""
        self.permit(Action.VAULT_CREATE)

    @property
    def root(self) -> RootWrites:
        """Changes the slots of the root key, and records what happens to the vault as a whole, in this unit."""
        return RootWrites(self._tx, self._recorder)

    @property
    def keyring(self) -> KeyringWrites:
        """Changes the keyring, and what it wraps, in this unit."""
        return KeyringWrites(self._tx, self._recorder, self._now)

    @property
    def sign_in(self) -> SignInWrites:
        """Writes what is written when people sign in, in this unit."""
        return SignInWrites(self._tx, self._keys, self._recorder, self._now)

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
        row = self._records.seal(
            USERS,
            (user.id, 0, 1, self._now),
            self._keys.index.user_name(user.username),
            payloads.encode_user(user),
            payloads.encode_user_credentials(password_hash),
        )
        self._records.insert(USERS, row, Action.USER_CREATE, user.username)
        return user

    def require_user(self, action: Action, user_id: int, user: User | None) -> User:
        """Decide on an action on a user, and return the user. Raises NotFound."""
        self._recorder.permit(action)
        self._recorder.attempt(
            action, Subject(USERS.name, min(user_id, LARGEST_ID), name=user.username if user else "")
        )
        if user is None:
            raise NotFound("user")
        return user

    def change_user(self, user: User, action: Action = Action.USER_UPDATE, password_hash: str | None = None) -> User:
        """Store the next version of a user and return it; without a new PHC string the credentials are carried over."""
        self._recorder.permit(action)
        if password_hash is None:
            stored = USERS.find(self._tx, user.id)
            credentials = self._records.secret_of(USERS, stored) if stored else None
        else:
            credentials = payloads.encode_user_credentials(password_hash)
        user = replace(user, version=user.version + 1)
        row = self._records.seal(
            USERS,
            (user.id, 0, user.version, user.created_at),
            self._keys.index.user_name(user.username),
            payloads.encode_user(user),
            credentials,
        )
        self._records.replace(USERS, row, action, user.username)
        return user

    def keep_user(self, user: User, action: Action = Action.USER_UPDATE) -> User:
        """Record an action that changed nothing about a user, and return it."""
        self._recorder.permit(action)
        self._recorder.allowed(action, Subject(USERS.name, user.id, user.version, name=user.username))
        return user

    def password_hash_of(self, user: User) -> str | None:
        """Return the PHC string of the actor's own password, None for a user without a log-in."""
        if user.id != self._recorder.actor.user_id:
            raise AccessDenied("the password of another user", "user")
        row = USERS.find(self._tx, user.id)
        secret = self._records.secret_of(USERS, row) if row else None
        return None if secret is None else payloads.decode_user_credentials(secret)

    def add_group(self, group: Group, action: Action = Action.GROUP_CREATE) -> Group:
        """Store a new group and return it with its id and time."""
        self._permit_on(action, group)
        group = replace(group, id=GroupId(self._tx.next_id("groups")), version=1, created_at=self._now)
        self._records.insert(GROUPS, self._seal_group(group), action, group.name)
        store.set_members(self._tx, group.id, sorted(group.members))
        return group

    def require_group(self, action: Action, to_see: Action, group_id: int, group: Group | None) -> Group:
        """Decide on an action on a group, and return the group.

        Raises:
            AccessDenied: the actor may not do this to any group, or sees this one and may not do it.
            NotFound: there is none, or the actor may not even do `to_see`.
        """
        self._recorder.permit(action)
        self._recorder.attempt(action, Subject(GROUPS.name, min(group_id, LARGEST_ID)))
        if group is None or not decide_on_group(self._recorder.actor, to_see, group).is_allowed:
            raise NotFound("group")
        self._permit_on(action, group)
        return group

    def change_group(self, before: Group, after: Group, action: Action, names: str = "") -> Group:
        """Store the next version of a group and return it. `names` are the users concerned, for the audit log."""
        self._permit_on(action, before)
        after = replace(after, version=before.version + 1)
        self._records.replace(
            GROUPS, self._seal_group(after), action, f"{after.name}: {names}" if names else after.name
        )
        if after.members.keys() != before.members.keys():
            store.set_members(self._tx, after.id, sorted(after.members))
        return after

    def keep_group(self, group: Group, action: Action) -> Group:
        """Record an action that changed nothing about a group, or only read it, and return the group."""
        self._permit_on(action, group)
        self._recorder.allowed(action, Subject(GROUPS.name, group.id, group.version, name=group.name))
        return group

    def _permit_on(self, action: Action, group: Group) -> None:
        self._recorder.attempt(action, Subject(GROUPS.name, group.id, group.version, name=group.name))
        decision = decide_on_group(self._recorder.actor, action, group)
        if not decision.is_allowed:
            raise AccessDenied(decision.reason, "group")

    def _seal_group(self, group: Group) -> RecordRow:
        index = self._keys.index
        is_private, name = group.is_private, group.name
        return self._records.seal(
            GROUPS,
            (group.id, group.owner_id, group.version, group.created_at),
            index.private_group_name(group.owner_id, name) if is_private else index.group_name(name),
            payloads.encode_group(group),
            None,
        )

    def add_access_key(self, key: AccessKey, secrets: KeySecrets = NO_SECRETS) -> AccessKey:
        """Store a new access key with what is kept of its secrets, and return it with its id and time."""
        self._recorder.permit_on_key(Action.ACCESS_KEY_CREATE, key.owner_id)
        key = replace(key, id=AccessKeyId(self._tx.next_id("access_keys")), version=1, created_at=self._now)
        self._records.insert(ACCESS_KEYS, self._seal_access_key(key, secrets), Action.ACCESS_KEY_CREATE, key.name)
        return key

    def permit_on_key(self, action: Action, key: AccessKey) -> None:
        """Decide on an action on an access key; what is done then is recorded by another call."""
        self._recorder.permit_on_key(action, key.owner_id, _subject(key))

    def require_key(self, action: Action, key_id: int, key: AccessKey | None) -> AccessKey:
        """Decide on an action on an access key that was looked up, and return the key.

        Raises:
            AccessDenied: the actor may not do this to any access key, or sees this one and may not do it.
            NotFound: there is none, or the actor may not even see it. Both are recorded alike.
        """
        actor = self._recorder.actor
        self._recorder.permit_on_key(action, actor.user_id)
        self._recorder.attempt(action, Subject(ACCESS_KEYS.name, min(key_id, LARGEST_ID)))
        if key is None or not decide_on_access_key(actor, Action.ACCESS_KEY_READ, key.owner_id).is_allowed:
            raise NotFound("access key")
        self.permit_on_key(action, key)
        return key

    def record_on_key(self, action: Action, key: AccessKey) -> None:
        """Decide on an action that changes nothing about an access key, and record it."""
        self.permit_on_key(action, key)
        self._recorder.allowed(action, _subject(key))

    def change_access_key(
        self,
        key: AccessKey,
        action: Action = Action.ACCESS_KEY_UPDATE,
        edit: Callable[[KeySecrets], KeySecrets] | None = None,
    ) -> AccessKey:
        """Store the next version of an access key and return it. `edit` changes what is kept of its secrets."""
        self.permit_on_key(action, key)
        kept = self._kept_secrets(key)
        key = replace(key, version=key.version + 1)
        row = self._seal_access_key(key, edit(kept) if edit else kept)
        self._records.replace(ACCESS_KEYS, row, action, key.name)
        return key

    def let_key_reach(self, key: AccessKey | None, ref: ItemRef) -> None:
        """Add an item that was just made to the list of the access key that made it.

        It is part of making the item, and recorded with it. Tokens of the access key live on. Raises AccessDenied
        if the list is full.
        """
        if key is None or key.items is None:
            raise Busy
        if len(key.items) >= MOST_ITEMS_OF_A_KEY:
            raise AccessDenied("the access key's list of items is full", ref.kind)
        kept = self._kept_secrets(key)
        wider = replace(key, version=key.version + 1, items=key.items | {ref})
        if not ACCESS_KEYS.replace(self._tx, self._seal_access_key(wider, kept), key.version):
            raise Busy

    def secrets_of(self, key: AccessKey, action: Action) -> KeySecrets:
        """Return what is kept of an access key's secrets; that they were shown is recorded as `action`."""
        self.record_on_key(action, key)
        return self._kept_secrets(key)

    def verifier_of(self, client_id: str, secret: SecretText) -> bytes:
        """Return the keyed hash by which a client secret is recognised."""
        return self._keys.verifiers.of_client_secret(client_id, secret.reveal())

    def add_token(self, token: AccessToken, text: SecretText) -> AccessToken:
        """Store a new access token and return it with its id."""
        self._recorder.permit(Action.TOKEN_ISSUE)
        verifier = self._keys.verifiers.of_token(text.reveal())
        token = replace(token, id=TokenId(self._tx.next_id("tokens")), verifier=verifier)
        row = self._records.seal(
            TOKENS,
            (token.id, token.user_id, 1, self._now),
            self._keys.index.token(text.reveal()),
            payloads.encode_token(token),
            None,
        )._replace(expires_at=token.expires_at)
        self._records.insert(TOKENS, row, Action.TOKEN_ISSUE, "")
        store.note_login(self._tx, token.user_id, self._now)
        return token

    def add_transfer(self, transfer: Transfer) -> Transfer:
        """Store the request of a transfer of items and return it with its id and time."""
        self._recorder.permit(Action.TRANSFER_REQUEST)
        number = TransferId(self._tx.next_id("transfers"))
        transfer = replace(transfer, id=number, version=1, created_at=self._now)
        self._records.insert(TRANSFERS, self._seal_transfer(transfer), Action.TRANSFER_REQUEST, "")
        return transfer

    def change_transfer(self, transfer: Transfer, action: Action) -> Transfer:
        """Store the next version of a transfer of items after `action`, and return it."""
        self._recorder.permit(action)
        transfer = replace(transfer, version=transfer.version + 1)
        self._records.replace(TRANSFERS, self._seal_transfer(transfer), action, "")
        return transfer

    def newest_entries(self, limit: int) -> list[AuditEntry]:
        """Return the newest audit entries, oldest first; that they were read is recorded too."""
        self._recorder.permit(Action.AUDIT_READ)
        entries = [open_row(self._keys, row) for row in audit_log.newest(self._tx, limit)]
        self._recorder.allowed(Action.AUDIT_READ)
        return entries

    def _seal_transfer(self, transfer: Transfer) -> RecordRow:
        return self._records.seal(
            TRANSFERS,
            (transfer.id, 0, transfer.version, transfer.created_at),
            self._keys.index.transfer(transfer.id),
            payloads.encode_transfer(transfer),
            None,
        )

    def _kept_secrets(self, key: AccessKey) -> KeySecrets:
        row = ACCESS_KEYS.find(self._tx, key.id)
        secret = self._records.secret_of(ACCESS_KEYS, row) if row else None
        return payloads.decode_key_secrets(secret) if secret is not None else NO_SECRETS

    def _seal_access_key(self, key: AccessKey, secrets: KeySecrets) -> RecordRow:
        return self._records.seal(
            ACCESS_KEYS,
            (key.id, key.owner_id, key.version, key.created_at),
            self._keys.index.client_id(key.client_id),
            payloads.encode_access_key(key),
            payloads.encode_key_secrets(secrets),
        )


def _subject(key: AccessKey) -> Subject:
    return Subject(ACCESS_KEYS.name, key.id, key.version, name=key.name)
