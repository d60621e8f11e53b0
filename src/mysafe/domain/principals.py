# SPDX-License-Identifier: Apache-2.0
"""Users and groups: who can own items and receive shares."""

from dataclasses import dataclass

from mysafe.domain.ids import AccessKeyId, GroupId, ItemRef, UserId
from mysafe.domain.secret_text import SecretText


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. `auth_epoch` rises when every credential of the user must die."""

    id: UserId
    version: int
    username: str
    name: str
    email: str
    is_active: bool
    is_admin: bool
    auth_epoch: int
    created_at: int


@dataclass(frozen=True, slots=True)
class UserDraft:
    """A user that is not stored yet. `password` is None for users without a log-in of their own."""

    username: str
    name: str = ""
    email: str = ""
    is_admin: bool = False
    password: SecretText | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A user group: administered centrally and visible to everybody (contract 9, rule 3)."""

    id: GroupId
    version: int
    name: str
    is_enabled: bool
    members: frozenset[UserId]
    created_at: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is behind a request, and with which credential (the subject of NIST SP 800-162).

    `user_id` and `access_key_id` are 0 where there is none. `is_operator` marks the local command line,
    which may administer but never read an item. `is_admin` marks an administrator, who has no right on items either.
    `items` are the only items the access key reaches, None for all; they grant nothing (R-TOK-10). `is_bounded` marks
    an access key with any limit at all: it may not make or widen another one, which would be free of that limit.
    """

    user_id: UserId
    access_key_id: AccessKeyId
    is_operator: bool = False
    is_admin: bool = False
    items: frozenset[ItemRef] | None = None
    is_bounded: bool = False


NOBODY = Actor(UserId(0), AccessKeyId(0))
"""The actor of a call whose credential names nobody."""

OPERATOR = Actor(UserId(0), AccessKeyId(0), is_operator=True)
"""The actor of a local command: whoever may open the data directory and the root key."""
