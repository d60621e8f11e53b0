# SPDX-License-Identifier: Apache-2.0
"""Who may see or change an item besides its owner."""

from enum import IntEnum
from typing import NamedTuple


class PrincipalType(IntEnum):
    """What a share is given to. The values are stored: never renumber."""

    USER = 1
    GROUP = 2


class AclEntry(NamedTuple):
    """One share, as sealed in an item's meta.

    `principal_id` is a user or group id according to `principal_type`; `granted_at` is in Unix seconds.
    """

    principal_type: PrincipalType
    principal_id: int
    can_edit: bool
    granted_by: int
    granted_at: int


class ShareRequest(NamedTuple):
    """One entry of `users_allowed` or `groups_allowed` as asked for. `name` is None when none was given."""

    name: str | None
    can_edit: bool


class SharingChange(NamedTuple):
    """What is to become of the shares of an item. None leaves those of users, or of groups.

    With `is_added`, the shares are added and all others stay; without, they replace the whole list.
    """

    users: tuple[ShareRequest, ...] | None
    groups: tuple[ShareRequest, ...] | None
    is_added: bool


class NamedShare(NamedTuple):
    """One share as shown: the name of the user or group, and its right."""

    name: str
    can_edit: bool


class Shares(NamedTuple):
    """All shares of an item by name, in the order they were given."""

    users: tuple[NamedShare, ...] = ()
    groups: tuple[NamedShare, ...] = ()


class UnsharedName(NamedTuple):
    """A name that could not be shared with (contract 9, rules 1 and 2). `name` is None when none was given."""

    principal_type: PrincipalType
    name: str | None
