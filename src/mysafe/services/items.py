# SPDX-License-Identifier: Apache-2.0
"""The use cases of items, the same for every kind."""

from mysafe.crypto import rsa_oaep
from mysafe.crypto.totp import totp_code
from mysafe.domain.actions import Action
from mysafe.domain.deferred import Deferred
from mysafe.domain.errors import NotAuthenticated, NotEncryptable, NotFound, VersionMismatch
from mysafe.domain.ids import ItemRef, Kind
from mysafe.domain.items import (
    ApiSecret,
    FileSecret,
    ItemChange,
    ItemDraft,
    ItemMeta,
    ItemSecret,
    ItemView,
    ListedItem,
    ListFilter,
    NoteSecret,
    PasswordSecret,
)
from mysafe.domain.sharing import AclEntry, SharingChange, UnsharedName
from mysafe.services.sharing import reshare, resolve, shares_of, with_added
from mysafe.services.unit_of_work import Grant, UnitOfWork


def create(uow: UnitOfWork, draft: ItemDraft) -> ItemView:
    """Store an item of the actor and share it. Names nobody can share with come back in the view.

    Raises DuplicateIdentifier, NotEncryptable.
    """
    actor = uow.actor.user_id
    resolved = resolve(uow.principals, actor, actor, draft.users, draft.groups)
    grant = uow.create(draft, resolved.acl)
    view = ItemView(grant.item, draft.secret, resolved.shares, unshared=resolved.unshared)
    return _echoed(uow, view)


def read(uow: UnitOfWork, ref: ItemRef) -> ItemView:
    """Return an item with its secret and, with a TOTP seed, its current code.

    Raises NotFound, AccessDenied, Inactive, NotEncryptable.
    """
    grant = granted(uow, Action.ITEM_READ, ref)
    secret = uow.open(grant)
    seed = secret.secret_key if isinstance(secret, PasswordSecret) else None
    code = totp_code(seed, uow.principals.now) if seed else None
    return as_the_key_asks(uow, ItemView(grant.item, secret, shares_of(uow.principals, grant.item.meta.acl), code))


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
    grant = granted(uow, Action.ITEM_UPDATE, ref)
    if expected_versions is not None and grant.item.version not in expected_versions:
        raise VersionMismatch
    wanted = change.value()
    secret = uow.open(grant)
    acl, unshared = _changed_acl(uow, grant.item.meta, wanted)
    if wanted == ItemChange():
        item = uow.keep(grant)
    else:
        meta = grant.item.meta._replace(**wanted.meta, acl=acl)  # type: ignore[arg-type]  # named by the wire
        meta = meta._replace(author_id=uow.actor.user_id, updated_at=uow.principals.now)
        secret = _changed_secret(secret, wanted)
        item = uow.amend(grant, meta, secret)
    return _echoed(uow, ItemView(item, secret, shares_of(uow.principals, item.meta.acl), unshared=unshared))


def _echoed(uow: UnitOfWork, view: ItemView) -> ItemView:
    """Return what the answer to a change is made of. Only that of an API secret echoes a sensitive value."""
    return as_the_key_asks(uow, view) if view.item.ref.kind is Kind.API_SECRET else view


def _changed_secret(secret: ItemSecret, wanted: ItemChange) -> ItemSecret:
    return secret._replace(**wanted.secret)  # type: ignore[arg-type]  # the wire module names fields of this kind


def _changed_acl(
    uow: UnitOfWork, meta: ItemMeta, wanted: ItemChange
) -> tuple[tuple[AclEntry, ...], tuple[UnsharedName, ...]]:
    """Return the new shares, and the names that nobody can share with."""
    if wanted.users is None and wanted.groups is None:
        return meta.acl, ()
    asked = (wanted.users or (), wanted.groups or ())
    resolved = resolve(uow.principals, meta.owner_id, uow.actor.user_id, *asked, meta.acl)
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
    grant = granted(uow, Action.ITEM_ACTIVATE if is_active else Action.ITEM_DEACTIVATE, ref)
    meta = grant.item.meta
    if meta.is_active == is_active:
        uow.keep(grant)
        return False
    uow.amend(grant, meta._replace(is_active=is_active, author_id=uow.actor.user_id, updated_at=uow.principals.now))
    return True


def share(uow: UnitOfWork, ref: ItemRef, wanted: SharingChange) -> tuple[bool, tuple[UnsharedName, ...]]:
    """Change who may view or edit an item; return whether that changed anything, and names nobody can share with.

    Raises NotFound, AccessDenied.
    """
    grant = granted(uow, Action.ITEM_SHARE, ref)
    meta = grant.item.meta
    acl, unshared = _changed_acl(uow, meta, ItemChange(users=wanted.users, groups=wanted.groups))
    if wanted.is_added:
        acl = with_added(meta.acl, acl)
    if set(acl) == set(meta.acl):
        uow.keep(grant)
        return False, unshared
    uow.amend(grant, meta._replace(acl=acl, author_id=uow.actor.user_id, updated_at=uow.principals.now))
    return True, unshared


def as_the_key_asks(uow: UnitOfWork, view: ItemView) -> ItemView:
    """Return a view whose sensitive values are encrypted if the call's access key encrypts, else the same view.

    These are the password, the TOTP seed, the content of a note and the client secret; all else stays clear.

    Raises:
        NotEncryptable: one does not fit a block of the access key's RSA key.
    """
    if not uow.actor.access_key_id:
        return view
    key = uow.principals.access_key(uow.actor.access_key_id)
    if key is None:
        raise NotAuthenticated(was_sent=True)
    if key.encryption_key is None:
        return view
    try:
        return view._replace(secret=_encrypted(view.secret, key.encryption_key))
    except rsa_oaep.TooLongToEncrypt:
        raise NotEncryptable from None


def _encrypted(secret: ItemSecret, public_key: bytes) -> ItemSecret:
    match secret:
        case PasswordSecret(password, seed, notes):
            encrypted_seed = rsa_oaep.encrypt(public_key, seed) if seed else None
            return PasswordSecret(rsa_oaep.encrypt(public_key, password), encrypted_seed, notes)
        case NoteSecret(note):
            return NoteSecret(rsa_oaep.encrypt(public_key, note))
        case FileSecret():
            return secret  # nothing of it is among the sensitive values, and its content is no text
        case ApiSecret():
            return secret._replace(client_secret=rsa_oaep.encrypt(public_key, secret.client_secret))


def granted(uow: UnitOfWork, action: Action, ref: ItemRef) -> Grant:
    """Return the grant for an action on an item. Raises NotFound, and as `UnitOfWork.require`."""
    candidate = uow.find(ref)
    if candidate is None:
        raise NotFound(ref.kind)
    return uow.require(action, candidate)
