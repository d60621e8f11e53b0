# SPDX-License-Identifier: Apache-2.0
"""Give the items of a user who left to another user, a bounded number in each unit of work (R-AZ-07).

Nobody sees anything of them: a version under the new owner is sealed from what the last one opened to, in here.
"""

from typing import NamedTuple

from mysafe.audit.events import Result
from mysafe.authz.decide import decide_on_transfer
from mysafe.crypto.aead import SealBroken
from mysafe.domain.actions import Action
from mysafe.domain.errors import AccessDenied, Busy, NotFound, WrongState
from mysafe.domain.ids import ItemId, ItemRef, Kind, TransferId
from mysafe.domain.items import ItemMeta
from mysafe.domain.sharing import PrincipalType
from mysafe.domain.transfers import Transfer, TransferState
from mysafe.services.custody.history import History, Retention
from mysafe.services.custody.sealed_items import (
    Candidate,
    changed_meta,
    hold_content,
    identifier_index,
    index_grants,
    open_item,
    seal_item,
    subject_of,
)
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads.envelope import PayloadUnknown
from mysafe.services.principals import Principals
from mysafe.services.recording import Recorder, Subject
from mysafe.storage import items as store
from mysafe.storage.blobs.rows import BlobRows
from mysafe.storage.engine import Transaction
from mysafe.storage.items import ItemRow

KINDS = tuple(Kind)


class Moved(NamedTuple):
    """What a unit of a transfer did: how many items have the new owner, and which ones had to stay.

    `last` is where the next unit goes on, None when there is nothing more.
    """

    moved: int
    left: tuple[ItemRef, ...]
    last: ItemRef | None


class HandOver:
    """Carry out an approved transfer inside one unit of work."""

    def __init__(self, tx: Transaction, keys: VaultKeys, recorder: Recorder, principals: Principals) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self._principals = principals

    def check(self, transfer: Transfer) -> None:
        """Return if items may move from the one user to the other now.

        Raises WrongState: the one is not disabled, the other is not active, or the requester is no active
        administrator any more.
        """
        users = self._principals
        leaver, heir, requester = map(users.user, (transfer.from_user, transfer.to_user, transfer.requested_by))
        if leaver is None or leaver.is_active:
            raise WrongState("the user whose items move is not disabled")
        if heir is None or not heir.is_active:
            raise WrongState("the user who receives the items is not active")
        if requester is None or not (requester.is_active and requester.is_admin):
            raise WrongState("the requester is no active administrator any more")

    def move_some(self, transfer_id: TransferId, after: ItemRef | None) -> Moved:
        """Give the next items of a transfer to their new owner, at most a hundred, and record each.

        An item stays if the new owner has an API secret with its identifier code, or if it was changed outside the
        vault. Each that stays is recorded too.

        Raises:
            NotFound: there is no such transfer.
            WrongState: it is not approved, or too old, or `check` complains.
            AccessDenied: the actor is no administrator, requested it, or receives the items.
            AuditUnwritable, Busy.
        """
        self._recorder.attempt(Action.ITEM_TRANSFER, Subject("transfers", transfer_id))
        transfer = self._principals.transfer(transfer_id)
        if transfer is None:
            raise NotFound("transfer")
        decision = decide_on_transfer(self._recorder.actor, Action.ITEM_TRANSFER, transfer)
        if not decision.is_allowed:
            raise AccessDenied(decision.reason)
        if transfer.state is TransferState.DONE:
            return Moved(0, (), None)  # two administrators approved it at the same time
        if transfer.state is not TransferState.APPROVED or not transfer.is_open(self._principals.now):
            raise WrongState("the transfer is not approved, or too old")
        self.check(transfer)
        rows, last = self._next_rows(transfer, after)
        left = tuple(ItemRef(Kind(row.kind), ItemId(row.id)) for row in rows if not self._move(row, transfer))
        return Moved(len(rows) - len(left), left, last)

    def _next_rows(self, transfer: Transfer, after: ItemRef | None) -> tuple[list[ItemRow], ItemRef | None]:
        """Return the next items of the leaver, by kind and number, and where to go on after them."""
        first = KINDS.index(after.kind) if after else 0
        for kind in KINDS[first:]:
            start = after.id if after and after.kind is kind else 0
            rows = store.owned_by(self._tx, kind, transfer.from_user, start)
            if rows:
                return rows, ItemRef(kind, ItemId(rows[-1].id))
        return [], None

    def _move(self, row: ItemRow, transfer: Transfer) -> bool:
        try:
            candidate = open_item(self._keys, row)
            payload = candidate._key.open_secret(row.secret)
        except (SealBroken, PayloadUnknown):
            return self._stays(row, Result.FAILED, "it does not open")
        meta = self._new_meta(candidate, transfer)
        index = identifier_index(self._keys, meta)
        if index is not None and store.is_code_taken(self._tx, index):
            return self._stays(row, Result.CONFLICT, "the identifier code is taken")
        moved = seal_item(self._keys, candidate.ref, row.version + 1, meta, payload)
        if not store.replace(self._tx, moved, index_grants(candidate._meta.acl), index_grants(meta.acl)):
            raise Busy
        if candidate.ref.kind is Kind.FILE:
            blobs = BlobRows(self._tx, self._principals.now)
            blobs.hand_over(row.id, meta.owner_id)
            hold_content(blobs, payload, moved.version)
        self._recorder.allowed(Action.ITEM_TRANSFER, subject_of(moved, ""))
        return True

    def _new_meta(self, candidate: Candidate, transfer: Transfer) -> ItemMeta:
        before = candidate._meta
        own = (PrincipalType.USER, transfer.to_user)
        meta = before._replace(
            owner_id=transfer.to_user,
            acl=tuple(entry for entry in before.acl if (entry.principal_type, entry.principal_id) != own),
            author_id=self._recorder.actor.user_id,
            updated_at=self._principals.now,
        )
        return meta._replace(changed=changed_meta(before, meta))

    def _stays(self, row: ItemRow, result: Result, reason: str) -> bool:
        subject = Subject(row.kind, row.id, row.version)
        self._recorder.left_out(Action.ITEM_TRANSFER, result, subject, reason)
        return False


class Custody:
    """What becomes of items, inside one unit of work: `history` is their past, `hand_over` their next owner."""

    def __init__(
        self, tx: Transaction, keys: VaultKeys, recorder: Recorder, principals: Principals, retention: Retention
    ) -> None:
        self.history = History(tx, keys, recorder, principals.now, retention)
        self.hand_over = HandOver(tx, keys, recorder, principals)
