# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/groups` for administrators, `/api/manage/private-groups` for everybody's own: the same handlers."""

from collections.abc import Callable
from functools import partial
from typing import Any

from mysafe.domain.actions import Action
from mysafe.domain.principals import Group
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.call import About, Answer, Call, Operation, Step
from mysafe.server.api.conditions import expected_versions, tag
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.paging import PAGE, Page, read_page
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.services.accounts import groups
from mysafe.services.accounts.groups import PRIVATE, SYSTEM, Family, GroupView


class MemberAnswer(bodies.Model, frozen=True):
    """A member of a group, who added them and when; null where that is the operator, or was not noted."""

    username: str
    name: str
    email: str
    added_by: str | None
    added_at: str | None


class GroupLine(bodies.Model, frozen=True):
    """A group without its members.

    `kind` is "system" or "private", `status` "enabled" or "disabled"; `owner` is the user name of a private group's
    owner. `are_members_visible` says whether members may view a private group.
    """

    id: str
    name: str
    kind: str
    owner: str | None
    status: str
    description: str
    are_members_visible: bool
    member_count: int
    created_at: str


class GroupAnswer(GroupLine, frozen=True):
    """A group with its members."""

    members: tuple[MemberAnswer, ...]


class GroupList(bodies.Model, frozen=True):
    """A page of groups, ascending by id. `next` is the `after` of the next page, null on the last one."""

    groups: tuple[GroupLine, ...]
    next: str | None


class NewGroup(bodies.Model, frozen=True):
    """A group to add. The owner of a private group is a member only if `usernames` has them, too."""

    name: str
    description: str = ""
    are_members_visible: bool = False
    usernames: tuple[str, ...] = ()


class ChangedGroup(bodies.Model, frozen=True):
    """What to change about a group; what is absent or null stays."""

    name: str | None = None
    description: str | None = None
    are_members_visible: bool | None = None


class Usernames(bodies.Model, frozen=True):
    """Who joins or leaves a group: at most 100 user names."""

    usernames: tuple[str, ...]


def list_all(family: Family, call: Call) -> Step:
    """GET /api/manage/groups, /api/manage/private-groups."""
    page = read_page(call.query(*PAGE))
    return Step(partial(groups.list_groups, family=family), partial(_listed, page), is_look=True)


def create(family: Family, call: Call) -> Step:
    """POST /api/manage/groups, /api/manage/private-groups."""
    body = bodies.read(call, NewGroup)
    draft = groups.GroupDraft(body.name, body.description, body.are_members_visible, body.usernames)
    return Step(partial(groups.create, family=family, draft=draft), partial(_one, status=201))


def read(family: Family, call: Call) -> Step:
    """GET /api/manage/groups/{identifier}."""
    return Step(partial(groups.read, family=family, group_id=parse_identifier(call.identifier)), _one, is_look=True)


def change(family: Family, call: Call) -> Step:
    """PATCH /api/manage/groups/{identifier}; `If-Match` is honoured."""
    body = bodies.read(call, ChangedGroup)
    wanted = groups.GroupChange(body.name, body.description, body.are_members_visible)
    work = partial(groups.change, family=family, group_id=parse_identifier(call.identifier), wanted=wanted)
    return Step(partial(work, expected_versions=expected_versions(call)), _one)


def disable(family: Family, call: Call) -> Step:
    """POST /api/manage/groups/{identifier}/disable."""
    group_id = parse_identifier(call.identifier)
    return Step(partial(groups.set_enabled, family=family, group_id=group_id, is_enabled=False), _one)


def enable(family: Family, call: Call) -> Step:
    """POST /api/manage/groups/{identifier}/enable."""
    group_id = parse_identifier(call.identifier)
    return Step(partial(groups.set_enabled, family=family, group_id=group_id, is_enabled=True), _one)


def add_members(family: Family, call: Call) -> Step:
    """POST /api/manage/groups/{identifier}/members/add."""
    names = bodies.read(call, Usernames).usernames
    group_id = parse_identifier(call.identifier)
    return Step(partial(groups.add_members, family=family, group_id=group_id, usernames=names), _one)


def remove_members(family: Family, call: Call) -> Step:
    """POST /api/manage/groups/{identifier}/members/remove."""
    names = bodies.read(call, Usernames).usernames
    group_id = parse_identifier(call.identifier)
    return Step(partial(groups.remove_members, family=family, group_id=group_id, usernames=names), _one)


def _listed(page: Page, found: list[GroupView]) -> Answer:
    following = [one for one in found if one.group.id > page.after]
    shown = following[: page.limit]
    after = str(shown[-1].group.id) if len(following) > len(shown) else None
    return bodies.answer(GroupList(groups=tuple(GroupLine(**_fields(one)) for one in shown), next=after))


def _one(view: GroupView, status: int = 200) -> Answer:
    members = tuple(
        MemberAnswer(
            username=user.username,
            name=user.name,
            email=user.email,
            added_by=added_by.username if added_by else None,
            added_at=bodies.moment(added_at) if added_at else None,
        )
        for user, added_by, added_at in view.members
    )
    return bodies.answer(GroupAnswer(**_fields(view), members=members), status, (tag(view.group.version),))


def _fields(view: GroupView) -> dict[str, Any]:
    group: Group = view.group
    return {
        "id": str(group.id),
        "name": group.name,
        "kind": "private" if group.is_private else "system",
        "owner": view.owner.username if view.owner else None,
        "status": "enabled" if group.is_enabled else "disabled",
        "description": group.description,
        "are_members_visible": group.are_members_visible,
        "member_count": len(group.members),
        "created_at": bodies.moment(group.created_at),
    }


def _operations(family: Family, path: str, word: str) -> tuple[Operation, ...]:
    def operation(
        method: str, end: str, action: Action, handler: Callable[[Family, Call], Step], about: About
    ) -> Operation:
        return Operation(method, path + end, action, partial(handler, family), door=PROBLEMS, about=about)

    one, members = "/{identifier}", "/{identifier}/members"
    return (
        operation("GET", "", family.list, list_all, About(f"List {word}s, in pages", response=GroupList, query=PAGE)),
        operation("POST", "", family.create, create, About(f"Add a {word}", NewGroup, GroupAnswer, 201)),
        operation("GET", one, family.read, read, About(f"Show a {word} with its members", response=GroupAnswer)),
        operation("PATCH", one, family.update, change, About(f"Change a {word}", ChangedGroup, GroupAnswer)),
        operation("POST", f"{one}/disable", family.disable, disable, About(f"Disable a {word}", response=GroupAnswer)),
        operation("POST", f"{one}/enable", family.enable, enable, About(f"Enable a {word}", response=GroupAnswer)),
        operation(
            "POST",
            f"{members}/add",
            family.add_member,
            add_members,
            About(f"Add members to a {word}", Usernames, GroupAnswer),
        ),
        operation(
            "POST",
            f"{members}/remove",
            family.remove_member,
            remove_members,
            About(f"Remove members from a {word}", Usernames, GroupAnswer),
        ),
    )


OPERATIONS = (
    *_operations(SYSTEM, "/api/manage/groups", "group"),
    *_operations(PRIVATE, "/api/manage/private-groups", "private group"),
)
