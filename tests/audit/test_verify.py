# SPDX-License-Identifier: Apache-2.0
"""T-AUDIT: whatever somebody with the database does to the log is found, the first bad entry is named, and a program
that shares no code with the product agrees.

The control leaves the log as it is and must see nothing; another one blinds the checker and must see it miss.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mysafe.audit import leaves
from mysafe.services.audit_tree import verifying
from mysafe.services.audit_tree.starting import RollbackDetected
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.audit_tree import TreeDamaged
from tests.audit.scene import AuditScene

SIZES = (3, 7, 12)
VICTIM = 5


@dataclass
class Planted:
    """What is done to a log of twelve entries, and what must be said about it."""

    plant: Callable[[AuditScene], None]
    entry: int
    words: str
    is_seen_without_keys: bool = True


def _edit(column: str, value: object) -> Planted:
    return Planted(
        lambda scene: _do(scene.sql(f"UPDATE audit SET {column} = ? WHERE id = ?", value, VICTIM)), VICTIM, "was edited"
    )


def _do(*_: object) -> None:
    """Take what a statement returns."""


def _delete(scene: AuditScene) -> None:
    scene.sql("DELETE FROM audit WHERE id IN (?, 9)", VICTIM)


def _swap(scene: AuditScene) -> None:
    scene.swap(VICTIM, VICTIM + 1)


def _swap_and_forge(scene: AuditScene) -> None:
    _swap(scene)
    scene.forge_tree()


def _edit_and_forge(scene: AuditScene) -> None:
    scene.sql("UPDATE audit SET result = 'denied' WHERE id = ?", VICTIM)
    scene.forge_tree()


def _delete_with_leaf(scene: AuditScene) -> None:
    scene.sql("DELETE FROM audit WHERE id = ?", VICTIM)
    scene.sql("DELETE FROM audit_leaves WHERE audit_id = ?", VICTIM)
    for position in range(VICTIM, 12):
        scene.sql("UPDATE audit_leaves SET position = ? WHERE position = ?", position - 1, position)
    scene.sql("UPDATE audit_tree SET size = 11, swept_size = 11")
    scene.sql("UPDATE audit_tree SET edge = ?", bytes(96))
    scene.forge_tree()


def _delete_and_give_number_away(scene: AuditScene) -> None:
    """Remove an entry, and let another one stand for it in the tree."""
    scene.sql("DELETE FROM audit WHERE id = ?", VICTIM)
    scene.sql("UPDATE audit_leaves SET audit_id = ? WHERE audit_id = ?", VICTIM + 1, VICTIM)


def _insert_in_a_gap(scene: AuditScene) -> None:
    scene.insert(scene.rows()[2]._replace(id=-4))


def _insert_and_be_sequenced(row: Callable[[AuditScene], AuditRow]) -> Callable[[AuditScene], None]:
    def plant(scene: AuditScene) -> None:
        scene.insert(row(scene))
        scene.sign()

    return plant


def _forged(scene: AuditScene) -> AuditRow:
    return scene.rows()[2]._replace(id=13, actor_id=7)


def _copied(scene: AuditScene) -> AuditRow:
    return scene.rows()[2]._replace(id=13)


def _cut(scene: AuditScene) -> None:
    scene.sql("DELETE FROM audit WHERE id > 10")


def _swap_leaves(scene: AuditScene) -> None:
    for old, new in ((VICTIM - 1, 99), (VICTIM, VICTIM - 1), (99, VICTIM)):
        scene.sql("UPDATE audit_leaves SET position = ? WHERE position = ?", new, old)


PLANTED = {
    "a time": _edit("at_ms", 1),
    "a node": _edit("node", "other"),
    "an actor": _edit("actor_id", 7),
    "an access key": _edit("access_key_id", 7),
    "an action": _edit("action", "audit.verify"),
    "a kind": _edit("record_kind", "password"),
    "a record": _edit("record_id", 7),
    "a negative record": _edit("record_id", -7),
    "a version": _edit("new_version", 7),
    "a digest": _edit("envelope_sha256", bytes(32)),
    "a result": _edit("result", "denied"),
    "a result of no kind": _edit("result", "perhaps"),
    "a request": _edit("request_id", "r"),
    "sealed details": _edit("details", bytes(200)),
    "an edit made to fit": Planted(_edit_and_forge, VICTIM, "seal does not open"),
    "two deleted": Planted(_delete, VICTIM, "was deleted"),
    "deleted with its leaf": Planted(_delete_with_leaf, 0, "between the checkpoints of 3 and 7 entries"),
    "deleted and replaced": Planted(_delete_and_give_number_away, VICTIM + 1, "put in the place of another"),
    "two swapped": Planted(_swap, VICTIM, "put in the place of another"),
    "two swapped, made to fit": Planted(_swap_and_forge, 0, "between the checkpoints of 3 and 7 entries"),
    "two leaves swapped": Planted(_swap_leaves, 0, "between the checkpoints of 3 and 7 entries"),
    "inserted in the past": Planted(
        _insert_in_a_gap, -4, "was inserted: it is not in the tree", is_seen_without_keys=False
    ),
    "inserted at the end": Planted(
        _insert_and_be_sequenced(_forged), 13, "inserted: its seal does not open", is_seen_without_keys=False
    ),
    "copied to the end": Planted(
        _insert_and_be_sequenced(_copied), 13, "inserted: it is a copy", is_seen_without_keys=False
    ),
    "the end cut off": Planted(_cut, 11, "was deleted"),
}


def test_an_untouched_log_is_green(scene: AuditScene) -> None:
    scene.grow(*SIZES)
    found = scene.verify()
    assert (found.entries, found.pending, found.stored, found.external) == (12, 0, 3, 3)
    assert (found.faults, found.fault_count, found.given_up, found.stray_lines) == ((), 0, 0, 0)
    assert scene.independent_faults() == []
    scene.check_start()


def test_a_log_with_stored_nodes_is_green_and_a_changed_node_is_not(scene: AuditScene) -> None:
    scene.grow(3, 300, 530)
    assert len(scene.sql("SELECT number FROM audit_nodes")) == 3
    assert scene.faults() == []
    assert scene.independent_faults() == []
    scene.check_start()
    scene.sql("UPDATE audit_nodes SET hash = ? WHERE level = 8 AND number = 1", bytes(32))
    assert scene.faults() == ["entry 0 the stored node 1 of level 8 is not that of the leaves below it"]
    scene.sql("DELETE FROM audit_nodes WHERE level = 9")
    assert "entry 0 the stored node 0 of level 9 is not that of the leaves below it" in scene.faults()


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_done_to_the_log_is_found_and_named(name: str, scene: AuditScene) -> None:
    planted = PLANTED[name]
    scene.grow(*SIZES)
    assert scene.faults() == []
    planted.plant(scene)
    first = scene.faults()[0]
    assert first.startswith(f"entry {planted.entry} ")
    assert planted.words in first
    others = scene.independent_faults()
    assert bool(others) is planted.is_seen_without_keys
    if planted.words in {"was edited", "was deleted", "put in the place of another"}:
        assert others[0].startswith(f"entry {planted.entry} ")


def test_a_checker_that_does_not_compare_misses_an_edit(scene: AuditScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.grow(*SIZES)
    scene.sql("UPDATE audit SET result = 'denied' WHERE id = ?", VICTIM)
    assert len(scene.faults()) == 1
    monkeypatch.setattr(verifying._Replay, "_check_leaf", lambda self, leaf, row: self._seen.add(leaf.audit_id))
    assert scene.faults() == []


def test_a_number_that_is_no_part_of_the_leaf_could_be_swapped(
    scene: AuditScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (leaves, verifying):
        monkeypatch.setattr(module, "encode_leaf", lambda row: b"")
    monkeypatch.setattr("mysafe.services.audit_tree.sequencer.encode_leaf", lambda row: b"")
    scene.grow(*SIZES)
    scene.swap(VICTIM, VICTIM + 1)
    assert scene.faults() == []


@pytest.mark.parametrize(
    ("column", "edit"),
    [
        ("note", lambda note: note.replace("\n7\n", "\n6\n")),
        ("note", lambda note: note[:-6] + "AAA=\n"),
        ("note", lambda note: note + "\n"),
        ("note", lambda note: note.replace("mysafe/", "mysafe.")),
        ("size", lambda _: 6),
    ],
)
def test_a_stored_checkpoint_that_was_changed_is_found(
    column: str, edit: Callable[[str], object], scene: AuditScene
) -> None:
    scene.grow(*SIZES)
    (note,) = scene.sql("SELECT note FROM audit_checkpoints WHERE size = 7")[0]
    scene.sql(f"UPDATE audit_checkpoints SET {column} = ? WHERE size = 7", edit(str(note)))
    assert "checkpoint" in scene.faults()[0]
    assert scene.verify().fault_count == 1
    assert len(scene.independent_faults()) == (0 if column == "size" else 1)


def test_a_note_of_the_file_that_was_changed_is_found(scene: AuditScene) -> None:
    scene.grow(*SIZES)
    text = scene.file.path.read_text(encoding="utf-8")
    scene.file.path.write_text(text.replace("\n7\n", "\n6\n"), encoding="utf-8")
    assert scene.faults() == [
        "entry 0 a checkpoint of 6 entries in the file cannot be used: its signature is not this vault's"
    ]
    assert len(scene.independent_faults()) == 1


def test_rows_that_are_not_in_the_tree_yet_are_counted_and_are_no_fault(scene: AuditScene) -> None:
    scene.grow(*SIZES)
    scene.act(4)
    assert (scene.verify().pending, scene.faults()) == (4, [])


@pytest.mark.sqlite("PostgreSQL takes no text that is none")
def test_a_text_that_is_none_is_found_and_breaks_nothing(scene: AuditScene) -> None:
    scene.grow(*SIZES)
    scene.sql("UPDATE audit SET node = CAST(x'ff' AS TEXT) WHERE id = ?", VICTIM)
    assert scene.faults()[0] == "entry 0 an audit entry has a text that is no UTF-8, among the leaves 0 to 249"
    with pytest.raises(RollbackDetected, match="no UTF-8"):
        scene.check_start()
    scene.insert(scene.rows_but(VICTIM)[2]._replace(id=13, node="x"))
    scene.sql("UPDATE audit SET node = CAST(x'ff' AS TEXT) WHERE id = 13")
    with pytest.raises(TreeDamaged, match="above 12 has a text"):
        scene.sequencer.step()


def test_the_first_twenty_faults_are_named_and_all_are_counted(scene: AuditScene) -> None:
    scene.grow(40)
    scene.sql("DELETE FROM audit WHERE id > 5")
    found = scene.verify()
    assert found.fault_count == 35
    assert [fault.entry for fault in found.faults] == list(range(6, 26))
