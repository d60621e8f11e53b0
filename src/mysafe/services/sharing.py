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
    unshared: list[UnsharedName] = []
    acl: dict[tuple[PrincipalType, int], AclEntry] = {}
    names: dict[tuple[PrincipalType, int], str] = {}
    for kind, requests in ((PrincipalType.USER, users), (PrincipalType.GROUP, groups)):
        for request in requests:
            found = _find(principals, kind, request.name)
            if found is None:
                unshared.append(UnsharedName(kind, request.name))
            elif (kind, found[0]) != (PrincipalType.USER, owner_id):
                acl[kind, found[0]] = AclEntry(kind, found[0], request.can_edit, granted_by, principals.now)
                names[kind, found[0]] = found[1]
    shares = Shares(
        tuple(NamedShare(names[key], entry.can_edit) for key, entry in acl.items() if key[0] is PrincipalType.USER),
        tuple(NamedShare(names[key], entry.can_edit) for key, entry in acl.items() if key[0] is PrincipalType.GROUP),
    )
    return Resolved(tuple(acl.values()), shares, tuple(unshared))


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


def _find(principals: Principals, kind: PrincipalType, name: str | None) -> tuple[int, str] | None:
    if name is None:
        return None
    if kind is PrincipalType.USER:
        user = principals.user_by_name(name)
        return (user.id, user.username) if user and user.is_active else None
    group = principals.group_by_name(name)
    return (group.id, group.name) if group and group.is_enabled else None


def _name_of(principals: Principals, entry: AclEntry) -> str | None:
    if entry.principal_type is PrincipalType.USER:
        user = principals.user(UserId(entry.principal_id))
        return user.username if user else None
    group = principals.group(GroupId(entry.principal_id))
    return group.name if group else None
