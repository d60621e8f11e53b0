# SPDX-License-Identifier: Apache-2.0
"""Wrapped data keys are found in every table, replaced only if nobody changed them, and counted by what they are."""

from functools import partial

from mysafe.storage import items, schema
from mysafe.storage.items import ItemRow
from mysafe.storage.rotation import nodes
from mysafe.storage.rotation.nodes import Node
from mysafe.storage.rotation.wrapped_keys import ALL_WRAPPED, BATCH
from mysafe.storage.sqlite_lane import SqliteEngine

ITEMS = ALL_WRAPPED[0]


def dek(epoch: int, filling: bytes = b"d") -> bytes:
    return b"MS\x01\x01" + epoch.to_bytes(4) + filling * 72


def row(number: int, epoch: int, *, column: int | None = None) -> ItemRow:
    return ItemRow("note", number, 7, 1, column or epoch, 0, 0, None, dek(epoch), b"m", b"s")


def insert(engine: SqliteEngine, *rows: ItemRow) -> None:
    for one in rows:
        engine.submit(partial(items.insert, row=one, grants=())).result()


def test_every_table_with_a_wrapped_key_is_rotated() -> None:
    with_keys = {table.name for table in schema.metadata.tables.values() if "dek" in table.c}
    assert {keys.name for keys in ALL_WRAPPED} == with_keys


def test_keys_of_other_epochs_are_found_in_batches(engine: SqliteEngine) -> None:
    insert(engine, *(row(number, 1) for number in range(1, BATCH + 4)), row(BATCH + 4, 2))
    first = engine.look(lambda tx: ITEMS.others(tx, 2, None)).result()
    rest = engine.look(lambda tx: ITEMS.others(tx, 2, first[-1])).result()
    assert [one.id for one in first + rest] == list(range(1, BATCH + 4))
    assert len(first) == BATCH
    assert engine.look(ITEMS.uses).result() == {1: BATCH + 3, 2: 1}


def test_a_key_is_not_replaced_after_somebody_changed_it(engine: SqliteEngine) -> None:
    insert(engine, row(1, 1))
    (found,) = engine.look(lambda tx: ITEMS.others(tx, 2, None)).result()
    stale = found._replace(dek=dek(1, b"e"))
    older = found._replace(version=0)
    for one in (stale, older):
        assert not engine.submit(partial(ITEMS.replace, found=one, epoch=2, dek=dek(2))).result()
    assert engine.submit(partial(ITEMS.replace, found=found, epoch=2, dek=dek(2))).result()
    after = engine.look(partial(items.find, kind="note", item_id=1)).result()
    assert after == row(1, 2)


def test_a_column_that_names_the_wrong_epoch_hides_no_key(engine: SqliteEngine) -> None:
    insert(engine, row(1, 1, column=2), row(2, 2, column=1), row(3, 2))
    assert engine.look(partial(ITEMS.count_others, epoch=2)).result() == 2
    assert [one.id for one in engine.look(lambda tx: ITEMS.others(tx, 2, None)).result()] == [1, 2]


def test_nodes_that_were_killed_are_forgotten_after_a_day_and_count_as_dead_before(engine: SqliteEngine) -> None:
    engine.submit(partial(nodes.beat, node=Node("killed", 1000, 1))).result()
    engine.submit(partial(nodes.beat, node=Node("here", 1040, 1))).result()
    engine.submit(partial(nodes.beat, node=Node("here", 1050, 2))).result()
    assert engine.look(partial(nodes.since, at=1045)).result() == [Node("here", 1050, 2)]
    assert len(engine.look(partial(nodes.since, at=0)).result()) == 2
    engine.submit(partial(nodes.beat, node=Node("later", 1000 + nodes.FORGOTTEN_SECONDS + 1, 2))).result()
    engine.submit(partial(nodes.leave, node="later")).result()
    assert [node.node for node in engine.look(partial(nodes.since, at=0)).result()] == ["here"]
