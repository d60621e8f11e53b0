# SPDX-License-Identifier: Apache-2.0
"""T-ROLLBACK: an older or another audit log than the one that was signed is not served, unless that is said aloud.

The control has no file of checkpoints and must see the old database served.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from mysafe.services.audit_tree import checkpoints, starting
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.checkpoints import Checkpoints
from mysafe.services.audit_tree.sequencer import Sequencer
from mysafe.services.audit_tree.starting import RollbackDetected, accept_rollback, check_start
from tests.audit.scene import AuditScene


def roll_back(scene: AuditScene) -> None:
    """Sign, go on, sign again, and bring the log back to the first state."""
    scene.grow(4, 8)
    with scene.rolled_back():
        scene.grow(12, 15)


def fork(scene: AuditScene) -> None:
    """Bring the log back, and let it grow on beyond what was signed."""
    roll_back(scene)
    scene.act(10)
    scene.sequencer.catch_up()
    assert scene.size == 18


@pytest.mark.parametrize(("do", "words"), [(roll_back, "has 8 entries, and had 15"), (fork, "the first 15 entries")])
def test_a_log_that_does_not_extend_the_last_checkpoint_outside_is_not_served(
    do: Callable[[AuditScene], None], words: str, scene: AuditScene
) -> None:
    do(scene)
    with pytest.raises(RollbackDetected, match="rollback or fork detected: ") as refused:
        scene.check_start()
    assert words in str(refused.value)
    assert "--accept-rollback" in str(refused.value)
    assert any("15 entries" in fault for fault in scene.faults())
    assert any("15 entries" in fault for fault in scene.independent_faults())


@pytest.mark.parametrize("do", [roll_back, fork])
def test_without_a_file_of_checkpoints_an_old_log_would_be_served(
    do: Callable[[AuditScene], None], scene: AuditScene
) -> None:
    do(scene)
    check_start(scene.vault, None)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["DELETE FROM audit WHERE id > 6"], "the audit entry 7 was deleted"),
        (["UPDATE audit SET result = 'denied' WHERE id = 7"], "the audit entry 7 was edited"),
        (["DELETE FROM audit_leaves WHERE position > 5"], "a leaf of the audit tree is missing"),
        (["UPDATE audit_leaves SET position = 99 WHERE position = 5"], "a leaf of the audit tree is missing"),
        (["UPDATE audit_tree SET size = 7"], "does not fit its size"),
        (["DELETE FROM audit_tree"], "the audit log has 0 entries, and had 8"),
        (["DELETE FROM audit_tree", "DELETE FROM audit_checkpoints"], "there are leaves behind the end"),
        (["UPDATE audit_tree SET swept_id = 99"], "is said to hold all entries up to 99, which there is not"),
        (["UPDATE audit_checkpoints SET note = 'x'"], "the stored checkpoint of 8 entries is damaged"),
        (["UPDATE audit_checkpoints SET note = replace(note, 'mysafe/', 'mysafe/0')"], "it is one of another vault"),
    ],
)
def test_a_log_whose_end_was_touched_is_not_served(statements: list[str], words: str, scene: AuditScene) -> None:
    scene.grow(4, 8)
    scene.check_start()
    for statement in statements:
        scene.sql(statement)
    with pytest.raises(RollbackDetected, match=words):
        scene.check_start()


def test_rows_that_became_no_leaf_before_a_crash_are_no_rollback(scene: AuditScene) -> None:
    scene.grow(4, 8)
    scene.act(3)
    scene.check_start()
    scene.sequencer.catch_up()
    scene.check_start()


def test_a_file_of_another_vault_is_refused(scene: AuditScene, tmp_path: Path) -> None:
    other = AuditScene(tmp_path / "other")
    try:
        other.grow(4)
    finally:
        other.close()
    scene.grow(8)
    with pytest.raises(RollbackDetected, match="it is one of another vault"):
        check_start(scene.vault, other.file)
    with pytest.raises(RollbackDetected, match="it is one of another vault"):
        accept_rollback(scene.vault, other.file)


def test_a_file_that_cannot_be_read_is_not_taken_for_none(scene: AuditScene, tmp_path: Path) -> None:
    scene.grow(4)
    with pytest.raises(IsADirectoryError):
        check_start(scene.vault, CheckpointFile(tmp_path))


def test_a_rollback_that_is_accepted_is_recorded_and_served(scene: AuditScene) -> None:
    roll_back(scene)
    assert accept_rollback(scene.vault, scene.file) == 7
    scene.check_start()
    scene.grow(20)
    found = scene.verify()
    assert (found.faults, found.given_up) == ((), 2)
    assert scene.independent_faults() == []
    (row,) = [row for row in scene.rows() if row.action == "audit.accept_rollback"]
    assert (row.record_id, row.new_version) == (8, 15)
    assert row.envelope_sha256.hex() == scene.note_digests()[3]


def test_what_was_accepted_excuses_nothing_else(scene: AuditScene) -> None:
    roll_back(scene)
    accept_rollback(scene.vault, scene.file)
    scene.grow(20)
    scene.swap(2, 3)
    scene.forge_tree()
    found = scene.verify()
    texts = [fault.text for fault in found.faults]
    assert "between the checkpoints of 0 and 4 entries in the file, leaves were changed" in texts
    assert found.given_up == 2
    assert any("the first 4 entries" in fault for fault in scene.independent_faults())


def test_a_second_rollback_needs_a_second_acceptance(scene: AuditScene) -> None:
    roll_back(scene)
    accept_rollback(scene.vault, scene.file)
    with scene.rolled_back():
        scene.grow(20)
    with pytest.raises(RollbackDetected):
        scene.check_start()
    accept_rollback(scene.vault, scene.file)
    scene.check_start()
    assert scene.faults() == []
    assert scene.independent_faults() == []
    assert scene.verify().given_up == 3


def test_a_smaller_fork_that_was_accepted_is_excused_when_the_larger_log_is_put_back(scene: AuditScene) -> None:
    """Old backup, accepted and served; then the data directory of before, accepted as well."""
    scene.grow(4)
    old = scene.log()
    scene.grow(20)
    original = scene.log()
    scene.put_back(old)
    accept_rollback(scene.vault, scene.file)
    scene.grow(8)
    scene.put_back(original)
    with pytest.raises(RollbackDetected):
        scene.check_start()
    assert accept_rollback(scene.vault, scene.file) == 4
    scene.check_start()
    scene.grow(25)
    found = scene.verify()
    assert (found.faults, found.given_up) == ((), 2)
    assert [note.checkpoint.size for note in scene.file.read().notes] == [4, 20, 5, 8, 21, 25]
    assert scene.independent_faults() == []


def test_an_acceptance_that_was_removed_excuses_nothing_any_more(scene: AuditScene) -> None:
    roll_back(scene)
    with scene.rolled_back():
        accept_rollback(scene.vault, scene.file)
    with pytest.raises(RollbackDetected):
        scene.check_start()
    assert scene.verify().given_up == 0


def test_there_is_nothing_to_accept_in_a_log_that_only_grew(scene: AuditScene) -> None:
    with pytest.raises(RollbackDetected, match="no rollback to accept"):
        accept_rollback(scene.vault, scene.file)
    scene.grow(4, 8)
    with pytest.raises(RollbackDetected, match="no rollback to accept"):
        accept_rollback(scene.vault, scene.file)
    assert [row.action for row in scene.rows()] == ["vault.create", *["audit.read"] * 7]


def test_nothing_is_signed_that_does_not_extend_what_was_signed(
    scene: AuditScene, caplog: pytest.LogCaptureFixture
) -> None:
    fork(scene)
    before = scene.file.path.read_bytes()
    running = Checkpoints(scene.vault, scene.file, 0)
    with caplog.at_level(logging.ERROR, "mysafe.security"):
        running.write()
        running.write()
    assert scene.file.path.read_bytes() == before
    assert scene.sql("SELECT max(size) FROM audit_checkpoints") == [(8,)]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("no checkpoint is signed: rollback or fork detected: the first 15 entries")


def test_a_signer_that_does_not_look_back_would_sign_a_fork(scene: AuditScene, monkeypatch: pytest.MonkeyPatch) -> None:
    fork(scene)
    monkeypatch.setattr(checkpoints, "check_extends", lambda tx, keys, note: None)
    Checkpoints(scene.vault, scene.file, 0).write()
    monkeypatch.undo()
    scene.check_start()  # the last checkpoint fits again: this is why the signer must look back


def test_a_start_that_does_not_ask_for_a_proof_would_serve_an_old_log(
    scene: AuditScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_back(scene)
    monkeypatch.setattr(starting, "check_extends", lambda tx, keys, note: None)
    scene.check_start()


def test_a_stale_sequencer_goes_on_with_what_the_other_one_left(scene: AuditScene) -> None:
    stale = Sequencer(scene.vault)
    stale.catch_up()
    scene.grow(9)
    scene.act(2)
    stale.catch_up()
    scene.sign()
    assert (scene.size, scene.faults()) == (11, [])
