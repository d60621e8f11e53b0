# SPDX-License-Identifier: Apache-2.0
"""Items are stored with their grants, and found through owner, grant and group."""

import random
from functools import partial

import pytest

from mysafe.storage import items, principals
from mysafe.storage.engine import Engine, Transaction, UniqueClash
from mysafe.storage.principals import GROUPS
from mysafe.storage.statements import Statement
from tests.support.rows import item_row, record_row

USER, GROUP = 1, 2

_GRANTS = Statement("SELECT principal_type, principal_id FROM grants_idx WHERE kind = ? AND item_id = ? ORDER BY 1, 2")


def grants_of(tx: Transaction, item_id: int) -> list[tuple[object, ...]]:
    return [tuple(row) for row in tx.rows(_GRANTS, "password", item_id)]


def test_an_item_comes_back_as_it_was_stored(engine: Engine) -> None:
    row = item_row(7)
    engine.submit(partial(items.insert, row=row, grants=[(USER, 3), (GROUP, 4)])).result()
    found = engine.look(partial(items.find, kind="password", item_id=7)).result()
    assert found == row
    assert type(found) is items.ItemRow
    assert engine.look(partial(grants_of, item_id=7)).result() == [(USER, 3), (GROUP, 4)]
    assert engine.look(items.count).result() == 1


def test_the_same_number_under_another_kind_is_another_item(engine: Engine) -> None:
    for kind, owner in (("password", 1), ("note", 2)):
        engine.submit(partial(items.insert, row=item_row(7, owner, kind=kind), grants=[])).result()
    for kind, owner in (("password", 1), ("note", 2)):
        found = engine.look(partial(items.find, kind=kind, item_id=7)).result()
        assert found is not None
        assert found.owner_id == owner
    assert engine.look(partial(items.find, kind="password", item_id=8)).result() is None


def test_an_id_cannot_be_stored_twice(engine: Engine) -> None:
    insert = partial(items.insert, row=item_row(7), grants=[])
    engine.submit(insert).result()
    with pytest.raises(UniqueClash):
        engine.submit(insert).result()


def test_a_new_version_replaces_item_and_grants(engine: Engine) -> None:
    engine.submit(partial(items.insert, row=item_row(7), grants=[(USER, 3)])).result()
    second = item_row(7, version=2)._replace(meta=b"new meta", secret=b"new secret")
    assert engine.submit(partial(items.replace, row=second, before=[(USER, 3)], after=[(USER, 5)])).result() is True
    assert engine.look(partial(items.find, kind="password", item_id=7)).result() == second
    assert engine.look(partial(grants_of, item_id=7)).result() == [(USER, 5)]


def test_only_the_grants_that_change_are_written_and_a_stray_one_is_not_in_the_way(engine: Engine) -> None:
    engine.submit(partial(items.insert, row=item_row(7), grants=[(USER, 3), (GROUP, 4)])).result()
    stray = Statement("INSERT INTO grants_idx VALUES (1, 9, 'password', 7)")
    engine.submit(lambda tx: tx.execute(stray)).result()
    second, third = item_row(7, version=2), item_row(7, version=3)
    before, after = [(USER, 3), (GROUP, 4)], [(GROUP, 4), (USER, 9)]
    assert engine.submit(partial(items.replace, row=second, before=before, after=after)).result() is True
    assert engine.look(partial(grants_of, item_id=7)).result() == [(USER, 9), (GROUP, 4)]
    assert engine.submit(partial(items.replace, row=third, before=after, after=[])).result() is True
    assert engine.look(partial(grants_of, item_id=7)).result() == []


VERSIONS = Statement("SELECT version, owner_id, meta, secret FROM item_versions WHERE kind = ? AND id = ? ORDER BY 1")


def test_every_version_that_is_replaced_is_kept(engine: Engine) -> None:
    engine.submit(partial(items.insert, row=item_row(7), grants=[])).result()
    for version in (2, 3):
        row = item_row(7, version=version)._replace(meta=b"meta %d" % version)
        assert engine.submit(partial(items.replace, row=row, before=[], after=[])).result() is True
    kept = engine.look(lambda tx: tx.rows(VERSIONS, "password", 7)).result()
    assert kept == [(1, 1, b"meta", b"secret"), (2, 1, b"meta 2", b"secret")]


def test_an_index_of_an_identifier_code_is_taken_once_and_its_item_may_keep_it(engine: Engine) -> None:
    engine.submit(partial(items.insert, row=item_row(7, ident_bidx=b"code"), grants=[])).result()
    for row in (item_row(8, ident_bidx=b"code"), item_row(8, kind="note", ident_bidx=b"code")):
        with pytest.raises(UniqueClash):
            engine.submit(partial(items.insert, row=row, grants=[])).result()
    for number in (8, 9):
        engine.submit(partial(items.insert, row=item_row(number), grants=[])).result()  # none never collides
    same = item_row(7, version=2, ident_bidx=b"code")
    assert engine.submit(partial(items.replace, row=same, before=[], after=[])).result() is True
    with pytest.raises(UniqueClash):
        engine.submit(
            partial(items.replace, row=item_row(8, version=2, ident_bidx=b"code"), before=[], after=[])
        ).result()
    assert engine.look(lambda tx: tx.rows(VERSIONS, "password", 8)).result() == []


@pytest.mark.parametrize("version", [1, 3])
def test_a_version_that_does_not_follow_the_stored_one_changes_nothing(engine: Engine, version: int) -> None:
    row = item_row(7)
    engine.submit(partial(items.insert, row=row, grants=[(USER, 3)])).result()
    other = item_row(7, version=version)._replace(meta=b"other")
    assert engine.submit(partial(items.replace, row=other, before=[], after=[])).result() is False
    assert engine.look(partial(items.find, kind="password", item_id=7)).result() == row
    assert engine.look(partial(grants_of, item_id=7)).result() == [(USER, 3)]


def test_candidates_come_without_the_secret(engine: Engine) -> None:
    engine.submit(partial(items.insert, row=item_row(7), grants=[])).result()
    (found,) = engine.look(partial(items.candidates, kind="password", user_id=1)).result()
    assert found == item_row(7)._replace(secret=b"")


@pytest.mark.parametrize("seed", range(5))
def test_candidates_are_what_owner_grants_and_groups_connect_ascending_and_once(engine: Engine, seed: int) -> None:
    luck = random.Random(seed)
    people, groups = range(1, 6), range(1, 5)
    members = {group: [user for user in people if luck.random() < 0.4] for group in groups}
    expected: dict[int, set[int]] = {user: set() for user in people}

    def fill(tx: Transaction) -> None:
        for group in groups:
            GROUPS.insert(tx, record_row(group))
            principals.set_members(tx, group, members[group])
        for item_id in range(1, 60):
            owner, kind = luck.choice(people), luck.choice(["password", "password", "note"])
            users = {user for user in people if luck.random() < 0.2}
            teams = {group for group in groups if luck.random() < 0.2}
            grants = [(USER, user) for user in users] + [(GROUP, group) for group in teams]
            items.insert(tx, item_row(item_id, owner, kind=kind), grants)
            if kind == "password":
                for user in {owner} | users | {user for team in teams for user in members[team]}:
                    expected[user].add(item_id)

    engine.submit(fill).result()
    assert all(expected.values())
    for user in people:
        found = engine.look(partial(items.candidates, kind="password", user_id=user)).result()
        assert [row.id for row in found] == sorted(expected[user])
    assert engine.look(partial(items.candidates, kind="password", user_id=99)).result() == []


@pytest.mark.sqlite("the words of its planner")
def test_candidates_are_searched_through_indexes(engine: Engine) -> None:
    plan = Statement("EXPLAIN QUERY PLAN " + items._CANDIDATES.text)
    values = ("password", "password", 1, 1, "password", 1, "password")
    steps = [str(row[3]) for row in engine.look(lambda tx: tx.rows(plan, *values)).result()]
    assert any("items_by_owner" in step for step in steps), steps
    assert [step for step in steps if step.startswith("SCAN") and "SUBQUERY" not in step] == []
