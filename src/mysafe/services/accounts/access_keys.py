# SPDX-License-Identifier: Apache-2.0
"""The use cases of access keys (contract 2.1 and 2.6)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mysafe.authz.restrictions import canonical_blocks
from mysafe.crypto.credentials import new_client_id, new_client_secret
from mysafe.crypto.rsa_oaep import new_private_key, public_key_of
from mysafe.domain.access_keys import AccessKey, AccessKeyDraft
from mysafe.domain.errors import InvalidField, NotFound
from mysafe.domain.ids import AccessKeyId
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts.users import check_name
from mysafe.services.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """A key that was just made, with its secret. The secret is not kept: only its verifier is."""

    key: AccessKey
    client_secret: SecretText


def prepare(draft: AccessKeyDraft, bits: int) -> SecretText | None:
    """Return a new private RSA key for a key that encrypts, else None.

    Making one takes a second and more: it is done before the unit of work, never inside.
    """
    return new_private_key(bits) if draft.is_encrypting else None


def add(uow: UnitOfWork, draft: AccessKeyDraft, private_key: SecretText | None = None) -> NewAccessKey:
    """Store a new access key of an active user. `private_key` comes from `prepare`.

    Raises NotFound (the owner), InvalidInput.
    """
    check_name("name", draft.name)
    owner = uow.principals.user_by_name(draft.owner)
    if owner is None or not owner.is_active:
        raise NotFound("user")
    client_id, secret = new_client_id(), new_client_secret()
    key = AccessKey(
        id=AccessKeyId(0),
        version=0,
        owner_id=owner.id,
        name=draft.name,
        client_id=client_id,
        secret_verifier=uow.registry.verifier_of(client_id, secret),
        addresses=_blocks(draft.addresses),
        referers=draft.referers,
        expires_at=int(draft.expires_at.timestamp()) if draft.expires_at else None,
        is_revoked=False,
        created_at=0,
        encryption_key=public_key_of(private_key) if private_key else None,
    )
    return NewAccessKey(uow.registry.add_access_key(key, private_key), secret)


def revoke(uow: UnitOfWork, client_id: str) -> AccessKey:
    """Revoke an access key for good; its tokens die with it. Raises NotFound."""
    return uow.registry.change_access_key(replace(_find(uow, client_id), is_revoked=True))


def decryption_key(uow: UnitOfWork, client_id: str) -> SecretText:
    """Return the private key that opens what an access key encrypts, as PEM. Raises NotFound if there is none."""
    private_key = uow.registry.private_key_of(_find(uow, client_id))
    if private_key is None:
        raise NotFound("decryption key")
    return private_key


def set_addresses(uow: UnitOfWork, client_id: str, addresses: Sequence[str]) -> AccessKey:
    """Change where an access key may be used from. Raises NotFound, InvalidField."""
    return uow.registry.change_access_key(replace(_find(uow, client_id), addresses=_blocks(addresses)))


def _find(uow: UnitOfWork, client_id: str) -> AccessKey:
    key = uow.principals.access_key_by_client(client_id)
    if key is None:
        raise NotFound("access key")
    return key


def _blocks(addresses: Sequence[str]) -> tuple[str, ...]:
    try:
        return canonical_blocks(addresses)
    except ValueError:
        raise InvalidField("ip") from None
