# SPDX-License-Identifier: Apache-2.0
"""The policy, written by hand from the contract (1.7, 2.6, 9 rules 3 to 7), not from the code."""

import pytest

from mysafe.authz.decide import (
    ADMINISTRATOR_ACTIONS,
    NEEDED_RIGHT,
    OPERATOR_ACTIONS,
    USER_ACTIONS,
    Decision,
    Right,
    decide,
    decide_on_item,
    right_on,
)
from mysafe.domain.actions import Action
from mysafe.domain.ids import AccessKeyId, UserId
from mysafe.domain.items import ItemMeta
from mysafe.domain.principals import NOBODY, OPERATOR, Actor
from mysafe.domain.sharing import AclEntry, PrincipalType

OWNER, VIEWER, EDITOR, BY_VIEW_GROUP, BY_EDIT_GROUP, TWICE, STRANGER = (
    Actor(UserId(n), AccessKeyId(1)) for n in range(1, 8)
)
VIEW_GROUP, EDIT_GROUP, OTHER_GROUP = 101, 102, 103


def entry(kind: PrincipalType, principal_id: int, *, can_edit: bool) -> AclEntry:
    return AclEntry(kind, principal_id, can_edit, granted_by=1, granted_at=0)


ACL = (
    entry(PrincipalType.USER, VIEWER.user_id, can_edit=False),
    entry(PrincipalType.USER, EDITOR.user_id, can_edit=True),
    entry(PrincipalType.USER, TWICE.user_id, can_edit=False),
    entry(PrincipalType.GROUP, VIEW_GROUP, can_edit=False),
    entry(PrincipalType.GROUP, EDIT_GROUP, can_edit=True),
)
META = ItemMeta("n", "", "u", "", ACL, True, OWNER.user_id, OWNER.user_id, 0, 0)

# actor, groups it is an enabled member of, and what it may do with META
READ, CHANGE = "read and list", "update, activate and deactivate"
POLICY = [
    ("owner", OWNER, set(), {READ, CHANGE}),
    ("owner who is in no group", OWNER, {OTHER_GROUP}, {READ, CHANGE}),
    ("user shared with for viewing", VIEWER, set(), {READ}),
    ("user shared with for editing", EDITOR, set(), {READ, CHANGE}),
    ("member of a viewing group", BY_VIEW_GROUP, {VIEW_GROUP}, {READ}),
    ("member of an editing group", BY_EDIT_GROUP, {EDIT_GROUP}, {READ, CHANGE}),
    ("viewer who is in the editing group: the higher right counts", TWICE, {EDIT_GROUP}, {READ, CHANGE}),
    ("viewer who is in the viewing group", TWICE, {VIEW_GROUP}, {READ}),
    ("editor who is in the viewing group", EDITOR, {VIEW_GROUP}, {READ, CHANGE}),
    ("former member of the editing group", BY_EDIT_GROUP, set(), set()),
    ("stranger", STRANGER, set(), set()),
    ("member of a group that is not shared with", STRANGER, {OTHER_GROUP}, set()),
    ("a user whose id equals a shared group's id", Actor(UserId(EDIT_GROUP), AccessKeyId(1)), set(), set()),
    ("nobody", NOBODY, set(), set()),
    ("the local operator", OPERATOR, set(), set()),
    ("the local operator, even with groups", OPERATOR, {EDIT_GROUP}, set()),
]
ACTIONS = {
    READ: {Action.ITEM_READ, Action.ITEM_LIST},
    CHANGE: {Action.ITEM_UPDATE, Action.ITEM_ACTIVATE, Action.ITEM_DEACTIVATE},
}


def disagreements(decide_one: object = decide_on_item) -> list[str]:
    wrong = []
    for who, actor, groups, allowed in POLICY:
        for group, actions in ACTIONS.items():
            for action in actions:
                answer: Decision = decide_one(actor, action, META, groups)  # type: ignore[operator]
                if answer.is_allowed != (group in allowed):
                    wrong.append(f"{who}: {action}")
    return wrong


def test_the_policy_on_items_is_the_table() -> None:
    assert len(POLICY) == 16
    assert disagreements() == []


def test_a_policy_that_lets_viewers_edit_does_not_pass_the_table() -> None:
    def lenient(actor: Actor, action: Action, meta: ItemMeta, groups: set[int]) -> Decision:
        return Decision(right_on(actor, meta, groups) >= Right.VIEW)

    assert disagreements(lenient)


def test_a_refusal_says_why_and_an_approval_says_nothing() -> None:
    assert decide_on_item(VIEWER, Action.ITEM_DEACTIVATE, META, set()).reason == "has view, needs edit"
    assert decide_on_item(OWNER, Action.ITEM_DEACTIVATE, META, set()).reason == ""


@pytest.mark.parametrize("action", sorted(set(Action) - set(NEEDED_RIGHT)))
def test_an_action_that_is_not_one_on_items_is_denied_even_to_the_owner(action: Action) -> None:
    assert not decide_on_item(OWNER, action, META, set()).is_allowed


OPERATION = {
    Action.USER_CREATE, Action.USER_UPDATE, Action.GROUP_CREATE, Action.ACCESS_KEY_CREATE,
    Action.ACCESS_KEY_UPDATE, Action.ACCESS_KEY_REVEAL, Action.AUDIT_READ, Action.VAULT_CREATE,
}  # fmt: skip
EVERYDAY = {
    Action.ITEM_CREATE,
    Action.ITEM_LIST,
    Action.TOKEN_ISSUE,
    Action.ACCOUNT_READ,
    Action.DESCRIPTION_READ,
}
ADMINISTRATION: set[Action] = set()
ADMINISTRATOR = Actor(UserId(1), AccessKeyId(7), is_admin=True)


@pytest.mark.parametrize("action", sorted(Action))
def test_outside_items_users_do_everyday_things_and_the_operator_administers(action: Action) -> None:
    assert decide(OWNER, action).is_allowed == (action in EVERYDAY)
    assert decide(ADMINISTRATOR, action).is_allowed == (action in EVERYDAY | ADMINISTRATION)
    assert decide(OPERATOR, action).is_allowed == (action in OPERATION)
    assert not decide(NOBODY, action).is_allowed


def test_every_action_has_a_place_in_the_policy() -> None:
    assert set(NEEDED_RIGHT) | USER_ACTIONS | ADMINISTRATOR_ACTIONS | OPERATOR_ACTIONS == set(Action)
