# SPDX-License-Identifier: Apache-2.0
"""The past of an item: its replaced versions, how long they are kept, and its end (R-ITEM-06, R-ITEM-08)."""

from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy, NotFound, WrongState
from mysafe.domain.ids import Kind, UserId
from mysafe.domain.items import Item, ItemMeta, ItemSecret
from mysafe.services.custody.sealed_items import Grant, index_grants, open_version, subject_of
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads import items as payloads
from mysafe.services.recording import Recorder, Subject
from mysafe.storage import item_versions
from mysafe.storage import items as store
from mysafe.storage.blobs.rows import BlobRows
from mysafe.storage.engine import Transaction
from mysafe.storage.item_versions import VERSIONS_AT_ONCE

__all__ = ["KEEP_ALL", "VERSIONS_AT_ONCE", "Content", "History", "PastVersion", "Retention"]

DAY_SECONDS = 24 * 3600


class Retention(NamedTuple):
    """How long what is no longer used is kept, in days.

    `versions_kept_days` counts from when a version was replaced; 0 is for ever. `erase_after_days` is how long an item
    must have been inactive and unchanged before it can be erased; 0 is not at all.
    """

    versions_kept_days: int = 0
    erase_after_days: int = 0


KEEP_ALL = Retention()
"""The default: every version is kept, and an inactive item can be erased at once."""


class PastVersion(NamedTuple):
    """One version of an item as its list of versions shows it. `at` is when it was made, in Unix seconds.

    `changed` names the fields in which it differs from the version before it.
    """

    version: int
    author_id: UserId
    at: int
    name: str
    changed: tuple[str, ...]
    is_current: bool


class Content(NamedTuple):
    """What a version of an item held. `version` is its number."""

    version: int
    meta: ItemMeta
    secret: ItemSecret


class History:
    """Read, restore, prune and erase what was, inside one unit of work. Every method raises AuditUnwritable."""

    def __init__(self, tx: Transaction, keys: VaultKeys, recorder: Recorder, now: int, retention: Retention) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self._now = now
        self._retention = retention

    def versions(self, grant: Grant, before: int | None = None) -> list[PastVersion]:
        """Return the versions of an item, newest first: at most a hundred replaced ones, and the current one.

        Args:
            grant: for `item.history`.
            before: leaves out the versions from this number on; None leaves out none.

        Raises:
            ValueError: the grant is for something else.
            SealBroken: a version was changed outside the vault.
        """
        _check(grant, Action.ITEM_HISTORY)
        current = grant.item
        found = [_past(current.version, current.meta, is_current=True)]
        end = current.version if before is None else min(before, current.version)
        for row in item_versions.before(self._tx, current.ref.kind, current.ref.id, end):
            found.append(_past(row.version, open_version(self._keys, row)[1], is_current=False))
        return found if before is None or before > current.version else found[1:]

    def content(self, grant: Grant, version: int) -> Content:
        """Return what a version of an item held, its secret included.

        Args:
            grant: for `item.read_version`, and then this is recorded as a reading of that version; or for
                `item.restore`, and then the restoration is recorded.
            version: the current one or a replaced one.

        Raises:
            ValueError: the grant is for something else.
            NotFound: there is no such version, or it is not kept any more.
            SealBroken: the version was changed outside the vault.
        """
        _check(grant, Action.ITEM_READ_VERSION, Action.ITEM_RESTORE)
        ref, row, key, meta = grant.item.ref, grant._row, grant._key, grant.item.meta
        if version != grant.item.version:
            old = item_versions.find(self._tx, ref.kind, ref.id, version) if version < grant.item.version else None
            if old is None:
                raise NotFound("version")
            key, meta = open_version(self._keys, old)
            subject = subject_of(old, grant.item.meta.name)
            sealed = old.secret
        else:
            subject, sealed = subject_of(row, meta.name), row.secret
        if key is None:
            raise ValueError("this grant opens nothing")
        if grant.action is Action.ITEM_READ_VERSION:
            self._recorder.allowed(grant.action, subject)
            self._recorder.owed -= 1
        else:
            self._recorder.remark(grant.action, f"version {version}")
        return Content(version, meta, payloads.decode_secret(ref.kind, key.open_secret(sealed)))

    def erase(self, grant: Grant) -> int:
        """Remove an item for good, all its data keys with it, and return how many versions it had.

        Its number is never given again. What the audit log says about it stays.

        Args:
            grant: for `item.erase`.

        Raises:
            ValueError: the grant is for something else.
            WrongState: the item is active, or was deactivated or changed too recently.
            Busy: another writer changed it meanwhile.
        """
        _check(grant, Action.ITEM_ERASE)
        meta = grant.item.meta
        if meta.is_active:
            raise WrongState("the item is active")
        if self._now < meta.updated_at + self._retention.erase_after_days * DAY_SECONDS:
            raise WrongState("the item was active or changed too recently")
        if not store.erase(self._tx, grant._row, index_grants(meta.acl)):
            raise Busy
        if grant.item.ref.kind is Kind.FILE:
            BlobRows(self._tx, self._now).release(grant.item.ref.id)
        erased = item_versions.erase(self._tx, grant.item.ref.kind, grant.item.ref.id)
        self._recorder.allowed(grant.action, subject_of(grant._row, meta.name))
        self._recorder.owed -= 1
        return erased + 1

    def prune(self, item: Item) -> None:
        """Remove versions of an item that were replaced longer ago than they are kept, a hundred at most.

        Contents of files that only those had are given up with them.
        """
        if not self._retention.versions_kept_days:
            return
        kind, number = item.ref
        until = self._now - self._retention.versions_kept_days * DAY_SECONDS
        if item_versions.prune(self._tx, kind, number, until):
            if kind is Kind.FILE:
                oldest = item_versions.oldest(self._tx, kind, number) or item.version
                BlobRows(self._tx, self._now).release_before(number, oldest)
            self._recorder.allowed(Action.ITEM_PRUNE, Subject(kind, number, item.version, name=item.meta.name))


def _check(grant: Grant, *actions: Action) -> None:
    if grant.action not in actions:
        raise ValueError(f"this grant is for {grant.action}")


def _past(version: int, meta: ItemMeta, *, is_current: bool) -> PastVersion:
    return PastVersion(version, meta.author_id, meta.updated_at, meta.name, meta.changed, is_current)
