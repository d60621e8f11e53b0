# SPDX-License-Identifier: Apache-2.0
"""The use cases of items."""

from mysafe.crypto.totp import totp_code
from mysafe.domain.actions import Action
from mysafe.domain.errors import Inactive, NotFound
from mysafe.domain.ids import ItemRef, Kind
from mysafe.domain.items import ListedItem, ListFilter, PasswordDraft, PasswordView
from mysafe.services.sharing import resolve, shares_of
from mysafe.services.unit_of_work import UnitOfWork


def create_password(uow: UnitOfWork, draft: PasswordDraft) -> PasswordView:
    """Store a password of the actor and share it. Names nobody can share with come back in the view."""
    actor = uow.actor.user_id
    resolved = resolve(uow.principals, actor, actor, draft.users, draft.groups)
    grant = uow.create(Kind.PASSWORD, draft, resolved.acl)
    return PasswordView(grant.item, draft.secret, resolved.shares, unshared=resolved.unshared)


def read_password(uow: UnitOfWork, ref: ItemRef) -> PasswordView:
    """Return a password with its secret and its current TOTP code. Raises NotFound, AccessDenied, Inactive."""
    candidate = uow.find(ref)
    if candidate is None:
        raise NotFound(ref.kind)
    grant = uow.require(Action.ITEM_READ, candidate)
    if not grant.item.meta.is_active:
        raise Inactive(ref.kind)
    secret = uow.open(grant)
    code = totp_code(secret.secret_key, uow.principals.now) if secret.secret_key else None
    return PasswordView(grant.item, secret, shares_of(uow.principals, grant.item.meta.acl), code)


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
    candidate = uow.find(ref)
    if candidate is None:
        raise NotFound(ref.kind)
    grant = uow.require(Action.ITEM_ACTIVATE if is_active else Action.ITEM_DEACTIVATE, candidate)
    meta = grant.item.meta
    if meta.is_active == is_active:
        return False
    uow.amend(grant, meta._replace(is_active=is_active, author_id=uow.actor.user_id, updated_at=uow.principals.now))
    return True
