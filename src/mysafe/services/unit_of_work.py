# SPDX-License-Identifier: Apache-2.0
"""The unit of work: one actor, one transaction, one audit trail. The only way to items and their plaintext.

The order is always the same: `find`, then `require`, then `open` or `amend`. A grant proves that the policy said
yes and that the audit row is written in the same transaction; it is the argument of whatever reveals or changes.
"""

import logging

from mysafe.audit.events import AuditEntry
from mysafe.authz.decide import NEEDED_RIGHT, Right, decide_on_item, right_on
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress, RecordKey
from mysafe.domain.actions import Action
from mysafe.domain.errors import AccessDenied, Busy, DuplicateIdentifier, Inactive
from mysafe.domain.ids import LARGEST_ID, ItemId, ItemRef, Kind
from mysafe.domain.items import Item, ItemDraft, ItemMeta, ItemSecret, ListedItem, kind_of
from mysafe.domain.principals import Actor
from mysafe.domain.sharing import AclEntry, PrincipalType
from mysafe.services import payloads
from mysafe.services.keys import VaultKeys, envelope_digest
from mysafe.services.principals import Principals
from mysafe.services.recording import Recorder, Subject, open_row
from mysafe.services.registry import Registry
from mysafe.storage import audit_log
from mysafe.storage import items as store
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.items import ItemRow

_security = logging.getLogger("mysafe.security")

REVEALING = frozenset({Action.ITEM_READ, Action.ITEM_DOWNLOAD, Action.ITEM_UPDATE})
"""The actions whose grant opens the secret part."""

READING = frozenset({Action.ITEM_READ, Action.ITEM_DOWNLOAD})
"""The actions that an inactive item refuses."""

CHANGING = frozenset({Action.ITEM_UPDATE, Action.ITEM_ACTIVATE, Action.ITEM_DEACTIVATE})
"""The actions that are recorded with what they changed, by `amend` or `keep`, before the unit ends."""

_KINDS = {kind.value: kind for kind in Kind}  # looking up in the class costs ten times as much, for each item of a list


class Candidate:
    """An item that was found and is not decided on yet. It shows nothing but its reference."""

    __slots__ = ("_key", "_meta", "_row", "ref")

    def __init__(self, row: ItemRow, key: RecordKey, meta: ItemMeta) -> None:
        self.ref = ItemRef(_KINDS[row.kind], ItemId(row.id))
        self._row = row
        self._key = key
        self._meta = meta


class Grant:
    """Proof that `action` on `item` was allowed and recorded. Only the unit of work makes one."""

    __slots__ = ("_key", "_row", "action", "item")

    def __init__(self, action: Action, item: Item, row: ItemRow, key: RecordKey | None) -> None:
        self.action = action
        self.item = item
        self._row = row
        self._key = key


class UnitOfWork:
    """What a use case can do. It lives as long as one transaction."""

    def __init__(self, tx: Transaction, keys: VaultKeys, principals: Principals, recorder: Recorder) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self.principals = principals

    @property
    def registry(self) -> Registry:
        """Writes users, groups, access keys and tokens in this unit."""
        return Registry(self._tx, self._keys, self._recorder, self.principals.now)

    @property
    def actor(self) -> Actor:
        """The user behind the call and the credential used."""
        return self._recorder.actor

    def find(self, ref: ItemRef) -> Candidate | None:
        """Return the item for deciding on it, or None if there is none. Raises SealBroken."""
        self._recorder.attempt(None, Subject(ref.kind, min(ref.id, LARGEST_ID)))
        if ref.id > LARGEST_ID:
            return None
        row = store.find(self._tx, ref.kind, ref.id)
        return None if row is None else self._open_meta(row)

    def require(self, action: Action, candidate: Candidate) -> Grant:
        """Decide, record it, and return the proof.

        Raises:
            AccessDenied: the policy says no.
            Inactive: the item is deactivated, and the action is to read it or its content.
            AuditUnwritable: the decision could not be recorded.
        """
        row, meta = candidate._row, candidate._meta
        self._recorder.attempt(action, Subject(row.kind, row.id, row.version, b"", meta.name))
        decision = decide_on_item(self.actor, action, meta, self._groups_named_by(meta.acl))
        if not decision.is_allowed:
            raise AccessDenied(decision.reason, row.kind)
        if action in READING and not meta.is_active:
            raise Inactive(row.kind)  # before it is recorded as allowed: contract 7 has 1009 after 1006
        if action in CHANGING:
            self._recorder.owed += 1
        else:
            self._record(action, row, meta)
        return Grant(action, Item(candidate.ref, row.version, meta), row, candidate._key)

    def create(self, draft: ItemDraft, acl: tuple[AclEntry, ...]) -> Grant:
        """Decide, seal and store a new item of the actor, and record it.

        Raises:
            AccessDenied: the policy says no.
            DuplicateIdentifier: the actor has another API secret with this identifier code.
            AuditUnwritable: it could not be recorded.
        """
        kind = kind_of(draft.secret)
        self._recorder.permit(Action.ITEM_CREATE)
        self._recorder.attempt(Action.ITEM_CREATE, Subject(kind, name=draft.name))
        now, owner = self.principals.now, self.actor.user_id
        meta = ItemMeta(
            name=draft.name,
            url=draft.url,
            username=draft.username,
            tags=draft.tags,
            acl=acl,
            is_active=True,
            owner_id=owner,
            author_id=owner,
            created_at=now,
            updated_at=now,
            identifier_code=draft.identifier_code,
            method=draft.method,
            file_name=draft.file_name,
            media_type=draft.media_type,
            size_bytes=draft.size_bytes,
        )
        ref = ItemRef(kind, ItemId(self._tx.next_id(kind)))
        row = self._seal(ref, 1, meta, payloads.encode_secret(draft.secret))
        try:
            store.insert(self._tx, row, _grants(acl))
        except UniqueClash:
            if row.ident_bidx is None:
                raise  # then it was not the code
            raise DuplicateIdentifier from None
        self._record(Action.ITEM_CREATE, row, meta)
        return Grant(Action.ITEM_CREATE, Item(ref, 1, meta), row, None)

    def open(self, grant: Grant) -> ItemSecret:
        """Return the secret part of a granted item.

        Raises:
            ValueError: the grant is not for an action that reveals.
            SealBroken: the secret does not belong to the item.
        """
        if grant.action not in REVEALING or grant._key is None:
            raise ValueError("this grant reveals nothing")
        return payloads.decode_secret(grant.item.ref.kind, grant._key.open_secret(grant._row.secret))

    def amend(self, grant: Grant, meta: ItemMeta, secret: ItemSecret | None = None) -> Item:
        """Store a new version of a granted item under a fresh key, and keep the one before.

        Args:
            grant: for an action that changes.
            meta: the new meta.
            secret: the new secret part; without it the old one is carried over.

        Raises:
            ValueError: the grant is not for an action that changes.
            DuplicateIdentifier: the owner has another API secret with this identifier code.
            AuditUnwritable: the change could not be recorded.
        """
        if grant.action not in CHANGING or grant._key is None:
            raise ValueError("this grant changes nothing")
        payload = payloads.encode_secret(secret) if secret else grant._key.open_secret(grant._row.secret)
        item = Item(grant.item.ref, grant.item.version + 1, meta)
        row = self._seal(item.ref, item.version, meta, payload)
        try:
            is_stored = store.replace(self._tx, row, _grants(grant.item.meta.acl), _grants(meta.acl))
        except UniqueClash:
            if row.ident_bidx is None:
                raise  # then it was not the code
            raise DuplicateIdentifier from None
        if not is_stored:
            raise Busy  # another writer was faster; the caller may try again
        self._record(grant.action, row, meta)
        self._recorder.owed -= 1
        return item

    def keep(self, grant: Grant) -> Item:
        """Record that a granted action found nothing to change, and return the item. Errors as for `amend`."""
        if grant.action not in CHANGING:
            raise ValueError("this grant changes nothing")
        self._record(grant.action, grant._row, grant.item.meta)
        self._recorder.owed -= 1
        return grant.item

    def visible(self, action: Action, kind: Kind) -> list[ListedItem]:
        """Return the items of a kind the actor may view, ascending by id; one audit row for the call.

        A row that was changed outside the vault is left out and reported as a security event.
        """
        self._recorder.permit(action)
        actor = self.actor
        groups = self.principals.groups_of(actor.user_id)
        listed = []
        for row in store.candidates(self._tx, kind, actor.user_id):
            try:
                candidate = self._open_meta(row)
            except SealBroken:
                continue  # reported by _open_meta; the other items are still served
            right = right_on(actor, candidate._meta, groups)
            if right >= NEEDED_RIGHT[action]:
                listed.append(ListedItem(Item(candidate.ref, row.version, candidate._meta), right >= Right.EDIT))
        self._recorder.allowed(action, Subject(kind))
        return listed

    def newest_entries(self, limit: int) -> list[AuditEntry]:
        """Return the newest audit entries, oldest first; that they were read is recorded too. Raises AccessDenied."""
        self._recorder.permit(Action.AUDIT_READ)
        entries = [open_row(self._keys, row) for row in audit_log.newest(self._tx, limit)]
        self._recorder.allowed(Action.AUDIT_READ)
        return entries

    def _open_meta(self, row: ItemRow) -> Candidate:
        try:
            key = self._keys.cipher.unwrap(_address(row), row.dek)
            meta = payloads.decode_item_meta(key.open_meta(row.meta))
            if meta.owner_id != row.owner_id or row.ident_bidx != self._index_of(meta):
                raise SealBroken
        except SealBroken:
            _security.error("seal broken: %s %d", row.kind, row.id)
            raise
        return Candidate(row, key, meta)

    def _seal(self, ref: ItemRef, version: int, meta: ItemMeta, secret: bytes) -> ItemRow:
        address = RecordAddress("items", ref.kind, ref.id, meta.owner_id, version)
        sealed = self._keys.cipher.seal(address, payloads.encode_item_meta(meta), secret)
        epoch, at = self._keys.cipher.epoch, (meta.created_at, meta.updated_at)
        parts = (sealed.dek, sealed.meta, sealed.secret or b"")
        return ItemRow(ref.kind, ref.id, meta.owner_id, version, epoch, *at, self._index_of(meta), *parts)

    def _index_of(self, meta: ItemMeta) -> bytes | None:
        """Return the blind index of an item's identifier code; an empty code never collides (contract 9, rule 9)."""
        code = meta.identifier_code
        return self._keys.index.identifier_code(meta.owner_id, code) if code else None

    def _record(self, action: Action, row: ItemRow, meta: ItemMeta) -> None:
        digest = envelope_digest(row.dek, row.meta, row.secret)
        self._recorder.allowed(action, Subject(row.kind, row.id, row.version, digest, meta.name))

    def _groups_named_by(self, acl: tuple[AclEntry, ...]) -> set[int]:
        """Return the enabled groups among the shares of an item that list the actor as a member."""
        found = set()
        for entry in acl:
            if entry.principal_type is PrincipalType.GROUP:
                group = self.principals.group(entry.principal_id)  # type: ignore[arg-type]
                if group and group.is_enabled and self.actor.user_id in group.members:
                    found.add(entry.principal_id)
        return found


def _address(row: ItemRow) -> RecordAddress:
    return RecordAddress("items", row.kind, row.id, row.owner_id, row.version)


def _grants(acl: tuple[AclEntry, ...]) -> list[tuple[int, int]]:
    return [(entry.principal_type, entry.principal_id) for entry in acl]
