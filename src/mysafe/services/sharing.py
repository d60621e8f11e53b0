# SPDX-License-Identifier: Apache-2.0
"""From names to shares and back (contract 9, rules 1 to 7)."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from mysafe.crypto.blind_index import caseless
from mysafe.domain.ids import GroupId, UserId
from mysafe.domain.principals import NO_OWNER, Group
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
    present: Collection[AclEntry] = (),
) -> Resolved:
    """Return the shares asked for.

    Only active users can be named, and the groups that the actor `granted_by` may name. The owner is passed over in
    silence (rule 4). Of several entries for one principal, the last right counts (rule 5). `present` are the shares
    the item has: who may change an item may send back the names of groups that were read.
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
    nameable = NameableGroups(principals, granted_by)
    already = _present_groups(principals, present) if present else {}
    for name, can_edit in groups:
        group = already.get(caseless(name)) if already and name is not None else None
        group = group or (nameable.find(name) if name is not None else None)
        if group is None:
            unshared.append(UnsharedName(PrincipalType.GROUP, name))
        else:
            entry = AclEntry(PrincipalType.GROUP, group.id, can_edit, granted_by, now)
            of_groups[group.id] = entry, NamedShare(group.name, can_edit)
    acl = [entry for entry, _ in of_users.values()] + [entry for entry, _ in of_groups.values()]
    shares = Shares(tuple([share for _, share in of_users.values()]), tuple([share for _, share in of_groups.values()]))
    return Resolved(tuple(acl), shares, tuple(unshared))


class NameableGroups:
    """The groups a user may name in a share (rule 3). It lives as long as one use case.

    The first that bears a name counts: the user's own private group, the system group, then the private group of
    somebody else that lists the user, shows itself and is enabled. If one of the first two is disabled, the name stands
    for nothing: a share must not go to other people because a group was disabled. Nor because somebody gave a group the
    name of another one: of several groups of others that bear a name, none is meant.
    """

    def __init__(self, principals: Principals, actor_id: UserId) -> None:
        self._principals = principals
        self._actor_id = actor_id
        self._of_others: dict[str, Group] | None = None

    def find(self, name: str) -> Group | None:
        """Return the enabled group that the user means by a name, or None."""
        group = self._principals.private_group_by_name(self._actor_id, name) or self._principals.group_by_name(name)
        if group is None:
            group = self._shown_by_others().get(caseless(name))
        return group if group is not None and group.is_enabled else None

    def all(self) -> list[Group]:
        """Return every group that `find` can return, ascending by id."""
        found = _by_name(self._principals.groups_of_owner(self._actor_id))
        for more in (_by_name(self._principals.groups_of_owner(NO_OWNER)), self._shown_by_others()):
            found = {**more, **found}
        return sorted((group for group in found.values() if group.is_enabled), key=lambda group: group.id)

    def _shown_by_others(self) -> dict[str, Group]:
        if self._of_others is None:
            shown = visible_groups(self._principals, self._actor_id)
            of_others = [group for group in shown if group.is_enabled and group.owner_id != self._actor_id]
            bearers = Counter(caseless(group.name) for group in of_others)
            self._of_others = _by_name(group for group in of_others if bearers[caseless(group.name)] == 1)
        return self._of_others


def visible_groups(principals: Principals, actor_id: UserId) -> list[Group]:
    """Return the private groups a user may see, disabled ones included, ascending by id."""
    found = {group.id: group for group in principals.groups_of_owner(actor_id)}
    found.update((group.id, group) for group in principals.groups_with(actor_id) if group.shows_itself_to(actor_id))
    return [found[group_id] for group_id in sorted(found) if found[group_id].is_private]


def _by_name(groups: Iterable[Group]) -> dict[str, Group]:
    """Return groups by the form of their names that comparisons use; the first of equal ones stays."""
    found: dict[str, Group] = {}
    for group in groups:
        found.setdefault(caseless(group.name), group)
    return found


def _present_groups(principals: Principals, present: Iterable[AclEntry]) -> dict[str, Group]:
    ids = [GroupId(entry.principal_id) for entry in present if entry.principal_type is PrincipalType.GROUP]
    groups = [group for group in map(principals.group, ids) if group is not None]
    return _by_name(group for group in groups if group.is_enabled)


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
