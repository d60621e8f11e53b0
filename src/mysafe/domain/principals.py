# SPDX-License-Identifier: Apache-2.0
"""Users and groups: who can own items and receive shares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

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


class Joined(NamedTuple):
    """How a user became a member: who added them (0 is the operator), and when (Unix seconds, 0 is unknown)."""

    added_by: UserId
    added_at: int


NO_OWNER = UserId(0)
"""The owner of what is administered centrally."""


@dataclass(frozen=True, slots=True)
class Group:
    """Users who receive shares together (product features, section 2).

    A system group is administered centrally and may be named by everybody. A private group belongs to an ordinary
    user, who alone changes it; other members see it if `are_members_visible`. Its owner is a member only if added.
    `owner_id` is 0 for a system group. Members are in the order of their ids.
    """

    id: GroupId
    version: int
    name: str
    is_enabled: bool
    members: Mapping[UserId, Joined]
    created_at: int
    owner_id: UserId = NO_OWNER
    description: str = ""
    are_members_visible: bool = False

    @property
    def is_private(self) -> bool:
        """Whether it belongs to a user."""
        return self.owner_id > 0

    def shows_itself_to(self, user_id: UserId) -> bool:
        """Return whether a user may see a private group: its owner, and its members when it lets them."""
        return self.owner_id == user_id or (self.are_members_visible and user_id in self.members)


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
