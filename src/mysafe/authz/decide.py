# SPDX-License-Identifier: Apache-2.0
"""Who may do what. The whole policy for items and administration is on this page.

An owner has every right. A share gives its user, or the members of its group, the right to view, or to edit.
The highest right counts (contract 9, rule 6). The local operator administers and never touches content.
An access key that is confined to some items has no right on the others, and administers nothing (R-TOK-10).
What the tables do not name is denied.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple

from mysafe.domain.actions import Action
from mysafe.domain.ids import ItemRef, UserId
from mysafe.domain.items import ItemMeta
from mysafe.domain.principals import Actor, Group
from mysafe.domain.sharing import PrincipalType
from mysafe.domain.transfers import Transfer


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
    Action.ITEM_SHARE: Right.EDIT,
    Action.ITEM_HISTORY: Right.VIEW,
    Action.ITEM_READ_VERSION: Right.VIEW,
    Action.ITEM_RESTORE: Right.EDIT,
    Action.ITEM_PRUNE: Right.EDIT,
    Action.ITEM_ERASE: Right.OWN,
}
"""The least right on an item that each action on an item needs (contract 1.7)."""

GROUP_ACTIONS = frozenset(
    {
        Action.GROUP_READ,
        Action.GROUP_UPDATE,
        Action.GROUP_ENABLE,
        Action.GROUP_DISABLE,
        Action.GROUP_ADD_MEMBER,
        Action.GROUP_REMOVE_MEMBER,
    }
)
"""What can be done to a system group, by those who administer."""

PRIVATE_GROUP_ACTIONS = frozenset(
    {
        Action.PRIVATE_GROUP_READ,
        Action.PRIVATE_GROUP_UPDATE,
        Action.PRIVATE_GROUP_ENABLE,
        Action.PRIVATE_GROUP_DISABLE,
        Action.PRIVATE_GROUP_ADD_MEMBER,
        Action.PRIVATE_GROUP_REMOVE_MEMBER,
    }
)
"""What its owner can do to a private group. Members may read it if it lets them; nobody else anything (R-AZ-08)."""

USER_ACTIONS = PRIVATE_GROUP_ACTIONS | {
    Action.ITEM_CREATE,
    Action.ITEM_LIST,
    Action.ITEM_BATCH,
    Action.TOKEN_ISSUE,
    Action.ACCOUNT_READ,
    Action.ACCOUNT_SECURE,
    Action.DESCRIPTION_READ,
    Action.ACCESS_KEY_LIST,
    Action.PRINCIPAL_LIST,
    Action.PRIVATE_GROUP_CREATE,
    Action.PRIVATE_GROUP_LIST,
    Action.SESSION_BEGIN,
    Action.SESSION_COMPLETE,
    Action.SESSION_PROVE,
    Action.SESSION_LIST,
    Action.SESSION_END,
    Action.FACTOR_ADD,
    Action.FACTOR_CONFIRM,
    Action.FACTOR_REMOVE,
    Action.FACTOR_LIST,
    Action.LINK_USE,
}
"""What every authenticated user may do without a right on an item."""

CONFINED_ACTIONS = frozenset(
    {
        Action.ITEM_CREATE,
        Action.ITEM_LIST,
        Action.ITEM_BATCH,
        Action.TOKEN_ISSUE,
        Action.ACCOUNT_READ,
        Action.DESCRIPTION_READ,
    }
)
"""What is left of these, whoever the user is, for an access key that is confined to some items."""

TRANSFER_ACTIONS = frozenset(
    {
        Action.TRANSFER_REQUEST,
        Action.TRANSFER_APPROVE,
        Action.TRANSFER_FINISH,
        Action.TRANSFER_CANCEL,
        Action.ITEM_TRANSFER,
    }
)
"""What takes two administrators who are people: the local operator is none."""

ADMINISTRATOR_ACTIONS = (
    GROUP_ACTIONS
    | TRANSFER_ACTIONS
    | {
        Action.TRANSFER_LIST,
        Action.ACCESS_KEY_LIST_ALL,
        Action.USER_CREATE,
        Action.USER_LIST,
        Action.USER_READ,
        Action.USER_UPDATE,
        Action.USER_ENABLE,
        Action.USER_DISABLE,
        Action.GROUP_CREATE,
        Action.GROUP_LIST,
        Action.LINK_CREATE,
    }
)
"""What an administrator may do besides what every user may. None of them shows or changes content (R-AZ-07)."""

OPERATOR_ACTIONS = (ADMINISTRATOR_ACTIONS - TRANSFER_ACTIONS) | frozenset(
    {
        Action.USER_RESET,
        Action.AUDIT_READ,
        Action.AUDIT_VERIFY,
        Action.AUDIT_EXPORT,
        Action.AUDIT_ACCEPT_ROLLBACK,
        Action.TRANSFER_LIST,
        Action.VAULT_CREATE,
        Action.VAULT_SEAL,
        Action.VAULT_UNSEAL,
        Action.SLOT_ADD,
        Action.SLOT_REMOVE,
        Action.BACKUP_TAKE,
        Action.BACKUP_RESTORE,
        Action.BACKUP_PROVE,
        Action.KEY_LIST,
        Action.KEY_STAGE,
        Action.KEY_ACTIVATE,
        Action.KEY_REWRAP,
        Action.KEY_DESTROY,
        Action.ROOT_ROTATE,
    }
)
"""What the local operator may do, besides what it may with access keys."""

ACCESS_KEY_ACTIONS = frozenset(
    {
        Action.ACCESS_KEY_CREATE,
        Action.ACCESS_KEY_READ,
        Action.ACCESS_KEY_UPDATE,
        Action.ACCESS_KEY_CLONE,
        Action.ACCESS_KEY_REVOKE,
        Action.ACCESS_KEY_REVEAL,
        Action.ACCESS_KEY_REVEAL_SECRET,
    }
)
"""What a user may do with access keys of their own, and the local operator with all."""

ADMINISTRATOR_KEY_ACTIONS = frozenset({Action.ACCESS_KEY_READ, Action.ACCESS_KEY_REVOKE})
"""What an administrator may do with the access keys of others."""

WIDENING_ACTIONS = frozenset({Action.ACCESS_KEY_CREATE, Action.ACCESS_KEY_UPDATE, Action.ACCESS_KEY_CLONE})
"""What an access key with any limit may not do: the result could be an access key without that limit."""


def right_on(actor: Actor, meta: ItemMeta, groups: Collection[int], ref: ItemRef | None = None) -> Right:
    """Return the highest right of `actor` on an item.

    Args:
        actor: a user; the operator and nobody have no right on any item.
        meta: the sealed meta of the item; index tables are not asked.
        groups: the enabled groups the actor is a member of, as far as the item names them.
        ref: which item it is; None is one that no confined access key reaches.
    """
    if actor.is_operator or actor.user_id <= 0 or (actor.items is not None and ref not in actor.items):
        return Right.NONE
    if actor.user_id == meta.owner_id:
        return Right.OWN
    right = Right.NONE
    for entry in meta.acl:
        holders = groups if entry.principal_type is PrincipalType.GROUP else (actor.user_id,)
        if entry.principal_id in holders:
            right = max(right, Right.EDIT if entry.can_edit else Right.VIEW)
    return right


def decide_on_item(
    actor: Actor, action: Action, meta: ItemMeta, groups: Collection[int], ref: ItemRef | None = None
) -> Decision:
    """Return whether `actor` may do `action` to an existing item. Arguments as for `right_on`."""
    needed = NEEDED_RIGHT.get(action)
    if needed is None:
        return Decision(is_allowed=False, reason=f"{action} is not an action on an item")
    right = right_on(actor, meta, groups, ref)
    if right < needed:
        if actor.items is not None and ref not in actor.items:
            return Decision(is_allowed=False, reason="is not among the items of the access key")
        return Decision(is_allowed=False, reason=f"has {right.name.lower()}, needs {needed.name.lower()}")
    return ALLOWED


def decide_on_access_key(actor: Actor, action: Action, owner_id: UserId) -> Decision:
    """Return whether `actor` may do `action` to an access key of `owner_id`, or make one for them."""
    if actor.is_operator:
        may = action in ACCESS_KEY_ACTIONS
    elif actor.items is not None:
        return Decision(is_allowed=False, reason="the access key is confined to some items")
    elif actor.is_bounded and action in WIDENING_ACTIONS:
        return Decision(is_allowed=False, reason="the access key has limits of its own")
    else:
        is_own = actor.user_id > 0 and actor.user_id == owner_id
        of_others = ADMINISTRATOR_KEY_ACTIONS if actor.is_admin and actor.user_id > 0 else frozenset[Action]()
        may = action in (ACCESS_KEY_ACTIONS if is_own else of_others)
    return ALLOWED if may else Decision(is_allowed=False, reason=f"may not {action} of another user")


def decide(actor: Actor, action: Action) -> Decision:
    """Return whether `actor` may do `action` where neither an existing item nor an access key is concerned."""
    if actor.is_operator:
        may = action in OPERATOR_ACTIONS
    else:
        allowed = USER_ACTIONS | ADMINISTRATOR_ACTIONS if actor.is_admin else USER_ACTIONS
        if actor.items is not None:
            allowed = CONFINED_ACTIONS
        may = actor.user_id > 0 and action in allowed
    return ALLOWED if may else Decision(is_allowed=False, reason=f"may not {action}")


def decide_on_group(actor: Actor, action: Action, group: Group) -> Decision:
    """Return whether `actor` may do `action` to a group, or create it.

    A private group is for its owner alone, but for reading by the members it shows itself to. No action of the one
    kind does anything to the other.
    """
    decision = decide(actor, action)
    if not decision.is_allowed:
        return decision
    of_private = action is Action.PRIVATE_GROUP_CREATE or action in PRIVATE_GROUP_ACTIONS
    if of_private != group.is_private:
        return Decision(is_allowed=False, reason=f"{action} is not for this kind of group")
    if not group.is_private or actor.user_id == group.owner_id:
        return ALLOWED
    if action is Action.PRIVATE_GROUP_READ and group.shows_itself_to(actor.user_id):
        return ALLOWED
    return Decision(is_allowed=False, reason="is not the owner of the group")


def decide_on_transfer(actor: Actor, action: Action, transfer: Transfer) -> Decision:
    """Return whether `actor` may approve or carry out a transfer of items, or give its approval a result.

    It takes two administrators, and neither of them may be who receives the items (R-AZ-07).
    """
    decision = decide(actor, action)
    if decision.is_allowed and actor.user_id in {transfer.requested_by, transfer.to_user}:
        return Decision(is_allowed=False, reason="needs an administrator who neither requested it nor receives items")
    return decision
