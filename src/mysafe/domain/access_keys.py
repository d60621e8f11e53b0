# SPDX-License-Identifier: Apache-2.0
"""Access keys and the tokens obtained with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from mysafe.domain.ids import AccessKeyId, ItemRef, TokenId, UserId
from mysafe.domain.principals import Actor, User
from mysafe.domain.secret_text import SecretText

TOKEN_LIFETIME_SECONDS = 3600
"""Lifetime of an access token (contract 2.4)."""

CLOCK_SKEW_SECONDS = 120
"""By how much the clocks of the servers of one vault may differ."""

MOST_ITEMS_OF_A_KEY = 10_000
"""Most items an access key can be confined to. The list is read with every call and written with every new item."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An OAuth 2.0 client acting for the user who made it (contract 2.6).

    `addresses` holds canonical CIDR blocks; empty is any address. `referers` empty is any.
    `expires_at` is in Unix seconds, None is until revoked. `secret_verifier` is a keyed hash. `encryption_key` is the
    public RSA key that sensitive values are encrypted with (DER), None if they are sent in the clear. `fingerprint` is
    the SHA-256 of the client certificate that calls must come with, 64 hexadecimal digits, "" for any or none.
    `items` are the only items it reaches, None for all of its owner's. `token_epoch` rises when every token obtained
    with it must die; a token holds the one of its time (R-TOK-05).
    """

    id: AccessKeyId
    version: int
    owner_id: UserId
    name: str
    client_id: str
    secret_verifier: bytes
    addresses: tuple[str, ...]
    referers: tuple[str, ...]
    expires_at: int | None
    is_revoked: bool
    created_at: int
    encryption_key: bytes | None = None
    description: str = ""
    tags: str = ""
    fingerprint: str = ""
    items: frozenset[ItemRef] | None = None
    token_epoch: int = 1

    @property
    def is_bounded(self) -> bool:
        """Whether it has any limit that a new key would not have."""
        limits = (self.addresses, self.referers, self.fingerprint, self.encryption_key)
        return any(limits) or self.items is not None or self.expires_at is not None

    def is_usable(self, now: int) -> bool:
        """Return whether the key still opens anything at `now` (Unix seconds)."""
        return not self.is_revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class AccessKeyDraft:
    """An access key that is not stored yet. `owner` is a user name, None for the user who makes it."""

    owner: str | None
    name: str
    addresses: tuple[str, ...] = ()
    referers: tuple[str, ...] = ()
    expires_at: datetime | None = None
    is_encrypting: bool = False
    description: str = ""
    tags: str = ""
    fingerprint: str = ""
    items: frozenset[ItemRef] | None = None


class RsaPair(NamedTuple):
    """The keys of an access key that encrypts: the private one as PEM (PKCS #8), the public one as DER."""

    private_key: SecretText
    public_key: bytes


class KeySecrets(NamedTuple):
    """What is kept of an access key's secrets, None where nothing is: its private RSA key (PEM), its client secret."""

    private_key: SecretText | None = None
    client_secret: SecretText | None = None


class AccessKeyChange(NamedTuple):
    """What a change of an access key asks for. Fields that are not named stay as they are.

    `fields` maps names of fields of AccessKeyDraft to new values; `owner` and `is_encrypting` are not among them.
    `is_encrypting` switches the encryption of sensitive values, None leaves it.
    """

    fields: Mapping[str, object] = {}
    is_encrypting: bool | None = None


class AccessKeyView(NamedTuple):
    """An access key as its readers see it: without any secret, and with the name of its owner."""

    key: AccessKey
    owner: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token given out. `auth_epoch` is the user's at that time, `key_epoch` the access key's `token_epoch`.

    `expires_at` is in Unix seconds.
    """

    id: TokenId
    verifier: bytes
    access_key_id: AccessKeyId
    user_id: UserId
    auth_epoch: int
    expires_at: int
    key_epoch: int = 1


class Session:
    """What an access token stands for: the token, its access key and its user as they are now.

    `actor` is the user with that key.
    """

    __slots__ = ("_is_sound", "actor", "key", "token")

    def __init__(self, token: AccessToken, key: AccessKey | None, user: User | None) -> None:
        self.actor = Actor(
            token.user_id,
            token.access_key_id,
            is_admin=user is not None and user.is_admin,
            items=key.items if key is not None else frozenset(),
            is_bounded=key is None or key.is_bounded,
        )
        self.token = token
        self.key = key
        self._is_sound = (
            key is not None
            and key.owner_id == token.user_id
            and key.token_epoch == token.key_epoch
            and user is not None
            and user.is_active
            and user.auth_epoch == token.auth_epoch
        )

    def usable_key(self, now: int) -> AccessKey | None:
        """Return the access key if the token is good at `now` (Unix seconds), else None.

        A token from the future is not: the clock was wrong when it was made, and it would live too long.
        """
        latest = now + TOKEN_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS
        is_alive = self._is_sound and now < self.token.expires_at <= latest
        return self.key if is_alive and self.key is not None and self.key.is_usable(now) else None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a program presents to the token endpoint."""

    client_id: str
    client_secret: SecretText
