# SPDX-License-Identifier: Apache-2.0
"""The backups of the cluster and of systemd's timer: what they run is run here, and what it makes is proved."""

import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage
import pytest

from tests.deploy.files import UNITS, manifests, unit
from tests.support.process import Installation

DAY = 86_400


class Night:
    """A vault, a folder for backups, and whoever can open them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "var").mkdir()
        self.vault = Installation(directory / "var")
        self.vault.command("user", "add", "owner")
        self.identity = pyrage.x25519.Identity.generate()
        self.backups = directory / "backups"
        self.backups.mkdir(mode=0o700)
        for folder in ("private", "secrets/keys", "secrets/tls"):
            (directory / folder).mkdir(parents=True)
            (directory / folder / f"{len(folder)}").write_text("x")

    @property
    def environ(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        database = self.vault.settings.database
        chosen = {"MYSAFE_DATABASE": database} if database else {}
        recipient = str(self.identity.to_public())
        return {"PATH": path, "MYSAFE_DATA": str(self.vault.data), "AGE_RECIPIENT": recipient, **chosen}

    def prove(self) -> str:
        """Return the name of the only backup, after it was proved."""
        (file,) = self.backups.glob("mysafe-*.age")
        identity = self.directory / "identity"
        identity.write_text(str(self.identity))
        identity.chmod(0o600)
        assert "is whole" in self.vault.command("backup", "prove", str(file), "--identity", str(identity))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        return file.name


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    made = Night(tmp_path)
    yield made
    made.vault.close()


def cluster_command(night: Night) -> list[str]:
    """Return what the CronJob runs, its directories replaced by those of the night."""
    (job,) = [one for one in manifests() if one["kind"] == "CronJob"]
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (script,) = container["args"]
    for folder, here in (
        ("/backups", night.backups),
        ("/run/mysafe", night.directory / "private"),
        ("/secrets", night.directory / "secrets"),
        ("/var/lib/mysafe/data", night.vault.data),
    ):
        script = script.replace(folder, str(here))
    return [*container["command"], script]


def timer_command(night: Night) -> list[str]:
    """Return what the unit of the timer runs, as systemd reads it."""
    (path,) = [path for path in UNITS if path.name == "mysafe-backup.service"]
    (line,) = unit(path)["ExecStart"]
    text = line.replace("$$", "$").replace("%%", "%").replace("/opt/mysafe/bin/mysafe", "mysafe")
    return shlex.split(text.replace("/var/backups/mysafe/", f"{night.backups}/"))


COMMANDS = pytest.mark.parametrize("command", [cluster_command, timer_command], ids=lambda one: one.__name__)


@COMMANDS
def test_a_night_leaves_a_backup_that_is_whole(night: Night, command: Callable[[Night], list[str]]) -> None:
    subprocess.run(command(night), env=night.environ, check=True, capture_output=True, timeout=60)
    assert night.prove().startswith("mysafe-20")


@COMMANDS
def test_without_a_recipient_there_is_no_backup(night: Night, command: Callable[[Night], list[str]]) -> None:
    environ = night.environ | {"AGE_RECIPIENT": ""}
    done = subprocess.run(command(night), env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode != 0
    assert list(night.backups.iterdir()) == []


def test_the_cluster_removes_backups_that_are_older_than_thirty_days_and_nothing_else(night: Night) -> None:
    ages = {"mysafe-20260101T000000Z.age": 32, "mysafe-20260102T000000Z.age": 29, "other.age": 99}
    for name, days in ages.items():
        (night.backups / name).write_text("x")
        moment = time.time() - days * DAY
        os.utime(night.backups / name, (moment, moment))
    subprocess.run(cluster_command(night), env=night.environ, check=True, capture_output=True, timeout=60)
    names = {path.name for path in night.backups.iterdir()}
    assert len(names) == 3
    assert {"mysafe-20260102T000000Z.age", "other.age"} < names
