# SPDX-License-Identifier: Apache-2.0
"""`mysafe keys` and `mysafe rotate-keys`, as processes: what they print and refuse, and what is gone afterwards."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from mysafe import opening
from mysafe.config import Settings, load_settings
from mysafe.crypto.root_key.passphrase import RecoveryProvider
from mysafe.crypto.root_key.provider import RootKeyProvider
from mysafe.domain.errors import Sealed
from mysafe.domain.secret_text import SecretText
from mysafe.opening import root_provider
from mysafe.services.authentication import local_operator
from mysafe.services.keys import KeysRefused
from mysafe.services.rotation import epochs
from mysafe.services.rotation.pulse import Pulse
from mysafe.services.vault import Vault
from tests.support import databases
from tests.support.process import COMMAND


class Place:
    """A vault that nobody serves."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.database = databases.chosen()
        assert self.run("init")[0] == 0

    def run(self, *arguments: str) -> tuple[int, str, str]:
        options = [word for name, value in self.database.items() for word in (f"--{name}", str(value))]
        done = subprocess.run(
            [*COMMAND, *arguments, "--data", str(self.data), *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    def done(self, *arguments: str) -> str:
        status, out, err = self.run(*arguments)
        assert (status, err) == (0, "")
        return out

    def settings(self, **others: object) -> Settings:
        return load_settings({"data": self.data, **self.database, **others}, {}, None)

    def opens(self, provider: RootKeyProvider | None = None, **others: object) -> bool:
        try:
            opening.open_vault(self.settings(**others), provider=provider).close()
        except KeysRefused:
            return False
        return True


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_epochs_are_listed_with_state_time_and_what_uses_them(place: Place) -> None:
    place.done("user", "add", "ana")
    assert re.fullmatch(r"epoch 1  active  since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  1 users\n", place.done("keys"))
    assert place.done("rotate-keys") == "epoch 2 is active; 1 rows rewrapped; epoch 1 is destroyed\n"
    first, second = (json.loads(line) for line in place.done("keys", "--json").splitlines())
    assert (first["epoch"], first["state"], first["rows"]) == (1, "destroyed", {})
    assert (second["epoch"], second["state"], second["rows"]) == (2, "active", {"users": 1})
    recorded = [json.loads(line)["action"] for line in place.done("audit", "tail", "--json").splitlines()]
    steps = [action for action in recorded if action.startswith("key.") and action != "key.list"]
    assert steps == ["key.stage", "key.activate", "key.rewrap", "key.destroy"]


def test_an_old_copy_of_the_database_does_not_open_with_the_new_key(place: Place, tmp_path: Path) -> None:
    new, of_copy = tmp_path / "new.key", databases.copied(place.settings(), tmp_path)
    place.done("rotate-keys", "--root", "--new-key-file", str(new))
    assert place.opens(key_file=new)
    assert not place.opens(key_file=new, database=of_copy)
    assert not place.opens()
    assert place.opens(database=of_copy), "the copy is whole: it is the key that does not open it"


def test_slots_of_people_are_neither_lost_nor_asked_for_silently(place: Place) -> None:
    place.done("keys", "add-slot", "--provider", "recovery")
    status, out, err = place.run("rotate-keys", "--root")
    assert (status, out) == (1, "")
    assert "these slots would be lost, because people have their key: 2 (recovery)" in err
    printed = place.done("rotate-keys", "--root", "--renew-slots")
    found = re.search("recovery code, shown once: ([0-9A-Z-]+)", printed)
    assert found
    code = SecretText(found[1])
    assert place.opens(RecoveryProvider(lambda what: code), root_provider="recovery")
    assert "dropped slot 2" in place.done("rotate-keys", "--root", "--drop-slots")
    assert place.done("keys", "slots").count("\n") == 1
    assert place.opens()


def test_shares_are_made_anew_as_many_as_is_said_and_only_if_it_is_said(place: Place, tmp_path: Path) -> None:
    place.done("keys", "add-slot", "--provider", "shamir", "--shares", "5/7")
    new_key = tmp_path / "new.key"
    status, out, err = place.run("rotate-keys", "--root", "--renew-slots", "--new-key-file", str(new_key))
    assert (status, out) == (1, "")
    assert "slot 2 (shamir) says 5 of 7 shares" in err
    assert "say with --shares T/N" in err
    assert not new_key.exists()
    assert place.done("rotate-keys", "--root", "--renew-slots", "--shares", "5/7").endswith(
        "made slot 2 anew for the provider shamir: 5 of 7 shares\n"
    )
    assert place.done("rotate-keys", "--root", "--renew-slots", "--shares", "3/4").endswith(
        "made slot 2 anew for the provider shamir: 3 of 4 shares; the slot before said 5 of 7 shares\n"
    )
    status, out, err = place.run("rotate-keys", "--root", "--shares", "3/4")
    assert (status, out, err) == (2, "", "mysafe: --shares goes with --renew-slots\n")


def test_what_goes_with_the_root_key_is_refused_without_it(place: Place) -> None:
    for flag in (["--renew-slots"], ["--drop-slots"], ["--kit", "f"], ["--new-key-file", "f"]):
        status, out, err = place.run("rotate-keys", *flag)
        assert (status, out) == (2, "")
        assert "go with --root" in err


# -- a process whose root key was changed ------------------------------------------------------------------------------


def changes_nothing(vault: Vault) -> None:
    vault.run(local_operator, lambda uow: None).result()


def test_a_process_goes_on_after_the_root_key_changed_and_stops_when_another_epoch_is_active(place: Place) -> None:
    vault = opening.open_vault(place.settings())
    try:
        place.done("rotate-keys", "--root")
        changes_nothing(vault)
        place.done("rotate-keys")
        with pytest.raises(Sealed):
            changes_nothing(vault)
    finally:
        vault.close()


def test_a_pulse_asks_the_provider_for_the_new_root_key_and_says_what_is_loaded(place: Place) -> None:
    settings = place.settings()
    vault = opening.open_vault(settings)
    pulse = Pulse(vault, root_provider(settings))
    try:
        place.done("rotate-keys", "--root")
        pulse.beat()
        epochs.wait_for_servers(vault, 2, 0)
        place.done("rotate-keys")
        changes_nothing(vault)
    finally:
        pulse.close()
        vault.close()


def test_a_rotation_waits_for_a_server_that_does_not_load_the_new_key(place: Place, tmp_path: Path) -> None:
    settings = place.settings()
    vault = opening.open_vault(settings)
    pulse = Pulse(vault, root_provider(settings))
    other = opening.open_vault(settings)
    try:
        vault.keychain.load = lambda *arguments: None  # type: ignore[method-assign]  # it hears of nothing
        with pytest.raises(epochs.RotationRefused, match="has not loaded the new keyring"):
            epochs.rotate(other, lambda progress: None, wait_seconds=0)
    finally:
        pulse.close()
        other.close()
        vault.close()
    assert "finished the rotation that was interrupted" in place.done("rotate-keys")
