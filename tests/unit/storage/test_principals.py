# SPDX-License-Identifier: Apache-2.0
"""Records of users, groups, access keys and tokens: found, unique, replaced only where the version fits."""

from functools import partial
from pathlib import Path

import pytest

from mysafe.domain.errors import Conflict
from mysafe.storage import principals
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import ACCESS_KEYS, GROUPS, MOST_SWEPT, TOKENS, USERS, RecordTable
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.support.rows import record_row

TABLES = (USERS, GROUPS, ACCESS_KEYS, TOKENS)


def name_of(table: RecordTable) -> str:
    return table.name


@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_a_record_is_found_by_id_and_by_index(engine: SqliteEngine, table: RecordTable) -> None:
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
def test_a_taken_index_is_a_conflict_that_names_the_table(engine: SqliteEngine, table: RecordTable) -> None:
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
def test_a_record_is_replaced_only_if_its_version_is_the_expected_one(engine: SqliteEngine, table: RecordTable) -> None:
    engine.submit(partial(table.insert, row=record_row(1))).result()
    second = record_row(1)._replace(version=2, meta=b"new")
    assert engine.submit(partial(table.replace, row=second, expected_version=2)).result() is False
    assert engine.look(partial(table.find, record_id=1)).result() == record_row(1)
    assert engine.submit(partial(table.replace, row=second, expected_version=1)).result() is True
    assert engine.look(partial(table.find, record_id=1)).result() == second
    assert engine.submit(partial(table.replace, row=second, expected_version=1)).result() is False


def test_groups_of_a_user_are_those_that_list_the_user(engine: SqliteEngine) -> None:
    def fill(tx: Transaction) -> None:
        for group_id, members in ((1, [10, 11]), (2, [11]), (3, [])):
            GROUPS.insert(tx, record_row(group_id))
            principals.set_members(tx, group_id, members)

    engine.submit(fill).result()
    assert [row.id for row in engine.look(partial(principals.groups_of, user_id=11)).result()] == [1, 2]
    engine.submit(partial(principals.set_members, group_id=1, user_ids=[12])).result()
    assert [row.id for row in engine.look(partial(principals.groups_of, user_id=11)).result()] == [2]
    assert engine.look(partial(principals.groups_of, user_id=12)).result() == [record_row(1)]


def test_only_expired_tokens_are_swept_the_oldest_first_and_some_at_a_time(engine: SqliteEngine) -> None:
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


def test_a_remembered_record_is_read_anew_after_any_change(engine: SqliteEngine) -> None:
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


def test_a_record_changed_by_another_process_is_seen_by_the_next_unit(engine: SqliteEngine, tmp_path: Path) -> None:
    find = partial(USERS.find, record_id=1)
    engine.submit(partial(USERS.insert, row=record_row(1))).result()
    other = SqliteEngine.open(tmp_path / "vault.db")
    for version in range(2, 20):
        row = record_row(1)._replace(version=version)
        assert other.submit(partial(USERS.replace, row=row, expected_version=version - 1)).result()
        assert engine.submit(find).result() == engine.look(find).result() == row
    other.close()
