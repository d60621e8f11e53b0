# SPDX-License-Identifier: Apache-2.0
"""The policy, written by hand from the contract (1.7, 2.6, 9 rules 3 to 7), not from the code."""

from dataclasses import replace

import pytest

from mysafe.authz.decide import (
    ACCESS_KEY_ACTIONS,
    ADMINISTRATOR_ACTIONS,
    NEEDED_RIGHT,
    OPERATOR_ACTIONS,
    USER_ACTIONS,
    Decision,
    Right,
    decide,
    decide_on_access_key,
    decide_on_group,
    decide_on_item,
    decide_on_transfer,
    right_on,
)
from mysafe.domain.actions import Action
from mysafe.domain.ids import AccessKeyId, GroupId, ItemId, ItemRef, Kind, TransferId, UserId
from mysafe.domain.items import ItemMeta
from mysafe.domain.principals import NOBODY, OPERATOR, Actor, Group, Joined
from mysafe.domain.sharing import AclEntry, PrincipalType
from mysafe.domain.transfers import Transfer, TransferState

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
REF = ItemRef(Kind.PASSWORD, ItemId(7))
META = ItemMeta("n", "", "u", "", ACL, True, OWNER.user_id, OWNER.user_id, 0, 0)

OTHER_REF, TWIN_REF = ItemRef(Kind.PASSWORD, ItemId(8)), ItemRef(Kind.NOTE, ItemId(7))


def confined(actor: Actor, *items: ItemRef) -> Actor:
    return replace(actor, items=frozenset(items), is_bounded=True)


# actor, groups it is an enabled member of, and what it may do with META
READ, CHANGE, OWN = "read, list and look back", "update, restore, share, activate and deactivate", "erase"
POLICY = [
    ("owner", OWNER, set(), {READ, CHANGE, OWN}),
    ("owner who is in no group", OWNER, {OTHER_GROUP}, {READ, CHANGE, OWN}),
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
    ("owner, by a key confined to this and another item", confined(OWNER, REF, OTHER_REF), set(), {READ, CHANGE, OWN}),
    ("owner, by a key confined to another item", confined(OWNER, OTHER_REF), set(), set()),
    ("owner, by a key confined to the same number of another kind", confined(OWNER, TWIN_REF), set(), set()),
    ("owner, by a key confined to nothing", confined(OWNER), set(), set()),
    ("viewer, by a key confined to this item: it grants nothing", confined(VIEWER, REF), set(), {READ}),
    ("editor, by a key confined to another item", confined(EDITOR, OTHER_REF), set(), set()),
    (
        "member of an editing group, by a key confined to this item",
        confined(BY_EDIT_GROUP, REF),
        {EDIT_GROUP},
        {READ, CHANGE},
    ),
    ("stranger, by a key confined to this item", confined(STRANGER, REF), set(), set()),
    ("administrator, by a key confined to this item", replace(confined(STRANGER, REF), is_admin=True), set(), set()),
    (
        "owner, by a key with limits that are not about items",
        replace(OWNER, is_bounded=True),
        set(),
        {READ, CHANGE, OWN},
    ),
    ("nobody", NOBODY, set(), set()),
    ("the local operator", OPERATOR, set(), set()),
    ("the local operator, even with groups", OPERATOR, {EDIT_GROUP}, set()),
]
ACTIONS = {
    READ: {Action.ITEM_READ, Action.ITEM_LIST, Action.ITEM_HISTORY, Action.ITEM_READ_VERSION},
    CHANGE: {
        Action.ITEM_UPDATE,
        Action.ITEM_ACTIVATE,
        Action.ITEM_DEACTIVATE,
        Action.ITEM_SHARE,
        Action.ITEM_RESTORE,
        Action.ITEM_PRUNE,
    },
    OWN: {Action.ITEM_ERASE},
}


def disagreements(decide_one: object = decide_on_item) -> list[str]:
    wrong = []
    for who, actor, groups, allowed in POLICY:
        for group, actions in ACTIONS.items():
            for action in actions:
                answer: Decision = decide_one(actor, action, META, groups, REF)  # type: ignore[operator]
                if answer.is_allowed != (group in allowed):
                    wrong.append(f"{who}: {action}")
    return wrong


def test_the_policy_on_items_is_the_table() -> None:
    assert len(POLICY) == 26
    assert disagreements() == []


def test_a_policy_that_lets_viewers_edit_does_not_pass_the_table() -> None:
    def lenient(actor: Actor, action: Action, meta: ItemMeta, groups: set[int], ref: ItemRef) -> Decision:
        return Decision(right_on(actor, meta, groups, ref) >= Right.VIEW)

    assert disagreements(lenient)


def test_a_policy_that_forgets_what_a_key_is_confined_to_does_not_pass_the_table() -> None:
    def forgetful(actor: Actor, action: Action, meta: ItemMeta, groups: set[int], ref: ItemRef) -> Decision:
        return decide_on_item(replace(actor, items=None), action, meta, groups, ref)

    actions = sum(map(len, ACTIONS.values()))
    # Of three rows a confinement takes the rights of an owner, and of one those of an editor.
    assert len(disagreements(forgetful)) == 4 * actions - len(ACTIONS[OWN])
    assert not disagreements(decide_on_item)


def test_whoever_forgets_to_say_which_item_is_refused_for_a_confined_key() -> None:
    assert not decide_on_item(confined(OWNER, REF), Action.ITEM_READ, META, set()).is_allowed
    assert decide_on_item(OWNER, Action.ITEM_READ, META, set()).is_allowed


def test_a_refusal_says_why_and_an_approval_says_nothing() -> None:
    assert decide_on_item(VIEWER, Action.ITEM_DEACTIVATE, META, set()).reason == "has view, needs edit"
    assert decide_on_item(OWNER, Action.ITEM_DEACTIVATE, META, set()).reason == ""
    refused = decide_on_item(confined(OWNER), Action.ITEM_READ, META, set(), REF)
    assert refused.reason == "is not among the items of the access key"


@pytest.mark.parametrize("action", sorted(set(Action) - set(NEEDED_RIGHT)))
def test_an_action_that_is_not_one_on_items_is_denied_even_to_the_owner(action: Action) -> None:
    assert not decide_on_item(OWNER, action, META, set()).is_allowed


OPERATION = {
    Action.USER_CREATE, Action.USER_UPDATE, Action.USER_LIST, Action.USER_READ, Action.USER_ENABLE,
    Action.USER_DISABLE, Action.USER_RESET, Action.GROUP_CREATE, Action.GROUP_LIST, Action.GROUP_READ,
    Action.GROUP_UPDATE, Action.GROUP_ENABLE, Action.GROUP_DISABLE, Action.GROUP_ADD_MEMBER,
    Action.GROUP_REMOVE_MEMBER, Action.ACCESS_KEY_LIST_ALL, Action.LINK_CREATE,
    Action.AUDIT_READ, Action.AUDIT_VERIFY, Action.AUDIT_EXPORT, Action.AUDIT_ACCEPT_ROLLBACK,
    Action.VAULT_CREATE, Action.TRANSFER_LIST,
    Action.VAULT_SEAL, Action.VAULT_UNSEAL, Action.SLOT_ADD, Action.SLOT_REMOVE,
    Action.BACKUP_TAKE, Action.BACKUP_RESTORE, Action.BACKUP_PROVE,
    Action.KEY_LIST, Action.KEY_STAGE, Action.KEY_ACTIVATE, Action.KEY_REWRAP, Action.KEY_DESTROY, Action.ROOT_ROTATE,
}  # fmt: skip
CONFINED = {
    Action.ITEM_CREATE, Action.ITEM_LIST, Action.ITEM_BATCH, Action.TOKEN_ISSUE, Action.ACCOUNT_READ,
    Action.DESCRIPTION_READ,
}  # fmt: skip
EVERYDAY = CONFINED | {
    Action.ACCESS_KEY_LIST, Action.ACCOUNT_SECURE,
    Action.SESSION_BEGIN, Action.SESSION_COMPLETE, Action.SESSION_PROVE, Action.SESSION_LIST, Action.SESSION_END,
    Action.FACTOR_ADD, Action.FACTOR_CONFIRM, Action.FACTOR_REMOVE, Action.FACTOR_LIST, Action.LINK_USE,
    Action.PRINCIPAL_LIST, Action.PRIVATE_GROUP_CREATE, Action.PRIVATE_GROUP_LIST, Action.PRIVATE_GROUP_READ,
    Action.PRIVATE_GROUP_UPDATE, Action.PRIVATE_GROUP_ENABLE, Action.PRIVATE_GROUP_DISABLE,
    Action.PRIVATE_GROUP_ADD_MEMBER, Action.PRIVATE_GROUP_REMOVE_MEMBER,
}  # fmt: skip
ADMINISTRATION = {
    Action.TRANSFER_REQUEST, Action.TRANSFER_APPROVE, Action.TRANSFER_FINISH, Action.TRANSFER_CANCEL,
    Action.TRANSFER_LIST, Action.ITEM_TRANSFER, Action.LINK_CREATE,
    Action.ACCESS_KEY_LIST_ALL,
    Action.USER_CREATE, Action.USER_UPDATE, Action.USER_LIST, Action.USER_READ, Action.USER_ENABLE,
    Action.USER_DISABLE, Action.GROUP_CREATE, Action.GROUP_LIST, Action.GROUP_READ, Action.GROUP_UPDATE,
    Action.GROUP_ENABLE, Action.GROUP_DISABLE, Action.GROUP_ADD_MEMBER, Action.GROUP_REMOVE_MEMBER,
}  # fmt: skip
ADMINISTRATOR = Actor(UserId(1), AccessKeyId(7), is_admin=True)


@pytest.mark.parametrize("action", sorted(Action))
def test_outside_items_users_do_everyday_things_and_the_operator_administers(action: Action) -> None:
    assert decide(OWNER, action).is_allowed == (action in EVERYDAY)
    assert decide(ADMINISTRATOR, action).is_allowed == (action in EVERYDAY | ADMINISTRATION)
    assert decide(OPERATOR, action).is_allowed == (action in OPERATION)
    assert not decide(NOBODY, action).is_allowed
    assert decide(confined(OWNER, REF), action).is_allowed == (action in CONFINED)
    assert decide(confined(ADMINISTRATOR), action).is_allowed == (action in CONFINED)


KEY_OF_OWNER, KEY_OF_OTHERS = OWNER.user_id, STRANGER.user_id
SHOWING = {Action.ACCESS_KEY_READ, Action.ACCESS_KEY_REVEAL, Action.ACCESS_KEY_REVEAL_SECRET}
MAKING = {Action.ACCESS_KEY_CREATE, Action.ACCESS_KEY_UPDATE, Action.ACCESS_KEY_CLONE}
REVOKING = {Action.ACCESS_KEY_REVOKE}

# actor, owner of the access key, and what may be done to it
KEY_POLICY = [
    ("its owner", OWNER, KEY_OF_OWNER, SHOWING | MAKING | REVOKING),
    ("its owner, by a key with limits", replace(OWNER, is_bounded=True), KEY_OF_OWNER, SHOWING | REVOKING),
    ("its owner, by a key confined to items", confined(OWNER, REF), KEY_OF_OWNER, set()),
    ("its owner, by a key confined to nothing", confined(OWNER), KEY_OF_OWNER, set()),
    ("another user", OWNER, KEY_OF_OTHERS, set()),
    ("an administrator", ADMINISTRATOR, KEY_OF_OTHERS, {Action.ACCESS_KEY_READ} | REVOKING),
    ("an administrator, of their own", ADMINISTRATOR, KEY_OF_OWNER, SHOWING | MAKING | REVOKING),
    ("an administrator, by a confined key", confined(ADMINISTRATOR), KEY_OF_OTHERS, set()),
    ("the local operator", OPERATOR, KEY_OF_OTHERS, SHOWING | MAKING | REVOKING),
    ("nobody", NOBODY, KEY_OF_OWNER, set()),
    ("nobody, of nobody's", NOBODY, NOBODY.user_id, set()),
]


def key_disagreements(decide_one: object = decide_on_access_key) -> list[str]:
    return [
        f"{who}: {action}"
        for who, actor, owner_id, allowed in KEY_POLICY
        for action in Action
        if decide_one(actor, action, owner_id).is_allowed != (action in allowed)  # type: ignore[operator]
    ]


def test_the_policy_on_access_keys_is_the_table() -> None:
    assert key_disagreements() == []


def test_a_policy_that_lets_limited_keys_make_others_does_not_pass_the_table() -> None:
    def lenient(actor: Actor, action: Action, owner_id: UserId) -> Decision:
        return decide_on_access_key(replace(actor, is_bounded=False), action, owner_id)

    assert len(key_disagreements(lenient)) == len(MAKING)


def test_every_action_has_a_place_in_the_policy() -> None:
    elsewhere = USER_ACTIONS | ADMINISTRATOR_ACTIONS | OPERATOR_ACTIONS | ACCESS_KEY_ACTIONS
    assert set(NEEDED_RIGHT) | elsewhere == set(Action)


def group(owner: Actor | None, *, shows_itself: bool = False) -> Group:
    """Return a group of OWNER or of nobody, with VIEWER as its member."""
    return Group(
        GroupId(9),
        1,
        "g",
        is_enabled=True,
        members={VIEWER.user_id: Joined(OWNER.user_id, 0)},
        created_at=0,
        owner_id=owner.user_id if owner else UserId(0),
        are_members_visible=shows_itself,
    )


SEE, RULE = "read", "everything else"
OF_SYSTEM, HIDDEN, SHOWN = group(None), group(OWNER), group(OWNER, shows_itself=True)

# who, and what they may do with a system group, a private one, and a private one that lets its members see it (R-AZ-08)
ON_GROUPS = [
    ("owner", OWNER, set(), {SEE, RULE}, {SEE, RULE}),
    ("member", VIEWER, set(), set(), {SEE}),
    ("stranger", STRANGER, set(), set(), set()),
    ("administrator who owns nothing", Actor(UserId(70), AccessKeyId(1), is_admin=True), {SEE, RULE}, set(), set()),
    ("the local operator", OPERATOR, {SEE, RULE}, set(), set()),
    ("nobody", NOBODY, set(), set(), set()),
]
_WORDS = ("update", "enable", "disable", "add_member", "remove_member")
ON_SYSTEM = {SEE: {Action("group.read")}, RULE: {Action(f"group.{word}") for word in _WORDS}}
ON_PRIVATE = {SEE: {Action("private_group.read")}, RULE: {Action(f"private_group.{word}") for word in _WORDS}}


def disagreements_on_groups(decide_one: object = decide_on_group) -> list[str]:
    wrong = []
    for who, actor, *allowed in ON_GROUPS:
        for one, rights in zip((OF_SYSTEM, HIDDEN, SHOWN), allowed, strict=True):
            for family in (ON_SYSTEM, ON_PRIVATE):
                is_fitting = (family is ON_PRIVATE) == one.is_private
                for word, actions in family.items():
                    for action in actions:
                        answer: Decision = decide_one(actor, action, one)  # type: ignore[operator]
                        if answer.is_allowed != (is_fitting and word in rights):
                            wrong.append(f"{who}: {action} on {one}")
    return wrong


def test_the_policy_on_groups_is_the_table() -> None:
    assert disagreements_on_groups() == []


@pytest.mark.parametrize(
    "lenient",
    [
        lambda actor, action, group: decide(actor, action),  # no look at the group
        lambda actor, action, group: Decision(group.owner_id == actor.user_id),
        lambda actor, action, group: Decision(
            decide(actor, action).is_allowed and group.shows_itself_to(actor.user_id)
        ),
    ],
)
def test_a_policy_that_forgets_owner_kind_or_action_does_not_pass_the_table_of_groups(lenient: object) -> None:
    assert disagreements_on_groups(lenient)


REQUESTER, APPROVER, HEIR = (Actor(UserId(n), AccessKeyId(1), is_admin=True) for n in range(21, 24))
TRANSFER = Transfer(
    TransferId(1), 1, UserId(20), HEIR.user_id, REQUESTER.user_id, 100, TransferState.REQUESTED, UserId(0), 0
)


@pytest.mark.parametrize("action", [Action.TRANSFER_APPROVE, Action.TRANSFER_FINISH, Action.ITEM_TRANSFER])
@pytest.mark.parametrize(
    ("actor", "is_allowed"),
    [
        (APPROVER, True),
        (REQUESTER, False),
        (HEIR, False),
        (Actor(APPROVER.user_id, AccessKeyId(1)), False),
        (Actor(UserId(20), AccessKeyId(1)), False),
        (OPERATOR, False),
        (NOBODY, False),
    ],
)
def test_a_transfer_takes_a_second_administrator_who_gains_nothing(
    actor: Actor, is_allowed: bool, action: Action
) -> None:
    assert decide_on_transfer(actor, action, TRANSFER).is_allowed == is_allowed


@pytest.mark.parametrize("action", sorted(ADMINISTRATION))
def test_no_administrator_has_a_right_on_an_item_through_a_transfer(action: Action) -> None:
    assert not decide_on_item(ADMINISTRATOR, action, META, set()).is_allowed
