# SPDX-License-Identifier: Apache-2.0
"""The unit of work: one actor, one transaction, one audit trail. The only way to items and their plaintext.

The order is always the same: `find`, then `require`, then `open` or `amend`. A grant proves that the policy said
yes and that the audit row is written in the same transaction; it is the argument of whatever reveals or changes.
"""

from mysafe.authz.decide import NEEDED_RIGHT, Right, decide_on_item, right_on
from mysafe.crypto.aead import SealBroken
from mysafe.domain.actions import Action
from mysafe.domain.errors import AccessDenied, Busy, DuplicateIdentifier, Inactive
from mysafe.domain.ids import LARGEST_ID, ItemId, ItemRef, Kind
from mysafe.domain.items import Item, ItemDraft, ItemMeta, ItemSecret, ListedItem, kind_of
from mysafe.domain.principals import Actor
from mysafe.domain.sharing import AclEntry, PrincipalType
from mysafe.services.custody.hand_over import Custody
from mysafe.services.custody.history import KEEP_ALL, Retention
from mysafe.services.custody.sealed_items import (
    Candidate,
    Grant,
    changed_meta,
    hold_content,
    index_grants,
    open_item,
    seal_item,
    subject_of,
)
from mysafe.services.keys import VaultKeys
from mysafe.services.opened_rows import OpenedRows
from mysafe.services.payloads import items as payloads
from mysafe.services.principals import Principals
from mysafe.services.recording import Recorder, Subject
from mysafe.services.registry import Registry
from mysafe.storage import items as store
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.items import ItemRow

__all__ = ["Candidate", "Grant", "UnitOfWork"]

REVEALING = frozenset({Action.ITEM_READ, Action.ITEM_DOWNLOAD, Action.ITEM_UPDATE})
"""The actions whose grant opens the secret part."""

READING = frozenset({Action.ITEM_READ, Action.ITEM_HISTORY, Action.ITEM_READ_VERSION, Action.ITEM_DOWNLOAD})
"""The actions that an inactive item refuses."""

CHANGING = frozenset(
    {Action.ITEM_UPDATE, Action.ITEM_ACTIVATE, Action.ITEM_DEACTIVATE, Action.ITEM_SHARE, Action.ITEM_RESTORE}
)
"""The actions that are recorded with what they changed, by `amend` or `keep`, before the unit ends."""

OWED = CHANGING | {Action.ITEM_READ_VERSION, Action.ITEM_ERASE}
"""The actions that are not recorded when they are allowed, but when it is known what they are about."""


class UnitOfWork:
    """What a use case can do. It lives as long as one transaction."""

    def __init__(
        self,
        tx: Transaction,
        keys: VaultKeys,
        principals: Principals,
        recorder: Recorder,
        listed: OpenedRows,
        retention: Retention = KEEP_ALL,
    ) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self._listed = listed
        self._retention = retention
        self.principals = principals

    @property
    def registry(self) -> Registry:
        """Writes users, groups, access keys and tokens in this unit."""
        return Registry(self._tx, self._keys, self._recorder, self.principals.now)

    @property
    def custody(self) -> Custody:
        """Reads old versions of items, erases items and gives them to another owner, in this unit."""
        return Custody(self._tx, self._keys, self._recorder, self.principals, self._retention)

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
        return None if row is None else open_item(self._keys, row)

    def require(self, action: Action, candidate: Candidate) -> Grant:
        """Decide, record it, and return the proof.

        Raises:
            AccessDenied: the policy says no.
            Inactive: the item is deactivated, and the action is to read it, what it was, or its content.
            AuditUnwritable: the decision could not be recorded.
        """
        row, meta = candidate._row, candidate._meta
        self._recorder.attempt(action, Subject(row.kind, row.id, row.version, b"", meta.name))
        decision = decide_on_item(self.actor, action, meta, self._groups_named_by(meta.acl), candidate.ref)
        if not decision.is_allowed:
            raise AccessDenied(decision.reason, row.kind)
        if action in READING and not meta.is_active:
            raise Inactive(row.kind)  # before it is recorded as allowed: contract 7 has 1009 after 1006
        if action in OWED:
            self._recorder.owed += 1
        else:
            self._record(action, row, meta)
        return Grant(action, Item(candidate.ref, row.version, meta), row, candidate._key)

    def create(self, draft: ItemDraft, acl: tuple[AclEntry, ...]) -> Grant:
        """Decide, seal and store a new item of the actor, and record it.

        Where the access key is confined to some items, the new one is among them from now on (R-TOK-10).

        Raises:
            AccessDenied: the policy says no, or the access key's list of items is full.
            DuplicateIdentifier: the actor has another API secret with this identifier code.
            AuditUnwritable: it could not be recorded.
        """
        kind = kind_of(draft.secret)
        self._recorder.permit(Action.ITEM_CREATE)
        self._recorder.attempt(Action.ITEM_CREATE, Subject(kind, 0, 0, b"", draft.name))
        meta = draft.meta(acl, self.actor.user_id, self.principals.now)
        ref = ItemRef(kind, ItemId(self._tx.next_id(kind)))
        row = seal_item(self._keys, ref, 1, meta, payloads.encode_secret(draft.secret))
        try:
            store.insert(self._tx, row, index_grants(acl))
        except UniqueClash:
            if row.ident_bidx is None:
                raise  # then it was not the code
            raise DuplicateIdentifier from None
        if self.actor.items is not None:
            self.registry.let_key_reach(self.principals.access_key(self.actor.access_key_id), ref)
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
            ValueError: the grant is not for an action that changes, or the meta has another owner.
            DuplicateIdentifier: the owner has another API secret with this identifier code.
            AuditUnwritable: the change could not be recorded.
        """
        before = grant.item.meta
        if grant.action not in CHANGING or grant._key is None or meta.owner_id != before.owner_id:
            raise ValueError("this grant changes nothing, and never the owner")
        old_payload = grant._key.open_secret(grant._row.secret)
        payload = payloads.encode_secret(secret) if secret else old_payload
        changed = payloads.changed_fields(secret, old_payload, payload) if secret else ()
        meta = meta._replace(changed=changed_meta(before, meta) + changed)
        item = Item(grant.item.ref, grant.item.version + 1, meta)
        row = seal_item(self._keys, item.ref, item.version, meta, payload)
        try:
            is_stored = store.replace(self._tx, row, index_grants(before.acl), index_grants(meta.acl))
        except UniqueClash:
            if row.ident_bidx is None:
                raise  # then it was not the code
            raise DuplicateIdentifier from None
        if not is_stored:
            raise Busy  # another writer was faster; the caller may try again
        if item.ref.kind is Kind.FILE:
            hold_content(self.registry.blobs, payload, item.version)
        self._record(grant.action, row, meta)
        self._recorder.owed -= 1
        self.custody.history.prune(item)
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
                meta = self._listed_meta(row)
            except SealBroken:
                continue  # reported by open_item; the other items are still served
            right = right_on(actor, meta, groups, ItemRef(kind, ItemId(row.id)))
            if right >= NEEDED_RIGHT[action]:
                item = Item(ItemRef(kind, ItemId(row.id)), row.version, meta)
                listed.append(ListedItem(item, right >= Right.EDIT))
        self._recorder.allowed(action, Subject(kind))
        return listed

    def _listed_meta(self, row: ItemRow) -> ItemMeta:
        meta = self._listed.get(row.kind, row.id, row)
        if meta is None:
            meta = open_item(self._keys, row)._meta
            self._listed.put(row.kind, row.id, row, meta)
        return meta  # type: ignore[return-value]  # only metas are put there

    def _record(self, action: Action, row: ItemRow, meta: ItemMeta) -> None:
        self._recorder.allowed(action, subject_of(row, meta.name))

    def _groups_named_by(self, acl: tuple[AclEntry, ...]) -> set[int]:
        """Return the enabled groups among the shares of an item that list the actor as a member."""
        found = set()
        for entry in acl:
            if entry.principal_type is PrincipalType.GROUP:
                group = self.principals.group(entry.principal_id)  # type: ignore[arg-type]
                if group and group.is_enabled and self.actor.user_id in group.members:
                    found.add(entry.principal_id)
        return found
