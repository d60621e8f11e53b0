# SPDX-License-Identifier: Apache-2.0
"""Access keys and the tokens obtained with them."""

from dataclasses import dataclass
from datetime import datetime

from mysafe.domain.ids import AccessKeyId, TokenId, UserId
from mysafe.domain.principals import Actor, User
from mysafe.domain.secret_text import SecretText

TOKEN_LIFETIME_SECONDS = 3600
"""Lifetime of an access token (contract 2.4)."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An OAuth 2.0 client acting for the user who made it (contract 2.6).

    `addresses` holds canonical CIDR blocks; empty is any address. `referers` empty is any.
    `expires_at` is in Unix seconds, None is until revoked. `secret_verifier` is a keyed hash. `encryption_key` is the
    public RSA key that sensitive values are encrypted with (DER), None if they are sent in the clear.
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

    def is_usable(self, now: int) -> bool:
        """Return whether the key still opens anything at `now` (Unix seconds)."""
        return not self.is_revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class AccessKeyDraft:
    """An access key that is not stored yet."""

    owner: str
    name: str
    addresses: tuple[str, ...] = ()
    referers: tuple[str, ...] = ()
    expires_at: datetime | None = None
    is_encrypting: bool = False


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token given out. `auth_epoch` is the user's at that time; `expires_at` is in Unix seconds."""

    id: TokenId
    verifier: bytes
    access_key_id: AccessKeyId
    user_id: UserId
    auth_epoch: int
    expires_at: int


class Session:
    """What an access token stands for: the token, its access key and its user as they are now.

    `actor` is the user with that key.
    """

    __slots__ = ("_is_sound", "actor", "key", "token")

    def __init__(self, token: AccessToken, key: AccessKey | None, user: User | None) -> None:
        self.actor = Actor(token.user_id, token.access_key_id, is_admin=user is not None and user.is_admin)
        self.token = token
        self.key = key
        self._is_sound = (
            key is not None
            and key.owner_id == token.user_id
            and user is not None
            and user.is_active
            and user.auth_epoch == token.auth_epoch
        )

    def usable_key(self, now: int) -> AccessKey | None:
        """Return the access key if the token is good at `now` (Unix seconds), else None."""
        is_alive = self._is_sound and now < self.token.expires_at
        return self.key if is_alive and self.key is not None and self.key.is_usable(now) else None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a program presents to the token endpoint."""

    client_id: str
    client_secret: SecretText
