# SPDX-License-Identifier: Apache-2.0
"""Who may do what. The whole policy for items and administration is on this page.

An owner has every right. A share gives its user, or the members of its group, the right to view, or to edit.
The highest right counts (contract 9, rule 6). The local operator administers and never touches content.
What the tables do not name is denied.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.domain.items import ItemMeta
from mysafe.domain.principals import Actor
from mysafe.domain.sharing import PrincipalType


class Right(IntEnum):
    """What a user may do with an item, lowest first."""

    NONE = 0
    VIEW = 1
    EDIT = 2
    OWN = 3


class Decision(NamedTuple):
    """The answer. `reason` is for the audit log; it is "" when allowed."""

    is_allowed: bool
    reason: str = ""


ALLOWED = Decision(is_allowed=True)

NEEDED_RIGHT = {
    Action.ITEM_READ: Right.VIEW,
    Action.ITEM_LIST: Right.VIEW,
    Action.ITEM_DOWNLOAD: Right.VIEW,
    Action.ITEM_UPDATE: Right.EDIT,
    Action.ITEM_UPLOAD: Right.EDIT,
    Action.ITEM_ACTIVATE: Right.EDIT,
    Action.ITEM_DEACTIVATE: Right.EDIT,
}
"""The least right on an item that each action on an item needs (contract 1.7)."""

USER_ACTIONS = frozenset({Action.ITEM_CREATE, Action.ITEM_LIST, Action.TOKEN_ISSUE})
"""What every authenticated user may do without a right on an item."""

OPERATOR_ACTIONS = frozenset(
    {
        Action.USER_CREATE,
        Action.USER_UPDATE,
        Action.GROUP_CREATE,
        Action.ACCESS_KEY_CREATE,
        Action.ACCESS_KEY_UPDATE,
        Action.ACCESS_KEY_REVEAL,
        Action.AUDIT_READ,
        Action.VAULT_CREATE,
    }
)
"""What the local operator may do."""


def right_on(actor: Actor, meta: ItemMeta, groups: Collection[int]) -> Right:
    """Return the highest right of `actor` on an item.

    Args:
        actor: a user; the operator and nobody have no right on any item.
        meta: the sealed meta of the item; index tables are not asked.
        groups: the enabled groups the actor is a member of, as far as the item names them.
    """
    if actor.is_operator or actor.user_id <= 0:
        return Right.NONE
    if actor.user_id == meta.owner_id:
        return Right.OWN
    right = Right.NONE
    for entry in meta.acl:
        holders = groups if entry.principal_type is PrincipalType.GROUP else (actor.user_id,)
        if entry.principal_id in holders:
            right = max(right, Right.EDIT if entry.can_edit else Right.VIEW)
    return right


def decide_on_item(actor: Actor, action: Action, meta: ItemMeta, groups: Collection[int]) -> Decision:
    """Return whether `actor` may do `action` to an existing item. Arguments as for `right_on`."""
    needed = NEEDED_RIGHT.get(action)
    if needed is None:
        return Decision(is_allowed=False, reason=f"{action} is not an action on an item")
    right = right_on(actor, meta, groups)
    if right < needed:
        return Decision(is_allowed=False, reason=f"has {right.name.lower()}, needs {needed.name.lower()}")
    return ALLOWED


def decide(actor: Actor, action: Action) -> Decision:
    """Return whether `actor` may do `action` where no existing item is concerned."""
    if actor.is_operator:
        may = action in OPERATOR_ACTIONS
    else:
        may = actor.user_id > 0 and action in USER_ACTIONS
    return ALLOWED if may else Decision(is_allowed=False, reason=f"may not {action}")
