# SPDX-License-Identifier: Apache-2.0
"""The use cases of old versions, and of the end of an item (R-ITEM-06, R-ITEM-08)."""

from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.domain.errors import VersionMismatch
from mysafe.domain.ids import ItemRef
from mysafe.domain.items import Item, ItemMeta, ItemView
from mysafe.domain.sharing import Shares
from mysafe.services.custody.history import VERSIONS_AT_ONCE, PastVersion
from mysafe.services.items import as_the_key_asks, granted
from mysafe.services.unit_of_work import UnitOfWork

CONTENT = (
    "name",
    "url",
    "username",
    "tags",
    "identifier_code",
    "method",
    "file_name",
    "media_type",
    "size_bytes",
)
"""The fields of a meta that a restored version brings back. Owner, shares and state stay as they are now."""


class Page(NamedTuple):
    """Some versions of an item, newest first, and from which number on more follow; None when there are no more."""

    versions: tuple["ListedVersion", ...]
    following: int | None


class ListedVersion(NamedTuple):
    """One version and the user name of its author, None for a user who no longer exists."""

    past: PastVersion
    author: str | None


class OpenedVersion(NamedTuple):
    """What a version held, as its reader sees it, and the user name of its author. `view` shows no shares."""

    view: ItemView
    author: str | None
    is_current: bool


def list_versions(uow: UnitOfWork, ref: ItemRef, before: int | None = None) -> Page:
    """Return the versions of an item, newest first, a hundred or so; `before` leaves out those from that number on.

    Raises NotFound, AccessDenied, Inactive.
    """
    found = uow.custody.history.versions(granted(uow, Action.ITEM_HISTORY, ref), before)
    listed = tuple(ListedVersion(past, _author(uow, past.author_id)) for past in found)
    return Page(listed, found[-1].version if len(found) >= VERSIONS_AT_ONCE else None)


def read_version(uow: UnitOfWork, ref: ItemRef, version: int) -> OpenedVersion:
    """Return what a version of an item held, its secret included. No TOTP code: an old seed opens nothing.

    Raises NotFound (the item, or the version), AccessDenied, Inactive, NotEncryptable.
    """
    grant = granted(uow, Action.ITEM_READ_VERSION, ref)
    content = uow.custody.history.content(grant, version)
    view = ItemView(Item(ref, version, content.meta), content.secret, Shares())
    author = _author(uow, content.meta.author_id)
    return OpenedVersion(as_the_key_asks(uow, view), author, version == grant.item.version)


def restore(uow: UnitOfWork, ref: ItemRef, version: int, expected_versions: frozenset[int] | None = None) -> Item:
    """Make the content of an old version the content of a new one, and return the item.

    Owner, shares and state stay as they are now. Restoring the current version changes nothing.

    Raises:
        NotFound, AccessDenied: there is no such item or version, or it may not be changed.
        VersionMismatch: the item is at none of the expected versions.
        DuplicateIdentifier: another API secret of the owner has the identifier code by now.
    """
    grant = granted(uow, Action.ITEM_RESTORE, ref)
    if expected_versions is not None and grant.item.version not in expected_versions:
        raise VersionMismatch
    content = uow.custody.history.content(grant, version)
    if version == grant.item.version:
        return uow.keep(grant)
    meta = _with_content(grant.item.meta, content.meta)
    meta = meta._replace(author_id=uow.actor.user_id, updated_at=uow.principals.now)
    return uow.amend(grant, meta, content.secret)


def _with_content(now: ItemMeta, then: ItemMeta) -> ItemMeta:
    return now._replace(**{name: getattr(then, name) for name in CONTENT})


def erase(uow: UnitOfWork, ref: ItemRef) -> int:
    """Erase an item for good, with all its versions, and return how many those were.

    Raises NotFound, AccessDenied, WrongState (it is active, or was not inactive for long enough).
    """
    return uow.custody.history.erase(granted(uow, Action.ITEM_ERASE, ref))


def _author(uow: UnitOfWork, user_id: int) -> str | None:
    user = uow.principals.user(user_id)  # type: ignore[arg-type]
    return user.username if user else None
