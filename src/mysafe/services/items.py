# SPDX-License-Identifier: Apache-2.0
"""The use cases of items, the same for every kind."""

from mysafe.crypto.totp import totp_code
from mysafe.domain.actions import Action
from mysafe.domain.deferred import Deferred
from mysafe.domain.errors import Inactive, NotFound, VersionMismatch
from mysafe.domain.ids import ItemRef, Kind
from mysafe.domain.items import (
    ItemChange,
    ItemDraft,
    ItemMeta,
    ItemSecret,
    ItemView,
    ListedItem,
    ListFilter,
    PasswordSecret,
)
from mysafe.domain.sharing import AclEntry, UnsharedName
from mysafe.services.sharing import reshare, resolve, shares_of
from mysafe.services.unit_of_work import Grant, UnitOfWork


def create(uow: UnitOfWork, draft: ItemDraft) -> ItemView:
    """Store an item of the actor and share it. Names nobody can share with come back in the view.

    Raises DuplicateIdentifier.
    """
    actor = uow.actor.user_id
    resolved = resolve(uow.principals, actor, actor, draft.users, draft.groups)
    grant = uow.create(draft, resolved.acl)
    return ItemView(grant.item, draft.secret, resolved.shares, unshared=resolved.unshared)


def read(uow: UnitOfWork, ref: ItemRef) -> ItemView:
    """Return an item with its secret and, with a TOTP seed, its current code.

    Raises NotFound, AccessDenied, Inactive.
    """
    grant = _granted(uow, Action.ITEM_READ, ref)
    if not grant.item.meta.is_active:
        raise Inactive(ref.kind)
    secret = uow.open(grant)
    seed = secret.secret_key if isinstance(secret, PasswordSecret) else None
    code = totp_code(seed, uow.principals.now) if seed else None
    return ItemView(grant.item, secret, shares_of(uow.principals, grant.item.meta.acl), code)


def update(
    uow: UnitOfWork, ref: ItemRef, change: Deferred[ItemChange], expected_versions: frozenset[int] | None = None
) -> ItemView:
    """Change what an update names, as one new version; an update that names nothing makes none.

    Args:
        change: read from the request; its complaint comes after the caller's right.
        expected_versions: the versions the caller wants to change, None for any.

    Raises:
        NotFound, AccessDenied: there is no such item, or it may not be changed.
        VersionMismatch: it is at none of the expected versions.
        InvalidInput: what `change` complains about, or DuplicateIdentifier.
    """
    grant = _granted(uow, Action.ITEM_UPDATE, ref)
    if expected_versions is not None and grant.item.version not in expected_versions:
        raise VersionMismatch
    wanted = change.value()
    secret = uow.open(grant)
    acl, unshared = _changed_acl(uow, grant.item.meta, wanted)
    if wanted == ItemChange():
        item = uow.keep(grant)
    else:
        meta = grant.item.meta._replace(**wanted.meta, acl=acl)  # type: ignore[arg-type]  # all of them are texts
        meta = meta._replace(author_id=uow.actor.user_id, updated_at=uow.principals.now)
        secret = _changed_secret(secret, wanted)
        item = uow.amend(grant, meta, secret)
    return ItemView(item, secret, shares_of(uow.principals, item.meta.acl), unshared=unshared)


def _changed_secret(secret: ItemSecret, wanted: ItemChange) -> ItemSecret:
    return secret._replace(**wanted.secret)  # type: ignore[arg-type]  # the wire module names fields of this kind


def _changed_acl(
    uow: UnitOfWork, meta: ItemMeta, wanted: ItemChange
) -> tuple[tuple[AclEntry, ...], tuple[UnsharedName, ...]]:
    """Return the new shares, and the names that nobody can share with."""
    if wanted.users is None and wanted.groups is None:
        return meta.acl, ()
    resolved = resolve(uow.principals, meta.owner_id, uow.actor.user_id, wanted.users or (), wanted.groups or ())
    acl = reshare(meta.acl, resolved.acl, are_users_kept=wanted.users is None, are_groups_kept=wanted.groups is None)
    return acl, resolved.unshared


def list_items(
    uow: UnitOfWork, kind: Kind, wanted: ListFilter, *, is_inactive_listed: bool = False
) -> list[ListedItem]:
    """Return the items of a kind the actor may view and the filter lets through, ascending by id."""
    return [
        listed
        for listed in uow.visible(Action.ITEM_LIST, kind)
        if (listed.item.meta.is_active or is_inactive_listed) and wanted.matches(listed.item.meta)
    ]


def set_active(uow: UnitOfWork, ref: ItemRef, *, is_active: bool) -> bool:
    """Activate or deactivate an item; return whether that changed anything. Raises NotFound, AccessDenied."""
    grant = _granted(uow, Action.ITEM_ACTIVATE if is_active else Action.ITEM_DEACTIVATE, ref)
    meta = grant.item.meta
    if meta.is_active == is_active:
        uow.keep(grant)
        return False
    uow.amend(grant, meta._replace(is_active=is_active, author_id=uow.actor.user_id, updated_at=uow.principals.now))
    return True


def _granted(uow: UnitOfWork, action: Action, ref: ItemRef) -> Grant:
    candidate = uow.find(ref)
    if candidate is None:
        raise NotFound(ref.kind)
    return uow.require(action, candidate)
