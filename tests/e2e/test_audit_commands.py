# SPDX-License-Identifier: Apache-2.0
"""The audit log as an operator sees it: verified, exported, signed beside the server; old states are refused aloud."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.process import Installation

VERIFIER = Path(__file__).parents[2] / "tools" / "verify_audit.py"


class Audited:
    """An installation with a file of checkpoints, and a backup of its beginnings."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.checkpoints = directory / "checkpoints"
        environment = {
            "MYSAFE_AUDIT_CHECKPOINT_FILE": str(self.checkpoints),
            "MYSAFE_AUDIT_CHECKPOINT_SECONDS": "1",
        }
        self.live = Installation(directory, environment=environment, is_on_sqlite=True)
        self.passphrase = directory / "passphrase"
        self.passphrase.write_text("correct horse battery staple\n")
        self.passphrase.chmod(0o600)

    def serve_once(self) -> None:
        """Let a server start and end; it signs what is there."""
        self.live.start()
        assert self.live.stop() == 0

    def restore(self, *options: str) -> tuple[int, str, str]:
        file = str(self.directory / "vault.age")
        return self.live.attempt("restore", file, "--passphrase-file", str(self.passphrase), *options)

    def backup(self) -> None:
        file = str(self.directory / "vault.age")
        self.live.command("backup", file, "--passphrase-file", str(self.passphrase))


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[Audited]:
    made = Audited(tmp_path)
    yield made
    made.live.close()


def refused_start(audited: Audited) -> str:
    status, _, error = audited.live.attempt("serve", "--port", "0")
    assert status == 1
    assert error.count("\n") == 1, error
    return error


def test_the_log_is_verified_exported_and_signed(audited: Audited) -> None:
    live, target = audited.live, audited.directory / "export.jsonl"
    status, _, error = live.attempt("audit", "checkpoint")
    assert (status, "no checkpoint yet" in error) == (1, True)
    live.command("user", "add", "ana")
    live.start()
    live.command("user", "add", "bob")
    _until_signed(audited, 3)
    assert live.stop() == 0
    note = live.command("audit", "checkpoint")
    assert note.startswith("mysafe/")
    assert note in audited.checkpoints.read_text(encoding="utf-8")
    out = live.command("audit", "verify")
    assert out.endswith("the audit log is as it was written\n")
    assert live.command("verify").endswith("records opened and compared with the audit log, 0 faults\n")
    found = json.loads(live.command("audit", "verify", "--json"))
    assert (found["faults"], found["fault_count"], found["pending"]) == ([], 0, 0)
    assert found["stored"] == found["external"] >= 1
    assert "audit tree: it extends the last checkpoint" in live.command("doctor")
    assert "entries" in live.command("audit", "export", str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    key = live.command("audit", "checkpoint", "--key").strip()
    assert independent(target, audited.checkpoints, key) == (0, "the audit log is as it was signed\n")
    assert live.attempt("audit", "export", str(target))[0] == 1
    actions = [json.loads(line)["action"] for line in live.command("audit", "tail", "--json").splitlines()]
    assert {"audit.verify", "audit.export"} <= set(actions)


def _until_signed(audited: Audited, size: int) -> None:
    """Wait until a running server has signed as many entries."""
    patience = threading.Event()
    for _ in range(200):
        text = audited.checkpoints.read_text(encoding="utf-8") if audited.checkpoints.exists() else ""
        if any(int(line) >= size for line in text.splitlines() if line.isdigit()):
            return
        patience.wait(0.05)
    raise AssertionError("the server has not signed the log")


def independent(export: Path, checkpoints: Path, key: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(export), str(checkpoints), "--key", key],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_an_edit_is_found_by_both_and_ends_with_one(audited: Audited) -> None:
    live, target = audited.live, audited.directory / "export.jsonl"
    live.command("user", "add", "ana")
    audited.serve_once()
    with closing(sqlite3.connect(live.data / "vault.db")) as beside, beside:
        beside.execute("UPDATE audit SET actor_id = 7 WHERE id = 2")
    status, out, error = live.attempt("audit", "verify")
    assert (status, error) == (1, "")
    assert out.startswith("fault: entry 2 was edited")
    assert out.endswith("1 faults\n")
    assert json.loads(live.attempt("audit", "verify", "--json")[1])["faults"][0]["entry"] == 2
    status, out, _ = live.attempt("verify", "--json")
    assert status == 1
    found = json.loads(out)
    assert (found["audit"]["fault_count"], found["records"]["faults"]) == (1, ["audit 2 does not open"])
    live.command("audit", "export", str(target))
    key = live.command("audit", "checkpoint", "--key").strip()
    status, out = independent(target, audited.checkpoints, key)
    assert (status, out) == (1, "entry 2 was edited, or put in the place of another one\n")
    status, out, _ = live.attempt("doctor")
    assert status == 1
    assert "unsafe  audit tree: rollback or fork detected: the audit entry 2 was edited" in out
    assert "the audit entry 2 was edited" in refused_start(audited)


def test_an_old_database_is_not_served_until_that_is_accepted(audited: Audited) -> None:
    live = audited.live
    audited.serve_once()
    shutil.copytree(live.data, audited.directory / "old")
    live.command("user", "add", "ana")
    audited.serve_once()
    shutil.rmtree(live.data)
    shutil.copytree(audited.directory / "old", live.data)
    for _ in range(2):
        error = refused_start(audited)
        assert error.startswith("mysafe: rollback or fork detected: the audit log has 1 entries, and had 2")
        assert "--accept-rollback" in error
    assert live.attempt("restore")[0] == 2
    out = live.command("restore", "--accept-rollback")
    assert out == "accepted: up to 1 entries of the audit log are given up, and that is recorded\n"
    audited.serve_once()
    assert "1 checkpoints in the file were given up" in live.command("audit", "verify")
    assert "audit.accept_rollback allowed" in live.command("audit", "tail")
    status, _, error = live.attempt("restore", "--accept-rollback")
    assert (status, "there is no rollback to accept" in error) == (1, True)


def test_doctor_and_the_server_say_when_nothing_shows_an_old_database(audited: Audited) -> None:
    live = audited.live
    audited.serve_once()
    assert "ok      audit tree: it extends the last checkpoint in" in live.command("doctor")
    audited.checkpoints.unlink()
    said = f"there is no checkpoint in {audited.checkpoints}, and there are some in the database"
    assert f"warn    audit tree: {said}" in live.command("doctor")
    live.start()
    assert live.stop() == 0
    assert said in live.log.read_text(encoding="utf-8")
    audited.checkpoints.chmod(0o644)
    status, out, _ = live.attempt("doctor")
    assert (status, "is open to other users (0644): run chmod 600 on it" in out) == (1, True)
    live.environment.clear()
    out = live.command("doctor")
    assert "warn    audit tree: who can write to the database can put an old one back, or make the log anew" in out


def test_without_a_file_of_checkpoints_an_old_database_is_served(audited: Audited) -> None:
    """The control: this is what the file is for."""
    audited.serve_once()
    shutil.copytree(audited.live.data, audited.directory / "old")
    audited.live.command("user", "add", "ana")
    audited.serve_once()
    shutil.rmtree(audited.live.data)
    shutil.copytree(audited.directory / "old", audited.live.data)
    audited.live.environment.clear()
    audited.serve_once()


def test_a_backup_older_than_the_last_checkpoint_is_restored_only_on_demand(audited: Audited) -> None:
    live = audited.live
    audited.serve_once()
    audited.backup()
    live.command("user", "add", "ana")
    audited.serve_once()
    shutil.rmtree(live.data)
    status, _, error = audited.restore("--verify")
    assert (status, live.data.exists()) == (1, False)
    assert "is of a later state than the backup" in error
    assert audited.restore("--verify", "--accept-rollback")[0] == 0
    audited.serve_once()
    assert live.command("audit", "verify").endswith("the audit log is as it was written\n")
    assert "audit.accept_rollback allowed" in live.command("audit", "tail")


def test_the_newest_backup_is_restored_without_a_word(audited: Audited) -> None:
    live = audited.live
    live.command("user", "add", "ana")
    audited.serve_once()
    audited.backup()
    shutil.rmtree(live.data)
    assert audited.restore()[0] == 0
    audited.serve_once()
    found = json.loads(live.command("audit", "verify", "--json"))
    assert (found["fault_count"], found["given_up"]) == (0, 0)
