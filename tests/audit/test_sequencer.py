# SPDX-License-Identifier: Apache-2.0
"""The sequencer makes a leaf of every committed row, once, in an order of its own, whoever else does so too."""

import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mysafe import opening
from mysafe.audit.tree import Edge
from mysafe.domain.actions import Action
from mysafe.domain.errors import VaultError
from mysafe.services.audit_tree import verifying
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.checkpoints import Checkpoints
from mysafe.services.audit_tree.sequencer import PAUSE_SECONDS, REST_SECONDS, Sequencer
from mysafe.services.authentication import local_operator
from mysafe.services.background.rounds import Rounds
from mysafe.storage import audit_tree
from mysafe.storage.audit_tree import Growth, Leaf, TreeState
from mysafe.storage.copies.transfer import copy_rows
from mysafe.storage.engine import Alone
from mysafe.storage.postgres import late_writers
from mysafe.storage.sqlite_lane import SqliteEngine
from tests.audit.scene import COLUMNS, AuditScene


def test_every_row_becomes_one_leaf_in_batches(scene: AuditScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.act(1200)
    steps = [scene.sequencer.step() for _ in range(6)]
    assert steps == [250, 250, 250, 250, 201, 0]
    assert scene.sql("SELECT count(*), count(DISTINCT audit_id), max(position) FROM audit_leaves") == [
        (1201, 1201, 1200)
    ]
    assert scene.faults() == []


def test_it_rests_less_than_a_second_and_hardly_while_rows_wait(scene: AuditScene) -> None:
    scene.act(300)
    assert scene.sequencer.run() == PAUSE_SECONDS
    assert scene.sequencer.run() == REST_SECONDS
    assert PAUSE_SECONDS < REST_SECONDS <= 0.5


def test_nothing_is_written_while_nothing_happens(scene: AuditScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.grow(4)
    for _ in range(4):
        scene.sequencer.run()  # on a shared database, what is swept is noted a little later
    before = scene.sql("SELECT size, swept_id, swept_size, edge FROM audit_tree")
    written: list[object] = []
    submit = scene.vault.engine.submit

    def watched(*arguments: Any, **named: Any) -> Any:
        written.append(arguments)
        return submit(*arguments, **named)

    monkeypatch.setattr(scene.vault.engine, "submit", watched)
    for _ in range(3):
        scene.sequencer.run()
    assert written == []
    scene.act()
    scene.sequencer.run()
    assert len(written) == 1  # so this is where a step would have been seen
    assert before[0][1] == 4


def test_a_step_that_was_overtaken_writes_nothing(scene: AuditScene) -> None:
    scene.grow(4)
    (state,) = [scene.vault.engine.look(audit_tree.read_state).result()]
    scene.grow(6)
    before = scene.sql("SELECT position, audit_id FROM audit_leaves ORDER BY position")
    edge = state.open_edge()
    edge.add(bytes(32))
    late = Growth(state, state._replace(size=5, edge=edge.encode()), [Leaf(4, 5, bytes(32))], [])
    assert scene.vault.engine.submit(partial(audit_tree.grow, growth=late)).result() is False
    assert scene.sql("SELECT position, audit_id FROM audit_leaves ORDER BY position") == before
    assert scene.faults() == []


def test_several_sequencers_at_once_make_one_tree(scene: AuditScene) -> None:
    """And a control: the race is one, since some of their steps are overtaken."""
    scene.act(20)
    start = threading.Barrier(5)
    overtaken: list[int] = []
    failures: list[BaseException] = []

    def compete() -> None:
        own = Sequencer(scene.vault)
        start.wait()
        for _ in range(40):
            try:
                found = own.step()
                if found == 0:
                    overtaken.append(1)
            except VaultError:
                overtaken.append(1)

    def act() -> None:
        start.wait()
        scene.act(400)

    threads = [threading.Thread(target=_guarded, args=(work, failures)) for work in (act, *[compete] * 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert overtaken
    scene.sign()
    assert scene.size == 421
    assert scene.faults() == []


def _guarded(work: object, failures: list[BaseException]) -> None:
    try:
        work()  # type: ignore[operator]  # a function without arguments
    except BaseException as error:  # noqa: BLE001  # every failure counts
        failures.append(error)


@contextmanager
def late_writer(scene: AuditScene) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Write a row in a transaction that commits later than others that begin after it."""
    with closing(psycopg.connect(str(scene.settings.database))) as connection:
        row = scene.rows()[1]
        columns = COLUMNS.removeprefix("id, ")
        places = ", ".join(["%s"] * (len(row) - 1))
        connection.execute(f"INSERT INTO audit ({columns}) VALUES ({places})", row[1:])
        yield connection


@pytest.mark.postgres
def test_a_row_that_is_committed_late_becomes_a_leaf_after_later_ones(scene: AuditScene) -> None:
    scene.grow(4)
    with late_writer(scene) as connection:
        for _ in range(5):
            scene.act(2)
            scene.sequencer.catch_up()
        assert scene.sql("SELECT max(audit_id), max(position) FROM audit_leaves") == [(15, 13)]
        assert scene.sql("SELECT swept_id FROM audit_tree")[0][0] == 4
        connection.commit()
    for _ in range(4):
        scene.sequencer.catch_up()
    assert scene.sql("SELECT position FROM audit_leaves WHERE audit_id = 5") == [(14,)]
    assert scene.sql("SELECT swept_id FROM audit_tree") == [(15,)]
    assert [fault for fault in scene.faults() if "copy" not in fault] == []


@pytest.mark.postgres
def test_a_sequencer_that_does_not_ask_who_writes_would_pass_a_late_row_by(
    scene: AuditScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_writers, "writers", lambda tx: frozenset())
    scene.grow(4)
    with late_writer(scene) as connection:
        for _ in range(5):
            scene.act(2)
            scene.sequencer.catch_up()
        connection.commit()
    for _ in range(4):
        scene.sequencer.catch_up()
    assert scene.sql("SELECT position FROM audit_leaves WHERE audit_id = 5") == []
    assert scene.faults() == ["entry 5 was inserted: it is not in the tree, and its place is past"]


@pytest.mark.postgres
def test_a_number_that_nobody_committed_is_no_hole(scene: AuditScene) -> None:
    scene.grow(4)
    with late_writer(scene) as connection:
        connection.rollback()
    scene.act(3)
    for _ in range(4):
        scene.sequencer.catch_up()
    assert scene.sql("SELECT size, swept_id FROM audit_tree") == [(7, 8)]
    assert scene.faults() == []


def test_as_a_chore_it_appends_and_signs_and_once_more_at_the_end(scene: AuditScene) -> None:
    sequencer = Sequencer(scene.vault, Checkpoints(scene.vault, scene.file, 3600))
    rounds = Rounds(Alone(), (sequencer,))
    waiting = threading.Event()
    for _ in range(200):
        if scene.file.path.exists() or waiting.wait(0.05):
            break
    scene.act(3)
    for worker in (rounds, sequencer):  # in this order, as a server does it
        worker.close()
    assert [note.checkpoint.size for note in scene.file.read().notes] == [1, 4]
    assert (scene.size, scene.verify().pending, scene.faults()) == (4, 0, [])


def test_checkpoints_are_written_when_they_are_due_and_something_new_came(scene: AuditScene) -> None:
    often, rarely = (Sequencer(scene.vault, Checkpoints(scene.vault, scene.file, every)) for every in (0, 3600))
    for own in (often, often, rarely):
        own.run()
    assert len(scene.file.read().notes) == 1
    scene.act()
    rarely.run()
    assert len(scene.file.read().notes) == 1
    often.run()
    assert [note.checkpoint.size for note in scene.file.read().notes] == [1, 2]


def test_a_file_that_cannot_be_written_is_logged_once_and_the_tree_grows(
    scene: AuditScene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = CheckpointFile(tmp_path / "nowhere" / "checkpoints")
    own = Sequencer(scene.vault, Checkpoints(scene.vault, file, 0))
    with caplog.at_level(logging.ERROR, "mysafe.audit"):
        for _ in range(3):
            scene.act()
            assert own.run() == REST_SECONDS
    assert scene.size == 4
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the audit tree does not grow, or is not signed"
    ]
    file.path.parent.mkdir()
    own.run()
    assert [note.checkpoint.size for note in file.read().notes] == [4]
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_note_that_was_cut_off_does_not_spoil_the_next_one(scene: AuditScene) -> None:
    scene.grow(3)
    text = scene.file.path.read_bytes()
    for length in (1, len(text) // 2, len(text) - 10):
        scene.file.path.write_bytes(text + text[:length])
        scene.act()
        scene.sign()
        assert len(scene.file.read().notes) == 2
        found = scene.verify()
        assert found.faults == ()
        assert found.stray_lines > 0
        assert scene.independent_faults() == []


def test_what_cannot_be_a_tree_is_said_and_not_grown(scene: AuditScene, caplog: pytest.LogCaptureFixture) -> None:
    scene.grow(3)
    scene.sql("UPDATE audit_tree SET edge = ?", bytes(5))
    scene.act()
    with caplog.at_level(logging.ERROR, "mysafe.audit"):
        scene.sequencer.run()
        scene.sequencer.close()
    assert [record.getMessage() for record in caplog.records] == [
        "the audit tree does not grow, or is not signed: TreeDamaged: the edge of the audit tree does not fit its size"
    ]
    assert len(scene.sql("SELECT position FROM audit_leaves")) == 3


def test_the_state_of_no_tree_is_empty(scene: AuditScene) -> None:
    assert scene.vault.engine.look(audit_tree.read_state).result() == TreeState()
    assert TreeState().open_edge().root() == Edge().root()
    assert list(itertools.islice(scene.file.read().notes, 1)) == []


@pytest.mark.postgres
def test_a_number_that_is_given_again_after_a_crash_is_no_place_that_is_past(scene: AuditScene) -> None:
    """A crash puts the sequence back to where it was on disk, and the sequencer remembers what it saw before."""
    scene.grow(4)
    with late_writer(scene) as connection:
        scene.sequencer.step()
        connection.rollback()
    scene.sql("SELECT setval(pg_get_serial_sequence('audit', 'id'), 4)")
    for _ in range(3):
        scene.sequencer.step()
    scene.act(3)
    scene.sequencer.catch_up()
    assert [row.id for row in scene.rows()] == [1, 2, 3, 4, 5, 6, 7]
    assert (scene.size, scene.faults()) == (7, [])


@pytest.mark.postgres
def test_numbers_that_nobody_committed_are_given_in_a_copy_and_become_leaves(scene: AuditScene, tmp_path: Path) -> None:
    scene.grow(4)
    for _ in range(3):
        with late_writer(scene) as connection:
            connection.rollback()
    for _ in range(4):
        scene.sequencer.step()
    copy = SqliteEngine.create(tmp_path / "copy.db")
    copy_rows(scene.vault.engine, copy, lambda table, rows: None)
    copy.close()
    settings = replace(scene.settings, database=f"sqlite:///{tmp_path / 'copy.db'}")
    with closing(opening.open_vault(settings)) as vault:
        for _ in range(3):
            vault.run(local_operator, lambda uow: uow.registry.permit(Action.AUDIT_READ)).result()
        Sequencer(vault).catch_up()
        found = verifying.verify(vault, scene.file)
    assert (found.entries, found.pending, found.faults) == (7, 0, ())


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_tree SET swept_id = 1000", "is said to hold all entries up to 1000, which there is not"),
        ("INSERT INTO audit_leaves SELECT 4, 900, hash FROM audit_leaves WHERE position = 0", "the leaf 4 is behind"),
        ("INSERT INTO audit_leaves SELECT 90, 5, hash FROM audit_leaves WHERE position = 0", "the leaf 90 is behind"),
        ("INSERT INTO audit_nodes SELECT 8, 0, hash FROM audit_leaves WHERE position = 0", "a leaf or node stands"),
        ("DELETE FROM audit_leaves WHERE position = 3", "the leaf 3 is no longer"),
        ("DELETE FROM audit_tree", "the leaf 3 is behind"),
    ],
)
def test_a_state_that_would_let_rows_be_passed_by_is_said_and_not_believed(
    statement: str, words: str, scene: AuditScene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.grow(4)
    scene.act(2 if "nodes" not in statement else 255)
    scene.sql(statement)
    with caplog.at_level(logging.ERROR, "mysafe.audit"):
        for _ in range(3):  # it is said once, whatever comes meanwhile
            scene.sequencer.run()
            scene.act()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the audit tree does not grow, or is not signed: TreeDamaged: ")
    assert words in said
    assert scene.faults() != []


def test_a_sequencer_that_believes_the_state_passes_rows_by_in_silence(
    scene: AuditScene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_tree, "sound_state", audit_tree.read_state)
    scene.grow(4)
    scene.sql("UPDATE audit_tree SET swept_id = 1000")
    scene.act(2)
    with caplog.at_level(logging.ERROR, "mysafe.audit"):
        scene.sequencer.run()
    assert (scene.size, caplog.records) == (4, [])
