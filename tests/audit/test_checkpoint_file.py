# SPDX-License-Identifier: Apache-2.0
"""The file of checkpoints: what is missing or torn is said, what was changed is refused, nobody else may hold it."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.checkpoints import Checkpoints
from mysafe.services.audit_tree.sequencer import Sequencer
from mysafe.services.audit_tree.starting import RollbackDetected, doubt_about
from tests.audit.scene import AuditScene


def said_at_the_start(scene: AuditScene, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "mysafe.security"):
        scene.check_start()
    return [record.getMessage() for record in caplog.records]


def test_a_file_that_is_gone_is_said_where_the_database_has_checkpoints(
    scene: AuditScene, caplog: pytest.LogCaptureFixture
) -> None:
    assert said_at_the_start(scene, caplog) == []  # the control: before the first checkpoint there is no file
    scene.grow(4, 8)
    assert said_at_the_start(scene, caplog) == []
    scene.file.path.unlink()
    (said,) = said_at_the_start(scene, caplog)
    assert said.startswith(f"there is no checkpoint in {scene.file.path}, and there are some in the database")
    scene.act()
    scene.sign()
    assert said_at_the_start(scene, caplog) == []


@pytest.mark.parametrize("cut", [1, 30, 100])
def test_an_end_that_is_torn_is_said_and_the_note_before_it_counts(
    cut: int, scene: AuditScene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.grow(4, 8)
    text = scene.file.path.read_bytes()
    scene.file.path.write_bytes(text[: -1 - cut])
    (said,) = said_at_the_start(scene, caplog)
    assert said.startswith(f"the end of {scene.file.path} is no checkpoint")
    scene.grow(9)
    assert said_at_the_start(scene, caplog) == []
    assert (scene.faults(), scene.independent_faults()) == ([], [])


def _spoilt(scene: AuditScene, note: int) -> None:
    """Change one character of the root of a note, so that it is none any more."""
    text = scene.file.path.read_text(encoding="utf-8")
    root = scene.file.read().notes[note].encode().splitlines()[2]
    assert text.count(root) == 1
    scene.file.path.write_text(text.replace(root, "!" + root[1:]), encoding="utf-8")


def test_a_last_note_that_was_changed_is_said_and_verify_finds_it(
    scene: AuditScene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.grow(4, 8)
    _spoilt(scene, 1)
    (said,) = said_at_the_start(scene, caplog)
    assert "the last one was changed" in said
    for found in (scene.faults(), scene.independent_faults()):
        assert any("1 checkpoints in the file were changed" in fault for fault in found)


def test_a_note_before_the_last_that_was_changed_is_refused(scene: AuditScene) -> None:
    scene.grow(4, 8, 12)
    assert doubt_about(scene.vault, scene.file) is None
    _spoilt(scene, 1)
    with pytest.raises(RollbackDetected, match="were changed: put back a copy of the file"):
        scene.check_start()


def test_of_a_long_file_the_end_is_enough(scene: AuditScene, caplog: pytest.LogCaptureFixture) -> None:
    """What is read may begin within a note, which is no damage."""
    scene.grow(4)
    text = scene.file.path.read_bytes()
    scene.file.path.write_bytes(text * 500)
    assert len(scene.file.tail().notes) < 500
    assert said_at_the_start(scene, caplog) == []


@pytest.mark.parametrize("mode", [0o640, 0o602, 0o644, 0o666])
def test_a_file_that_others_may_read_or_write_is_not_used(mode: int, scene: AuditScene) -> None:
    scene.grow(4)
    scene.act()
    scene.file.path.chmod(mode)
    for use in (scene.check_start, scene.sign, scene.verify):
        with pytest.raises(PermissionError, match=f"open to other users \\({mode:04o}\\): run chmod 600"):
            use()
    scene.file.path.chmod(0o600)
    scene.check_start()
    scene.sign()


def test_a_symbolic_link_and_a_pipe_are_not_used(scene: AuditScene) -> None:
    scene.grow(4)
    file = scene.file.path
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))
    with pytest.raises(OSError, match="symbolic link"):
        scene.check_start()
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(OSError, match="not a regular file"):
        scene.check_start()


@contextmanager
def held(scene: AuditScene) -> Iterator[None]:
    """Lock the file of checkpoints, as any process may that can read it."""
    with scene.file.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def test_who_holds_the_file_keeps_neither_the_tree_nor_the_end_waiting(
    scene: AuditScene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.grow(4)
    scene.act(3)
    own = Sequencer(scene.vault, Checkpoints(scene.vault, CheckpointFile(scene.file.path, lock_seconds=0.1), 0))
    began = time.monotonic()
    with held(scene), caplog.at_level(logging.ERROR, "mysafe.audit"):
        own.run()
        own.close()
    assert time.monotonic() - began < 5
    assert scene.size == 7
    assert "the file of checkpoints is locked by another process" in caplog.text
    assert len(scene.file.read().notes) == 1
    own.run()
    assert [note.checkpoint.size for note in scene.file.read().notes] == [4, 7]
