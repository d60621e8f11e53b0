# SPDX-License-Identifier: Apache-2.0
"""From names to shares and back (contract 9, rules 1 to 7)."""

from collections.abc import Iterable
from typing import NamedTuple

from mysafe.domain.ids import GroupId, UserId
from mysafe.domain.sharing import AclEntry, NamedShare, PrincipalType, ShareRequest, Shares, UnsharedName
from mysafe.services.principals import Principals


class Resolved(NamedTuple):
    """What a list of names came to: entries to seal, shares to show, and names that nobody can share with."""

    acl: tuple[AclEntry, ...]
    shares: Shares
    unshared: tuple[UnsharedName, ...]


def resolve(
    principals: Principals,
    owner_id: UserId,
    granted_by: UserId,
    users: Iterable[ShareRequest],
    groups: Iterable[ShareRequest],
) -> Resolved:
    """Return the shares asked for.

    Only active users and enabled groups can be named. The owner is passed over in silence (rule 4).
    Of several entries for one principal, the last right counts (rule 5).
    """
    now = principals.now
    unshared: list[UnsharedName] = []
    of_users: dict[int, tuple[AclEntry, NamedShare]] = {}
    for name, can_edit in users:
        user = principals.user_by_name(name) if name is not None else None
        if user is None or not user.is_active:
            unshared.append(UnsharedName(PrincipalType.USER, name))
        elif user.id != owner_id:
            entry = AclEntry(PrincipalType.USER, user.id, can_edit, granted_by, now)
            of_users[user.id] = entry, NamedShare(user.username, can_edit)
    of_groups: dict[int, tuple[AclEntry, NamedShare]] = {}
    for name, can_edit in groups:
        group = principals.group_by_name(name) if name is not None else None
        if group is None or not group.is_enabled:
            unshared.append(UnsharedName(PrincipalType.GROUP, name))
        else:
            entry = AclEntry(PrincipalType.GROUP, group.id, can_edit, granted_by, now)
            of_groups[group.id] = entry, NamedShare(group.name, can_edit)
    acl = [entry for entry, _ in of_users.values()] + [entry for entry, _ in of_groups.values()]
    shares = Shares(tuple([share for _, share in of_users.values()]), tuple([share for _, share in of_groups.values()]))
    return Resolved(tuple(acl), shares, tuple(unshared))


def reshare(
    old: Iterable[AclEntry], new: Iterable[AclEntry], *, are_users_kept: bool, are_groups_kept: bool
) -> tuple[AclEntry, ...]:
    """Return the shares after an update that replaces those of users, of groups, or both.

    A share that stays with the same right keeps who gave it, and when.
    """
    before = {(entry.principal_type, entry.principal_id): entry for entry in old}
    kept = [
        entry
        for entry in before.values()
        if (are_users_kept if entry.principal_type is PrincipalType.USER else are_groups_kept)
    ]
    given = []
    for entry in new:
        known = before.get((entry.principal_type, entry.principal_id))
        given.append(known if known is not None and known.can_edit == entry.can_edit else entry)
    return tuple(sorted(kept + given, key=lambda entry: entry.principal_type))


def with_added(old: Iterable[AclEntry], new: Iterable[AclEntry]) -> tuple[AclEntry, ...]:
    """Return the shares after others are added. For one that was there the new right counts."""
    entries = {(entry.principal_type, entry.principal_id): entry for entry in (*old, *new)}
    return tuple(sorted(entries.values(), key=lambda entry: entry.principal_type))


def shares_of(principals: Principals, acl: Iterable[AclEntry]) -> Shares:
    """Return the shares of an item by name; a principal that no longer exists is left out."""
    users: list[NamedShare] = []
    groups: list[NamedShare] = []
    for entry in acl:
        name = _name_of(principals, entry)
        if name is not None:
            shown = users if entry.principal_type is PrincipalType.USER else groups
            shown.append(NamedShare(name, entry.can_edit))
    return Shares(tuple(users), tuple(groups))


def _name_of(principals: Principals, entry: AclEntry) -> str | None:
    if entry.principal_type is PrincipalType.USER:
        user = principals.user(UserId(entry.principal_id))
        return user.username if user else None
    group = principals.group(GroupId(entry.principal_id))
    return group.name if group else None
