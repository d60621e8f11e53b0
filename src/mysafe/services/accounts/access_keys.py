# SPDX-License-Identifier: Apache-2.0
"""The use cases of access keys (contract 2.1 and 2.6; R-TOK-05, R-TOK-08 to R-TOK-15).

Every one of them raises AccessDenied when the policy says no, and NotFound when there is no such access key.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeAlias

from mysafe.crypto.credentials import new_client_id, new_client_secret
from mysafe.crypto.rsa_oaep import new_pair
from mysafe.domain.access_keys import AccessKey, AccessKeyChange, AccessKeyDraft, AccessKeyView, KeySecrets, RsaPair
from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy, Inactive, LimitReached, NotFound, VaultError, VersionMismatch
from mysafe.domain.ids import LARGEST_ID, AccessKeyId, UserId
from mysafe.domain.principals import User
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts import reauthentication
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.accounts.key_terms import Terms, check_expiry, checked_terms
from mysafe.services.accounts.reauthentication import Claim, Proof
from mysafe.services.accounts.users import LONGEST_NAME, user_named
from mysafe.services.unit_of_work import UnitOfWork

EVERYBODY = "*"
"""Stands for all owners in a list."""

COPY = " (Copy)"
"""What a clone has behind the name of its source (product 3)."""

USUAL = KeyRules()
"""The rules where nothing else is set."""

Which: TypeAlias = AccessKeyId | str
"""An access key, by its id or by its client id."""


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """A key that was just made, with its secret and the name of its owner."""

    key: AccessKey
    client_secret: SecretText
    owner: str

    @property
    def view(self) -> AccessKeyView:
        """The key as it can be read again, without its secret."""
        return AccessKeyView(self.key, self.owner)


class Revealed(NamedTuple):
    """A secret of an access key, with the client id it belongs to."""

    client_id: str
    secret: SecretText


def prepare(bits: int, *, is_encrypting: bool) -> RsaPair | None:
    """Return new RSA keys for an access key that encrypts, else None.

    Making them takes a second and more: it is done before the unit of work, never inside.
    """
    return new_pair(bits) if is_encrypting else None


def may_add(uow: UnitOfWork, draft: AccessKeyDraft, *, rules: KeyRules = USUAL) -> bool:
    """Decide on making an access key, without making it; return whether it needs RSA keys. Raises as `add`."""
    _new_key(uow, _owner(uow, draft.owner), checked_terms(draft), rules)
    check_expiry(draft.expires_at, uow.principals.now)
    return draft.is_encrypting


def add(
    uow: UnitOfWork, draft: AccessKeyDraft, pair: RsaPair | None = None, *, rules: KeyRules = USUAL
) -> NewAccessKey:
    """Store a new access key of an active user. `pair` comes from `prepare`.

    `rules` say whether a sealed copy of the client secret is kept, so that it can be shown again, and how many access
    keys the owner may have.

    Raises NotFound (the owner), InvalidInput, LimitReached.
    """
    terms = checked_terms(draft)
    check_expiry(draft.expires_at, uow.principals.now)
    owner = _owner(uow, draft.owner)
    return _store(uow, owner, _new_key(uow, owner, terms, rules), pair, rules)


def clone(uow: UnitOfWork, which: Which, pair: RsaPair | None = None, *, rules: KeyRules = USUAL) -> NewAccessKey:
    """Store a copy of an access key under a new id, with a new secret and without an expiry (R-TOK-15).

    A key that encrypts gets RSA keys of its own, from `prepare`. Raises Inactive for a revoked key, LimitReached.
    """
    source = _usable(uow, which, Action.ACCESS_KEY_CLONE)
    if source.encryption_key is not None and pair is None:
        raise Busy  # it did not encrypt when the caller looked
    uow.registry.record_on_key(Action.ACCESS_KEY_CLONE, source)
    owner = uow.principals.user(source.owner_id)
    if owner is None or not owner.is_active:
        raise NotFound("user")
    terms = _terms_of(source)._replace(name=source.name[: LONGEST_NAME - len(COPY)] + COPY, expires_at=None)
    key = _new_key(uow, owner, terms, rules)
    own_pair = pair if source.encryption_key is not None else None
    return _store(uow, owner, key, own_pair, rules)


def list_keys(
    uow: UnitOfWork, owner: str | None = None, after: int = 0, limit: int | None = None
) -> tuple[list[AccessKeyView], bool]:
    """Return access keys that are not revoked, ascending by id, and whether more follow.

    Args:
        owner: a user name, EVERYBODY, or None for the actor's own; only administrators may name another user.
        after: leaves out those up to this id.
        limit: the most to return, None for all.

    Raises NotFound (the user).
    """
    if owner is None:
        uow.registry.permit(Action.ACCESS_KEY_LIST)
        found = uow.principals.access_keys_of(uow.actor.user_id)
    else:
        uow.registry.permit(Action.ACCESS_KEY_LIST_ALL)
        found = uow.principals.access_keys_of(None if owner == EVERYBODY else user_named(uow, owner).id)
    following = [key for key in found if key.id > after]
    shown = following[:limit]
    return [_view(uow, key) for key in shown], len(following) > len(shown)


def read(uow: UnitOfWork, which: Which) -> AccessKeyView:
    """Return an access key without its secrets, a revoked one too."""
    key = _find(uow, which, Action.ACCESS_KEY_READ)
    uow.registry.record_on_key(Action.ACCESS_KEY_READ, key)
    return _view(uow, key)


def needs_pair(uow: UnitOfWork, which: Which, action: Action) -> bool:
    """Decide on cloning or changing an access key, without doing it.

    Return whether RSA keys must be made for it: for a clone of one that encrypts, and for a change of one that
    does not encrypt yet.
    """
    key = _usable(uow, which, action)
    return (key.encryption_key is not None) == (action is Action.ACCESS_KEY_CLONE)


def change(
    uow: UnitOfWork,
    which: Which,
    wanted: AccessKeyChange,
    pair: RsaPair | None = None,
    expected_versions: Collection[int] | None = None,
) -> AccessKeyView:
    """Change what `wanted` names. A change of any limit ends the tokens of the key at once (R-TOK-05).

    Args:
        pair: from `prepare`, for a key that is to encrypt from now on.
        expected_versions: the versions the caller wants to change, None for any.

    Raises:
        Inactive: the key is revoked.
        VersionMismatch: it is at none of the expected versions.
        InvalidInput: a value cannot be used.
    """
    key = _usable(uow, which, Action.ACCESS_KEY_UPDATE)
    if expected_versions is not None and key.version not in expected_versions:
        raise VersionMismatch
    draft = replace(_draft_of(key), **wanted.fields)  # type: ignore[arg-type]  # the doors name fields of drafts
    if "expires_at" in wanted.fields:
        check_expiry(draft.expires_at, uow.principals.now)
    changed = replace(key, **checked_terms(draft)._asdict())
    edit = None
    is_switched = wanted.is_encrypting is not None and wanted.is_encrypting != (key.encryption_key is not None)
    if is_switched:
        if wanted.is_encrypting and pair is None:
            raise Busy  # it encrypted when the caller looked
        own_pair = pair if wanted.is_encrypting else None
        changed = replace(changed, encryption_key=own_pair.public_key if own_pair else None)
        edit = partial(KeySecrets._replace, private_key=own_pair.private_key if own_pair else None)
    if changed == key:
        uow.registry.record_on_key(Action.ACCESS_KEY_UPDATE, key)
        return _view(uow, key)
    if _limits(changed) != _limits(key):
        changed = replace(changed, token_epoch=key.token_epoch + 1)
    return _view(uow, uow.registry.change_access_key(changed, edit=edit))


def revoke(uow: UnitOfWork, which: Which) -> AccessKeyView:
    """Revoke an access key for good; its tokens die with it, and no copy of its client secret is kept."""
    key = _find(uow, which, Action.ACCESS_KEY_REVOKE)
    if key.is_revoked:
        uow.registry.record_on_key(Action.ACCESS_KEY_REVOKE, key)
        return _view(uow, key)
    revoked = replace(key, is_revoked=True)
    edit = partial(KeySecrets._replace, client_secret=None)
    return _view(uow, uow.registry.change_access_key(revoked, Action.ACCESS_KEY_REVOKE, edit))


def claim(uow: UnitOfWork, which: Which, action: Action) -> Claim:
    """Decide on showing a secret of an access key, and return what is needed to ask for the password."""
    _find(uow, which, action)
    return reauthentication.claim(uow)


def refuse(uow: UnitOfWork, which: Which, action: Action, error: VaultError) -> Revealed:
    """Raise `error`, which the password led to, so that it is recorded with the access key."""
    _find(uow, which, action)
    raise error


def client_secret(uow: UnitOfWork, which: Which, proof: Proof | None = None) -> Revealed:
    """Return the client secret of an access key again. Raises NotFound if no copy is kept, WrongPassword."""
    return _reveal(uow, which, Action.ACCESS_KEY_REVEAL_SECRET, proof)


def decryption_key(uow: UnitOfWork, which: Which, proof: Proof | None = None) -> Revealed:
    """Return the private key that opens what an access key encrypts, as PEM. Raises NotFound, WrongPassword."""
    return _reveal(uow, which, Action.ACCESS_KEY_REVEAL, proof)


def _reveal(uow: UnitOfWork, which: Which, action: Action, proof: Proof | None) -> Revealed:
    key = _find(uow, which, action)
    reauthentication.check(uow, proof)
    kept = uow.registry.secrets_of(key, action)
    is_client_secret = action is Action.ACCESS_KEY_REVEAL_SECRET
    secret = kept.client_secret if is_client_secret else kept.private_key
    if secret is None:
        raise NotFound("client secret" if is_client_secret else "decryption key")
    return Revealed(key.client_id, secret)


def _store(uow: UnitOfWork, owner: User, key: AccessKey, pair: RsaPair | None, rules: KeyRules) -> NewAccessKey:
    secret = new_client_secret()
    key = replace(
        key,
        secret_verifier=uow.registry.verifier_of(key.client_id, secret),
        encryption_key=pair.public_key if pair else None,
    )
    kept = KeySecrets(pair.private_key if pair else None, secret if rules.is_secret_kept else None)
    return NewAccessKey(uow.registry.add_access_key(key, kept), secret, owner.username)


def _new_key(uow: UnitOfWork, owner: User, terms: Terms, rules: KeyRules) -> AccessKey:
    """Return an access key that is not stored yet, if the actor may make one for this owner, who has not too many."""
    key = AccessKey(
        id=AccessKeyId(0),
        version=0,
        owner_id=owner.id,
        client_id=new_client_id(),
        secret_verifier=b"",
        is_revoked=False,
        created_at=0,
        **terms._asdict(),
    )
    uow.registry.permit_on_key(Action.ACCESS_KEY_CREATE, key)
    if len(uow.principals.access_keys_of(owner.id)) >= rules.most_keys:
        raise LimitReached("access key", rules.most_keys)
    return key


def _usable(uow: UnitOfWork, which: Which, action: Action) -> AccessKey:
    """Return an access key that may be changed or cloned. Raises Inactive for a revoked one."""
    key = _find(uow, which, action)
    if key.is_revoked:
        raise Inactive("access key")
    return key


def _find(uow: UnitOfWork, which: Which, action: Action) -> AccessKey:
    """Return an access key to which the actor may do `action`. One that the actor may not see is as if it were none."""
    if isinstance(which, str):
        key = uow.principals.access_key_by_client(which)
        return uow.registry.require_key(action, key.id if key else 0, key)
    key = uow.principals.access_key(which) if which <= LARGEST_ID else None
    return uow.registry.require_key(action, which, key)


def _owner(uow: UnitOfWork, name: str | None) -> User:
    owner = uow.principals.user(uow.actor.user_id) if name is None else user_named(uow, name)
    if owner is None or not owner.is_active:
        raise NotFound("user")
    return owner


def _view(uow: UnitOfWork, key: AccessKey) -> AccessKeyView:
    owner = uow.principals.user(UserId(key.owner_id))
    return AccessKeyView(key, owner.username if owner else "")


def _terms_of(key: AccessKey) -> Terms:
    return Terms(*(getattr(key, name) for name in Terms._fields))


def _limits(key: AccessKey) -> tuple[object, ...]:
    """Return what a token depends on; the words about a key are not among it."""
    return key.addresses, key.referers, key.fingerprint, key.items, key.expires_at, key.encryption_key


def _draft_of(key: AccessKey) -> AccessKeyDraft:
    expires_at = None if key.expires_at is None else datetime.fromtimestamp(key.expires_at, UTC)
    return AccessKeyDraft(
        owner=None,
        name=key.name,
        addresses=key.addresses,
        referers=key.referers,
        expires_at=expires_at,
        description=key.description,
        tags=key.tags,
        fingerprint=key.fingerprint,
        items=key.items,
    )
