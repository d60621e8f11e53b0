# SPDX-License-Identifier: Apache-2.0
"""Shares after an update: which lists are replaced, and what a share that stays remembers (contract 4.4)."""

from mysafe.domain.sharing import AclEntry, PrincipalType
from mysafe.services.sharing import reshare, with_added

USER, GROUP = PrincipalType.USER, PrincipalType.GROUP
OLD = (AclEntry(USER, 1, False, 9, 100), AclEntry(USER, 2, True, 9, 100), AclEntry(GROUP, 1, False, 9, 100))


def test_a_list_that_is_kept_stays_and_the_other_is_replaced() -> None:
    new = (AclEntry(USER, 3, True, 8, 200),)
    assert reshare(OLD, new, are_users_kept=False, are_groups_kept=True) == (new[0], OLD[2])
    assert reshare(OLD, (), are_users_kept=True, are_groups_kept=False) == OLD[:2]
    assert reshare(OLD, (), are_users_kept=False, are_groups_kept=False) == ()


def test_a_share_with_the_same_right_keeps_its_giver_and_a_changed_one_does_not() -> None:
    new = (AclEntry(USER, 1, False, 8, 200), AclEntry(USER, 2, False, 8, 200))
    assert reshare(OLD, new, are_users_kept=False, are_groups_kept=False) == (OLD[0], new[1])


def test_a_user_and_a_group_of_one_number_are_two() -> None:
    new = (AclEntry(GROUP, 1, False, 8, 200),)
    assert reshare(OLD[:2], new, are_users_kept=True, are_groups_kept=False) == (*OLD[:2], new[0])


def test_an_added_share_leaves_the_others_and_its_right_counts() -> None:
    new = (AclEntry(USER, 3, True, 8, 200), AclEntry(USER, 2, False, 8, 200))
    assert with_added(OLD, new) == (OLD[0], new[1], new[0], OLD[2])
    assert with_added(OLD, ()) == OLD
    assert with_added((), new) == new
