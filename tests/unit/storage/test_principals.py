# SPDX-License-Identifier: Apache-2.0
"""Records of users, groups, access keys and tokens: found, unique, replaced only where the version fits."""

from functools import partial
from pathlib import Path

import pytest

from mysafe.domain.errors import Conflict
from mysafe.storage import items as item_store
from mysafe.storage import principals
from mysafe.storage.engine import Engine, Transaction
from mysafe.storage.principals import ACCESS_KEYS, BATCH, GROUPS, MOST_SWEPT, TOKENS, USERS, RecordTable
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.rows import item_row, record_row

TABLES = (USERS, GROUPS, ACCESS_KEYS, TOKENS)


def name_of(table: RecordTable) -> str:
    return table.name


@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_a_record_is_found_by_id_and_by_index(engine: Engine, table: RecordTable) -> None:
    rows = [record_row(1), record_row(2)._replace(secret=b"secret", expires_at=5)]
    for row in rows:
        engine.submit(partial(table.insert, row=row)).result()
    for run in (engine.look, engine.submit):
        for row in rows:
            assert run(partial(table.find, record_id=row.id)).result() == row
            assert run(partial(table.remembered, record_id=row.id, build=tuple)).result() == row
            assert run(partial(table.remembered_by_index, bidx=row.bidx, build=tuple)).result() == row
        assert run(partial(table.find, record_id=3)).result() is None
        assert run(partial(table.remembered_by_index, bidx=bytes(16), build=tuple)).result() is None
    assert engine.look(table.all).result() == rows


@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_a_taken_index_is_a_conflict_that_names_the_table(engine: Engine, table: RecordTable) -> None:
    engine.submit(partial(table.insert, row=record_row(1, b"taken"))).result()
    engine.submit(partial(table.insert, row=record_row(2, b"other"))).result()
    with pytest.raises(Conflict) as clash:
        engine.submit(partial(table.insert, row=record_row(3, b"taken"))).result()
    assert clash.value.what == table.name
    renamed = record_row(2, b"taken")._replace(version=2)
    with pytest.raises(Conflict):
        engine.submit(partial(table.replace, row=renamed, expected_version=1)).result()
    assert [row.bidx for row in engine.look(table.all).result()] == [b"taken", b"other"]


@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_a_record_is_replaced_only_if_its_version_is_the_expected_one(engine: Engine, table: RecordTable) -> None:
    engine.submit(partial(table.insert, row=record_row(1))).result()
    second = record_row(1)._replace(version=2, meta=b"new")
    assert engine.submit(partial(table.replace, row=second, expected_version=2)).result() is False
    assert engine.look(partial(table.find, record_id=1)).result() == record_row(1)
    assert engine.submit(partial(table.replace, row=second, expected_version=1)).result() is True
    assert engine.look(partial(table.find, record_id=1)).result() == second
    assert engine.submit(partial(table.replace, row=second, expected_version=1)).result() is False


def test_groups_of_a_user_are_those_that_list_the_user(engine: Engine) -> None:
    def fill(tx: Transaction) -> None:
        for group_id, members in ((1, [10, 11]), (2, [11]), (3, [])):
            GROUPS.insert(tx, record_row(group_id))
            principals.set_members(tx, group_id, members)

    engine.submit(fill).result()
    assert [row.id for row in engine.look(partial(principals.groups_of, user_id=11)).result()] == [1, 2]
    engine.submit(partial(principals.set_members, group_id=1, user_ids=[12])).result()
    assert [row.id for row in engine.look(partial(principals.groups_of, user_id=11)).result()] == [2]
    assert engine.look(partial(principals.groups_of, user_id=12)).result() == [record_row(1)]


def test_only_expired_tokens_are_swept_the_oldest_first_and_some_at_a_time(engine: Engine) -> None:
    expired, alive = MOST_SWEPT + 5, 3

    def fill(tx: Transaction) -> None:
        for number in range(1, expired + 1):
            TOKENS.insert(tx, record_row(number, expires_at=1000 - number))
        for number in range(alive):
            TOKENS.insert(tx, record_row(expired + 1 + number, expires_at=1000 + number))

    engine.submit(fill).result()
    sweep = partial(principals.delete_expired_tokens, before=1000)
    assert engine.submit(sweep).result() == MOST_SWEPT
    assert [row.id for row in engine.look(TOKENS.all).result()][:5] == [1, 2, 3, 4, 5]
    assert [engine.submit(sweep).result() for _ in range(2)] == [5, 0]
    assert len(engine.look(TOKENS.all).result()) == alive


def test_a_remembered_record_is_read_anew_after_any_change(engine: Engine) -> None:
    """The change is made by a unit that is rolled back, then by one that commits."""
    find = partial(USERS.find, record_id=1)
    engine.submit(partial(USERS.insert, row=record_row(1))).result()
    assert engine.submit(find).result() == engine.look(find).result() == record_row(1)

    second = record_row(1)._replace(version=2)

    def change_and_fail(tx: Transaction) -> None:
        assert USERS.replace(tx, second, 1)
        assert USERS.find(tx, 1) == second
        raise Conflict("users")

    with pytest.raises(Conflict):
        engine.submit(change_and_fail).result()
    assert engine.submit(find).result() == record_row(1)

    engine.submit(partial(USERS.replace, row=second, expected_version=1)).result()
    assert engine.submit(find).result() == engine.look(find).result() == second


@pytest.mark.sqlite("it opens the file twice")
def test_a_record_changed_by_another_process_is_seen_by_the_next_unit(engine: Engine, tmp_path: Path) -> None:
    find = partial(USERS.find, record_id=1)
    engine.submit(partial(USERS.insert, row=record_row(1))).result()
    other = SqliteEngine.open(tmp_path / "vault.db")
    for version in range(2, 20):
        row = record_row(1)._replace(version=version)
        assert other.submit(partial(USERS.replace, row=row, expected_version=version - 1)).result()
        assert engine.submit(find).result() == engine.look(find).result() == row
    other.close()


def test_records_come_in_batches_that_follow_each_other(engine: Engine) -> None:
    def fill(tx: Transaction) -> None:
        for number in range(1, BATCH + 11):
            USERS.insert(tx, record_row(number))

    engine.submit(fill).result()
    seen: list[int] = []
    while rows := engine.look(partial(USERS.after, record_id=seen[-1] if seen else 0)).result():
        assert len(rows) <= BATCH
        seen += [row.id for row in rows]
    assert seen == list(range(1, BATCH + 11))


def test_groups_are_found_by_their_owners_column(engine: Engine) -> None:
    def fill(tx: Transaction) -> None:
        for group_id, owner in ((1, 0), (2, 7), (3, 8), (4, 7)):
            GROUPS.insert(tx, record_row(group_id)._replace(owner_id=owner))

    engine.submit(fill).result()
    for owner, expected in ((0, [1]), (7, [2, 4]), (8, [3]), (9, [])):
        found = engine.look(partial(principals.groups_of_owner, owner_id=owner)).result()
        assert [row.id for row in found] == expected


def test_the_last_login_is_the_newest_one_of_the_user(engine: Engine) -> None:
    def last(user_id: int) -> int | None:
        return engine.look(partial(principals.last_login, user_id=user_id)).result()

    assert last(1) is None
    for user_id, at in ((1, 100), (2, 150), (1, 200)):
        engine.submit(partial(principals.note_login, user_id=user_id, at=at)).result()
    assert (last(1), last(2)) == (200, 150)


def test_items_of_all_kinds_are_counted_for_their_owner(engine: Engine) -> None:
    def fill(tx: Transaction) -> None:
        for item_id, owner, kind in ((1, 1, "password"), (2, 2, "password"), (1, 1, "note"), (1, 1, "api_secret")):
            item_store.insert(tx, item_row(item_id, owner, kind=kind), [])

    engine.submit(fill).result()
    counts = [engine.look(partial(principals.count_items, owner_id=owner)).result() for owner in (1, 2, 3)]
    assert counts == [3, 1, 0]
