# SPDX-License-Identifier: Apache-2.0
"""The commands `mysafe group ...`: system groups. A private group is its owner's business (R-AZ-08)."""

import json
from collections.abc import Callable
from functools import partial

from mysafe.cli.local_vault import operate
from mysafe.cli.terminal import Command, Options, line, moment
from mysafe.config import Loaded
from mysafe.domain.ids import GroupId
from mysafe.services.accounts import groups
from mysafe.services.accounts.groups import SYSTEM, GroupChange, GroupDraft, GroupView, Member
from mysafe.services.unit_of_work import UnitOfWork


def _add(options: Options, loaded: Loaded) -> int:
    draft = GroupDraft(options.name, options.description, members=tuple(options.member))
    view = operate(loaded, partial(groups.create, family=SYSTEM, draft=draft))
    print(f"added the group {view.group.name}")
    return 0


def _list(options: Options, loaded: Loaded) -> int:
    for view in operate(loaded, partial(groups.list_groups, family=SYSTEM)):
        print(json.dumps(_fields(view)) if options.json else _as_line(view))
    return 0


def _show(options: Options, loaded: Loaded) -> int:
    view = _to_the_group(options, loaded, groups.read)
    if options.json:
        print(json.dumps({**_fields(view), "members": [_member_fields(member) for member in view.members]}))
        return 0
    print(_as_line(view))
    for member in view.members:
        fields = _member_fields(member)
        print(
            "  " + line(member.user.username, member.user.name, f"added {fields['added_at'] or 'at an unknown time'}")
        )
    return 0


def _change(options: Options, loaded: Loaded) -> int:
    wanted = GroupChange(options.new_name, options.description)
    view = _to_the_group(options, loaded, partial(groups.change, wanted=wanted))
    print(f"changed the group {view.group.name}")
    return 0


def _set_enabled(options: Options, loaded: Loaded, *, is_enabled: bool) -> int:
    view = _to_the_group(options, loaded, partial(groups.set_enabled, is_enabled=is_enabled))
    print(f"{'enabled' if view.group.is_enabled else 'disabled'} the group {view.group.name}")
    return 0


def _add_members(options: Options, loaded: Loaded) -> int:
    view = _to_the_group(options, loaded, partial(groups.add_members, usernames=options.username))
    print(f"the group {view.group.name} has {len(view.group.members)} members")
    return 0


def _remove_members(options: Options, loaded: Loaded) -> int:
    view = _to_the_group(options, loaded, partial(groups.remove_members, usernames=options.username))
    print(f"the group {view.group.name} has {len(view.group.members)} members")
    return 0


def _to_the_group(options: Options, loaded: Loaded, work: Callable[..., GroupView]) -> GroupView:
    """Run a use case on the system group that the options name."""

    def by_name(uow: UnitOfWork) -> GroupView:
        group_id: GroupId = groups.system_group_id(uow, options.name)
        return work(uow, family=SYSTEM, group_id=group_id)

    return operate(loaded, by_name)


def _as_line(view: GroupView) -> str:
    group = view.group
    return line(
        str(group.id),
        group.name,
        "enabled" if group.is_enabled else "disabled",
        f"members {len(group.members)}",
        f"created {moment(group.created_at)}",
        group.description,
    )


def _fields(view: GroupView) -> dict[str, object]:
    group = view.group
    return {
        "id": str(group.id),
        "name": group.name,
        "status": "enabled" if group.is_enabled else "disabled",
        "description": group.description,
        "member_count": len(group.members),
        "created_at": moment(group.created_at),
    }


def _member_fields(member: Member) -> dict[str, str | None]:
    user, added_by, added_at = member
    return {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "added_by": added_by.username if added_by else None,
        "added_at": moment(added_at) if added_at else None,
    }


COMMANDS: dict[str, Command] = {
    "group add": _add,
    "group list": _list,
    "group show": _show,
    "group change": _change,
    "group enable": partial(_set_enabled, is_enabled=True),
    "group disable": partial(_set_enabled, is_enabled=False),
    "group member add": _add_members,
    "group member remove": _remove_members,
}
