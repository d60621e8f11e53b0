# SPDX-License-Identifier: Apache-2.0
"""Replaced versions as rows: found, counted down, pruned by when they were replaced, and erased."""

from functools import partial

import pytest

from mysafe.storage import item_versions, items
from mysafe.storage.engine import Engine, Transaction
from tests.support.rows import item_row

MADE_AT = (100, 200, 300, 400)
"""When the versions 1 to 4 were made; 4 is the current one."""


def store(tx: Transaction, item_id: int = 7) -> None:
    for version, made_at in enumerate(MADE_AT, start=1):
        row = item_row(item_id, version=version)._replace(updated_at=made_at, secret=b"s%d" % version)
        if version == 1:
            items.insert(tx, row, [])
        else:
            assert items.replace(tx, row, [], [])


def kept(engine: Engine, item_id: int = 7, before: int = 999) -> list[int]:
    rows = engine.look(partial(item_versions.before, kind="password", item_id=item_id, version=before)).result()
    assert {row.secret for row in rows} <= {b""}
    return [row.version for row in rows]


@pytest.fixture
def full(engine: Engine) -> Engine:
    for item_id in (7, 8):
        engine.submit(partial(store, item_id=item_id)).result()
    return engine


def test_replaced_versions_come_newest_first_and_one_by_one_with_their_secret(full: Engine) -> None:
    assert kept(full) == [3, 2, 1]
    assert kept(full, before=3) == [2, 1]
    found = full.look(partial(item_versions.find, kind="password", item_id=7, version=2)).result()
    assert found is not None
    assert (found.version, found.updated_at, found.secret) == (2, 200, b"s2")
    for kind, version in (("password", 4), ("password", 5), ("note", 2)):
        assert full.look(partial(item_versions.find, kind=kind, item_id=7, version=version)).result() is None


@pytest.mark.parametrize(
    ("until", "left"), [(99, [3, 2, 1]), (199, [3, 2, 1]), (200, [3, 2]), (300, [3]), (399, [3]), (10_000, [3])]
)
def test_a_version_is_pruned_by_when_it_was_replaced(full: Engine, until: int, left: list[int]) -> None:
    # Version 3 was replaced at 400, by the current one, which is not in this table: the caller has just made that.
    pruned = full.submit(partial(item_versions.prune, kind="password", item_id=7, until=until)).result()
    assert (pruned, kept(full)) == (3 - len(left), left)
    assert kept(full, 8) == [3, 2, 1]


def test_no_more_than_a_hundred_are_pruned_at_once(engine: Engine) -> None:
    def fill(tx: Transaction) -> None:
        items.insert(tx, item_row(1), [])
        for version in range(2, 252):
            items.replace(tx, item_row(1, version=version), [], [])

    engine.submit(fill).result()
    prune = partial(item_versions.prune, kind="password", item_id=1, until=2**40)
    assert [engine.submit(prune).result() for _ in range(4)] == [100, 100, 49, 0]
    assert kept(engine, 1) == [250]


def test_an_item_is_erased_alone(full: Engine) -> None:
    def erase(tx: Transaction) -> tuple[bool, int]:
        row = items.find(tx, "password", 7)
        assert row is not None
        return items.erase(tx, row, []), item_versions.erase(tx, "password", 7)

    stale = item_row(7, version=3)
    assert full.submit(partial(items.erase, row=stale, grants=[])).result() is False
    assert full.submit(erase).result() == (True, 3)
    assert kept(full) == []
    assert full.look(partial(items.find, kind="password", item_id=7)).result() is None
    assert kept(full, 8) == [3, 2, 1]
    assert full.look(items.count).result() == 1


def test_the_items_of_an_owner_come_in_order_and_bounded(engine: Engine) -> None:
    def fill(tx: Transaction) -> None:
        for number in range(1, 151):
            items.insert(tx, item_row(number, owner_id=1 + number % 2), [])
        items.insert(tx, item_row(1, owner_id=2, kind="note"), [])

    engine.submit(fill).result()
    owned = partial(items.owned_by, kind="password", owner_id=2)
    assert [row.id for row in engine.look(partial(owned, after=0)).result()] == list(range(1, 151, 2))
    assert [row.id for row in engine.look(partial(owned, after=147)).result()] == [149]

    def fill_more(tx: Transaction) -> None:
        for number in range(200, 320):
            items.insert(tx, item_row(number, owner_id=3), [])

    engine.submit(fill_more).result()
    assert len(engine.look(partial(items.owned_by, kind="password", owner_id=3, after=0)).result()) == 100


def test_a_taken_code_is_known(engine: Engine) -> None:
    engine.submit(partial(items.insert, row=item_row(1, ident_bidx=b"taken"), grants=[])).result()
    for index, is_taken in ((b"taken", True), (b"free", False)):
        assert engine.look(partial(items.is_code_taken, ident_bidx=index)).result() is is_taken
