# SPDX-License-Identifier: Apache-2.0
"""The use cases of groups: those administered centrally, and the private ones of ordinary users.

Both are one implementation. A `Family` names the actions of one of them; the policy knows who may do those.
A group is never removed, since shares and the audit log name it: it is disabled.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.domain.errors import AccessDenied, InvalidField, NotFound, TooLong, UnknownMember, VersionMismatch
from mysafe.domain.ids import LARGEST_ID, GroupId, UserId
from mysafe.domain.principals import NO_OWNER, Group, Joined, User
from mysafe.services.accounts.users import check_line, check_name
from mysafe.services.principals import Principals
from mysafe.services.sharing import visible_groups
from mysafe.services.unit_of_work import UnitOfWork

LONGEST_DESCRIPTION = 1000
"""Most characters of a description."""

MOST_MEMBERS = 5000
"""Most members of a group."""

MOST_NAMES = 100
"""Most user names in one request."""


class Family(NamedTuple):
    """The actions on one family of groups."""

    is_private: bool
    create: Action
    list: Action
    read: Action
    update: Action
    enable: Action
    disable: Action
    add_member: Action
    remove_member: Action


SYSTEM = Family(
    False,  # noqa: FBT003  # the one word in a table of actions
    Action.GROUP_CREATE,
    Action.GROUP_LIST,
    Action.GROUP_READ,
    Action.GROUP_UPDATE,
    Action.GROUP_ENABLE,
    Action.GROUP_DISABLE,
    Action.GROUP_ADD_MEMBER,
    Action.GROUP_REMOVE_MEMBER,
)
PRIVATE = Family(
    True,  # noqa: FBT003
    Action.PRIVATE_GROUP_CREATE,
    Action.PRIVATE_GROUP_LIST,
    Action.PRIVATE_GROUP_READ,
    Action.PRIVATE_GROUP_UPDATE,
    Action.PRIVATE_GROUP_ENABLE,
    Action.PRIVATE_GROUP_DISABLE,
    Action.PRIVATE_GROUP_ADD_MEMBER,
    Action.PRIVATE_GROUP_REMOVE_MEMBER,
)


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """A group that is not stored yet. `members` are user names."""

    name: str
    description: str = ""
    are_members_visible: bool = False
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What to change about a group; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    are_members_visible: bool | None = None


class Member(NamedTuple):
    """A member as shown: the user, and who added them; None where that is the operator, or no longer known."""

    user: User
    added_by: User | None
    added_at: int


class GroupView(NamedTuple):
    """A group with the names that belong to it. `owner` is None for a system group."""

    group: Group
    owner: User | None
    members: tuple[Member, ...]


def add(uow: UnitOfWork, name: str, members: Sequence[str]) -> Group:
    """Store a new enabled system group with these user names. Raises as `create`."""
    return create(uow, SYSTEM, GroupDraft(name, members=tuple(members))).group


def create(uow: UnitOfWork, family: Family, draft: GroupDraft) -> GroupView:
    """Store a new enabled group; a private one belongs to the actor, who is a member only if named.

    Raises:
        Conflict: the owner has a group of that name; for a system group, there is one.
        InvalidInput, UnknownMember: a text cannot be stored, or a name is not that of an active user.
        AccessDenied: also when an administrator is to be a member of their own system group.
    """
    group = Group(
        GroupId(0),
        0,
        draft.name,
        is_enabled=True,
        members=_joined(uow, _users(uow.principals, draft.members)),
        created_at=0,
        owner_id=uow.actor.user_id if family.is_private else NO_OWNER,
        description=draft.description,
        are_members_visible=draft.are_members_visible,
    )
    _check(group)
    _check_not_oneself(uow, group, group.members)
    return view(uow.principals, uow.registry.add_group(group, family.create))


def list_groups(uow: UnitOfWork, family: Family) -> list[GroupView]:
    """Return the system groups, or the private groups the actor may see, ascending by id; without their members."""
    uow.registry.permit(family.list)
    principals = uow.principals
    found = visible_groups(principals, uow.actor.user_id) if family.is_private else principals.groups_of_owner(NO_OWNER)
    return [GroupView(group, principals.user(group.owner_id), ()) for group in found]


def read(uow: UnitOfWork, family: Family, group_id: int) -> GroupView:
    """Return a group with its members. Raises NotFound."""
    group = _required(uow, family, family.read, group_id)
    return view(uow.principals, uow.registry.keep_group(group, family.read))


def change(
    uow: UnitOfWork,
    family: Family,
    group_id: int,
    wanted: GroupChange,
    expected_versions: frozenset[int] | None = None,
) -> GroupView:
    """Change what `wanted` names; nothing new makes no new version.

    Raises:
        NotFound, AccessDenied: there is no such group to be seen, or it may not be changed.
        VersionMismatch: it is at none of the expected versions.
        Conflict, InvalidInput: as for `create`.
    """
    group = _required(uow, family, family.update, group_id)
    if expected_versions is not None and group.version not in expected_versions:
        raise VersionMismatch
    after = replace(
        group,
        name=group.name if wanted.name is None else wanted.name,
        description=group.description if wanted.description is None else wanted.description,
        are_members_visible=(
            group.are_members_visible if wanted.are_members_visible is None else wanted.are_members_visible
        ),
    )
    _check(after)
    return _stored(uow, group, after, family.update)


def set_enabled(uow: UnitOfWork, family: Family, group_id: int, *, is_enabled: bool) -> GroupView:
    """Enable or disable a group. What is shared with a disabled group is shared with nobody. Raises as `change`."""
    action = family.enable if is_enabled else family.disable
    group = _required(uow, family, action, group_id)
    return _stored(uow, group, replace(group, is_enabled=is_enabled), action)


def add_members(uow: UnitOfWork, family: Family, group_id: int, usernames: Sequence[str]) -> GroupView:
    """Add active users to a group; who is a member already stays as added before. Raises as `create` and `change`."""
    group = _required(uow, family, family.add_member, group_id)
    new = _joined(uow, _users(uow.principals, usernames))
    _check_not_oneself(uow, group, new)
    after = replace(group, members={**new, **group.members})
    _check(after)
    return _stored(uow, group, after, family.add_member, usernames)


def _check_not_oneself(uow: UnitOfWork, group: Group, new: Collection[UserId]) -> None:
    """Return if no administrator lets themselves in on what others share with a system group (R-AZ-07)."""
    if not group.is_private and uow.actor.user_id in new:
        raise AccessDenied("an administrator cannot add themselves to a system group")


def remove_members(uow: UnitOfWork, family: Family, group_id: int, usernames: Sequence[str]) -> GroupView:
    """Remove members from a group, disabled users included. Raises UnknownMember, and as `change`."""
    group = _required(uow, family, family.remove_member, group_id)
    _check_count(usernames)
    leaving = set()
    for number, username in enumerate(usernames):
        user = uow.principals.user_by_name(username)
        if user is None or user.id not in group.members:
            raise UnknownMember(f"member {username}", f"usernames[{number}]")
        leaving.add(user.id)
    members = {user_id: joined for user_id, joined in group.members.items() if user_id not in leaving}
    return _stored(uow, group, replace(group, members=members), family.remove_member, usernames)


def system_group_id(uow: UnitOfWork, name: str) -> GroupId:
    """Return the id of a system group by name, for the command line. Raises NotFound."""
    group = uow.principals.group_by_name(name)
    if group is None:
        raise NotFound("group")
    return group.id


def view(principals: Principals, group: Group) -> GroupView:
    """Return a group with the names that belong to it; a member who no longer exists is left out."""
    members = []
    for user_id, (added_by, added_at) in group.members.items():
        user = principals.user(user_id)
        if user is not None:
            members.append(Member(user, principals.user(added_by), added_at))
    return GroupView(group, principals.user(group.owner_id), tuple(members))


def _required(uow: UnitOfWork, family: Family, action: Action, group_id: int) -> Group:
    group = uow.principals.group(GroupId(group_id)) if group_id <= LARGEST_ID else None
    return uow.registry.require_group(action, family.read, group_id, group)


def _stored(uow: UnitOfWork, before: Group, after: Group, action: Action, usernames: Iterable[str] = ()) -> GroupView:
    if after == before:
        return view(uow.principals, uow.registry.keep_group(before, action))
    ordered = replace(after, members=dict(sorted(after.members.items())))
    return view(uow.principals, uow.registry.change_group(before, ordered, action, ", ".join(usernames)))


def _users(principals: Principals, usernames: Sequence[str]) -> list[User]:
    """Return active users by name. Raises UnknownMember, in the same words for unknown and disabled (R-AZ-09)."""
    _check_count(usernames)
    users = []
    for number, username in enumerate(usernames):
        user = principals.user_by_name(username)
        if user is None or not user.is_active:
            raise UnknownMember(f"user {username}", f"usernames[{number}]")
        users.append(user)
    return users


def _joined(uow: UnitOfWork, users: Iterable[User]) -> Mapping[UserId, Joined]:
    joined = Joined(uow.actor.user_id, uow.principals.now)
    return dict.fromkeys(sorted(user.id for user in users), joined)


def _check_count(usernames: Sequence[str]) -> None:
    if len(usernames) > MOST_NAMES:
        raise TooLong("usernames", MOST_NAMES)


def _check(group: Group) -> None:
    check_name("name", group.name)
    check_line("description", group.description.replace("\n", " "), LONGEST_DESCRIPTION)
    if group.are_members_visible and not group.is_private:
        raise InvalidField("are_members_visible")  # who may see a system group is not up to it
    if len(group.members) > MOST_MEMBERS:
        raise TooLong("members", MOST_MEMBERS)
