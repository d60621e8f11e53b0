# SPDX-License-Identifier: Apache-2.0
"""Backups of a vault that is not as it should be: what is lost, broken or old is said, and never called whole."""

import os
import shutil
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import apsw
import pyrage
import pytest

from mysafe import backups, opening
from mysafe.backups import Restored, Terms
from mysafe.config import load_settings
from mysafe.crypto import age
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts import users
from mysafe.services.audit_tree import verifying
from mysafe.services.audit_tree.sequencer import append_own_rows
from mysafe.services.audit_tree.verifying import Verified
from mysafe.services.authentication import local_operator
from mysafe.services.backup.archive import BackupRefused
from mysafe.services.backup.restoring import Opening
from mysafe.services.backup.taking import Sealing, Taken
from mysafe.services.root import slots
from tests.support.file_client import upload
from tests.support.server import RunningServer


class Still:
    """A vault with two items and two files that nobody serves, and a place for what is made of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = load_settings({"data": directory / "data"}, {}, None)
        server = RunningServer(directory)
        try:
            token = server.new_token(server.new_actor())
            for number in range(2):
                upload(server, token, os.urandom(200_000), file_name=f"f{number}")
            username = server.new_actor()
            (self.old_row,) = self.rows("SELECT * FROM users ORDER BY id DESC LIMIT 1")
            for is_active in (False, True):
                work = partial(users.set_active, username=username, is_active=is_active)
                server.vault.run(local_operator, work).result()
        finally:
            server.close()
        self.blobs = sorted(path for path in (directory / "data" / "blobs").rglob("*") if path.is_file())
        self.identity = pyrage.x25519.Identity.generate()
        self.file = directory / "vault.age"
        self.means = Opening(identity=SecretText(str(self.identity)))

    def take(self) -> Taken:
        return backups.take(self.settings, self.file, Sealing(recipient=str(self.identity.to_public())))

    def prove(self) -> Restored:
        return backups.prove(self.settings, self.file, self.means)

    def restore(self, provider: RootKeyProvider | None = None) -> Restored:
        to = replace(self.settings, data=self.directory / "new", key_file=self.directory / "data.key")
        return backups.restore(to, self.file, self.means, Terms(provider))

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run a statement on the file of the database, past the vault."""
        with closing(apsw.Connection(str(self.settings.data / "vault.db"))) as connection:
            return connection.execute(statement, values).fetchall()


@pytest.fixture
def still(tmp_path: Path) -> Still:
    return Still(tmp_path)


on_sqlite = pytest.mark.sqlite("it changes the file of a SQLite database; what is tested is the same on both")


@on_sqlite
def test_a_content_that_the_vault_lost_is_missed_and_proves_nothing(still: Still) -> None:
    still.blobs[0].unlink()
    still.blobs[1].write_bytes(still.blobs[1].read_bytes()[:-1])
    assert len(still.take().lost) == 2
    restored = still.prove()
    assert len(restored.unpacked.lost) == 2
    assert backups.last(still.settings, "taken") == backups.last(still.settings, "proved") == backups.Last()
    assert still.restore().opened is not None  # everything else is there


@on_sqlite
def test_a_content_that_does_not_open_is_found(still: Still) -> None:
    data = bytearray(still.blobs[0].read_bytes())
    data[100_000] ^= 1
    still.blobs[0].write_bytes(data)
    assert still.take().lost == ()
    with pytest.raises(BackupRefused, match="1 contents of files do not open"):
        still.prove()


@on_sqlite
def test_an_old_row_in_a_new_vault_is_found_by_its_audit_log(still: Still) -> None:
    """The user was disabled after the row was written that is put back: it opens, and it must not count."""
    still.take()
    assert still.prove().opened is not None  # the control
    still.file.unlink()
    number = still.old_row[0]
    still.rows("DELETE FROM users WHERE id = ?", number)
    still.rows(f"INSERT INTO users VALUES ({', '.join('?' * len(still.old_row))})", *still.old_row)
    still.take()
    with pytest.raises(BackupRefused, match=f"first users {number} has version 1, and had 3: it was put back"):
        still.prove()


def _put_back_unwitnessed(still: Still) -> None:
    """Put the old row of a user back, and remove what the audit log says of the newer ones."""
    still.rows("DELETE FROM users WHERE id = ?", still.old_row[0])
    still.rows(f"INSERT INTO users VALUES ({', '.join('?' * len(still.old_row))})", *still.old_row)
    still.rows("DELETE FROM audit WHERE action IN ('user.disable', 'user.enable')")


@on_sqlite
def test_an_old_row_whose_newer_ones_were_removed_from_the_audit_log_is_found(still: Still) -> None:
    with closing(opening.open_vault(still.settings)) as vault:
        append_own_rows(vault)
    still.take()
    assert still.prove().opened is not None  # the control
    still.file.unlink()
    with closing(opening.open_vault(still.settings)) as vault:
        append_own_rows(vault)
    _put_back_unwitnessed(still)
    still.take()
    for check in (still.prove, still.restore):
        with pytest.raises(BackupRefused, match="its audit log is not as it was written: 2 faults, first: entry"):
            check()
    assert not (still.directory / "new").exists()


@on_sqlite
def test_records_alone_do_not_show_an_old_row_without_a_witness(still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opening.open_vault(still.settings)) as vault:
        append_own_rows(vault)
    _put_back_unwitnessed(still)
    still.take()
    monkeypatch.setattr(verifying, "replay", lambda tx, keys, file: Verified(0, 0, 0, 0, 0, 0, (), 0))
    assert still.prove().opened is not None


@on_sqlite
def test_a_row_that_was_removed_is_missed(still: Still) -> None:
    still.rows("DELETE FROM items WHERE kind = 'file' AND id = 1")
    still.take()
    with pytest.raises(BackupRefused, match="file 1 is gone: it had version 1"):
        still.prove()


@on_sqlite
def test_a_recovery_code_and_a_backup_restore_a_vault_whose_machine_is_lost(still: Still) -> None:
    vault = opening.open_vault(still.settings)
    try:
        made = opening.slot_provider(still.settings, "recovery")
        slots.add_slot(vault, opening.root_provider(still.settings), made.provider, lambda: None)
        (code,) = made.printed()
    finally:
        vault.close()
    still.take()
    still.directory.joinpath("data.key").unlink()
    with pytest.raises(RootKeyRefused):
        still.restore()  # the control: without the code there is no way
    shutil.rmtree(still.settings.data)
    still.settings = replace(still.settings, root_provider="recovery")
    assert still.restore(opening.root_provider(still.settings, lambda what: code)).opened is not None


def test_a_secret_file_that_others_may_read_and_a_short_passphrase_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("long enough to be one\n")
    file.chmod(0o644)
    with pytest.raises(BackupRefused, match="chmod 600"):
        backups.read_secret(file)
    file.chmod(0o600)
    age.check_passphrase(backups.read_secret(file))
    with pytest.raises(age.AgeRefused, match="at least 15"):
        age.check_passphrase(SecretText("x" * 14))
