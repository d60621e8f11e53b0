# SPDX-License-Identifier: Apache-2.0
"""Slots of the root key: added and removed with a row in the audit log, never the last one, never two of a kind."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mysafe import making, opening
from mysafe.config import Settings
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.key_file import KeyFileProvider
from mysafe.crypto.root_key.private_file import write_private
from mysafe.crypto.root_key.provider import RootKeyRefused, new_root_key
from mysafe.domain.errors import Busy, NotFound, WrongState
from mysafe.domain.secret_text import SecretText
from mysafe.services import audit_trail
from mysafe.services.authentication import local_operator
from mysafe.services.keys import KeysRefused, OpenRoot, find_slot, open_root, slot_bound, wrap_slot
from mysafe.services.root import kit, slots
from mysafe.services.root.slots import RememberedRoot
from mysafe.services.rotation import root_change
from mysafe.services.rotation.root_change import NewSlots
from mysafe.services.vault import Vault
from mysafe.storage import vault_state
from mysafe.storage.engine import Transaction
from mysafe.storage.vault_state import SlotRow
from tests.unit.crypto.root_key.scene import PASSPHRASE, knows


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(tmp_path / "data")
    making.initialise(settings)
    return settings


@pytest.fixture
def vault(settings: Settings) -> Iterator[Vault]:
    vault = opening.open_vault(settings)
    yield vault
    vault.close()


def key_file(settings: Settings) -> KeyFileProvider:
    return KeyFileProvider(settings.data.with_name("data.key"))


def nothing() -> None:
    """Keep nothing."""


def add_passphrase(vault: Vault, settings: Settings) -> int:
    return slots.add_slot(vault, key_file(settings), knows(PASSPHRASE), nothing)


def remove(vault: Vault, number: int) -> list[slots.Slot]:
    return vault.run(local_operator, partial(slots.remove_slot, slot_id=number)).result()


def actions(vault: Vault) -> list[str]:
    entries = vault.run(local_operator, partial(audit_trail.tail, limit=50)).result()
    return [f"{entry.action} {entry.result} {entry.record_kind} {entry.record_id}" for entry in entries]


def test_a_second_slot_opens_the_same_vault(vault: Vault, settings: Settings) -> None:
    assert add_passphrase(vault, settings) == 2
    opened = opening.open_vault(settings, provider=knows(PASSPHRASE))
    assert opened.keys.vault_id == vault.keys.vault_id
    opened.close()
    shown = opening.read_slots(settings)
    assert [(slot.id, slot.provider, slot.is_recovering) for slot in shown] == [
        (1, "keyfile", False),
        (2, "passphrase", False),
    ]
    assert shown[1].terms == "Argon2id m=64 MiB t=3 p=1"
    with pytest.raises(KeysRefused, match="wrong passphrase"):
        opening.open_vault(settings, provider=knows("another passphrase"))


def test_there_is_one_slot_of_a_provider_so_that_nothing_is_tried(vault: Vault, settings: Settings) -> None:
    add_passphrase(vault, settings)
    with pytest.raises(KeysRefused, match="remove it first"):
        add_passphrase(vault, settings)
    root = vault.engine.look(partial(open_root, provider=key_file(settings))).result()
    late = wrap_slot(knows(PASSPHRASE), root.root_key, root.vault_id, 9, 0)
    with pytest.raises(Busy):
        vault.run(local_operator, lambda uow: uow.registry.root.add_slot(late, vault.keys.version)).result()
    assert len(opening.read_slots(settings)) == 2


def test_a_missing_slot_is_told_with_those_there_are(vault: Vault) -> None:
    with pytest.raises(KeysRefused, match="no slot for the root key provider shamir; it has keyfile: set"):
        vault.engine.look(partial(find_slot, provider="shamir")).result()


def test_a_slot_is_removed_but_never_the_last_one(vault: Vault, settings: Settings) -> None:
    with pytest.raises(WrongState, match="only slot"):
        remove(vault, 1)
    add_passphrase(vault, settings)
    for number in (7, 2**70):
        with pytest.raises(NotFound):
            remove(vault, number)
    assert [slot.provider for slot in remove(vault, 1)] == ["passphrase"]
    with pytest.raises(KeysRefused, match="it has passphrase"):
        opening.open_vault(settings)
    opening.open_vault(settings, provider=knows(PASSPHRASE)).close()


def test_every_change_of_slots_is_recorded_refused_or_not(vault: Vault, settings: Settings) -> None:
    with pytest.raises(WrongState):
        remove(vault, 1)
    add_passphrase(vault, settings)
    remove(vault, 1)
    seen = actions(vault)
    assert seen[-3:-1] == ["slot.add allowed slot 2", "slot.remove allowed slot 1"] or seen[-2:] == [
        "slot.add allowed slot 2",
        "slot.remove allowed slot 1",
    ]
    assert "slot.remove conflict slot 1" in seen


def test_what_people_must_keep_is_kept_before_the_slot_is_stored(vault: Vault, settings: Settings) -> None:
    def full() -> None:
        raise RootKeyRefused("the recovery kit cannot be written: No space left on device")

    with pytest.raises(RootKeyRefused):
        slots.add_slot(vault, key_file(settings), knows(PASSPHRASE), full)
    assert len(opening.read_slots(settings)) == 1


def new_slots(settings: Settings, shares: tuple[int, int] | None = None) -> NewSlots:
    """Return how slots are made anew, as `rotate-keys --root --renew-slots` does it."""
    opener = partial(opening.slot_opener, settings)
    provider = partial(opening.resealing_provider, settings, ask=lambda what: SecretText(PASSPHRASE), shares=shares)
    return NewSlots(opener, provider, None, are_renewed=True, are_dropped=False, are_terms_said=shares is not None)


def test_a_slot_that_somebody_without_the_root_key_put_there_is_not_made_anew(tmp_path: Path) -> None:
    """Whoever writes in the database, and can put a key file where one is looked for, would get the next root key."""
    file = tmp_path / "passphrase"
    write_private(file, PASSPHRASE.encode() + b"\n", "file")
    settings = Settings(tmp_path / "data", root_provider="passphrase", passphrase_file=file)
    making.initialise(settings)
    vault = opening.open_vault(settings)
    try:
        planted = SlotRow(7, "keyfile", "{}", b"\x00", 1)
        vault.engine.submit(lambda tx: vault_state.write_slot(tx, planted)).result()
        with pytest.raises(KeysRefused, match=r"slot 7 \(keyfile\) does not open this vault"):
            root_change.prepare(vault, new_slots(settings))
        assert not opening.key_path(settings).exists()
        KeyFileProvider.create(opening.key_path(settings))
        with pytest.raises(KeysRefused, match="slot 7"):
            root_change.prepare(vault, new_slots(settings))
    finally:
        vault.close()


def lower_the_threshold(vault: Vault) -> None:
    """Do what somebody can who writes in the database: make the slot say that two shares open."""
    (row,) = (row for row in vault.engine.look(vault_state.read_slots).result() if row.provider == "shamir")
    at = len(b"MR\x01\x03")
    lowered = row._replace(wrapped=row.wrapped[:at] + b"\x02" + row.wrapped[at + 1 :])

    def write(tx: Transaction) -> None:
        vault_state.remove_slot(tx, row.slot_id)
        vault_state.write_slot(tx, lowered)

    vault.engine.submit(write).result()


def test_how_many_shares_open_is_said_by_people_and_never_by_the_slot(vault: Vault, settings: Settings) -> None:
    made = opening.slot_provider(settings, "shamir", shares=(5, 7)).provider
    slots.add_slot(vault, key_file(settings), made, nothing)
    lower_the_threshold(vault)
    assert [slot.terms for slot in opening.read_slots(settings)] == ["", "2 of 7 shares"]
    with pytest.raises(KeysRefused, match=r"slot 2 \(shamir\) says 2 of 7 shares, .* --shares T/N"):
        root_change.prepare(vault, new_slots(settings))
    root_change.store(vault, root_change.prepare(vault, new_slots(settings, (5, 7))))
    assert [slot.terms for slot in opening.read_slots(settings)] == ["", "5 of 7 shares"]


def test_terms_for_shares_that_are_not_there_are_refused(vault: Vault, settings: Settings) -> None:
    with pytest.raises(KeysRefused, match="no slot of shares to make anew"):
        root_change.prepare(vault, new_slots(settings, (5, 7)))


def test_a_slot_for_a_root_key_that_was_replaced_meanwhile_is_not_stored(vault: Vault, settings: Settings) -> None:
    def rotate() -> None:
        root_change.store(vault, root_change.prepare(vault, new_slots(settings)))

    with pytest.raises(Busy):
        slots.add_slot(vault, RememberedRoot(key_file(settings)), knows(PASSPHRASE), rotate)
    assert [slot.provider for slot in opening.read_slots(settings)] == ["keyfile"]


def test_a_renewed_passphrase_never_comes_from_the_file_that_has_the_old_one(
    tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "passphrase"
    write_private(file, b"the old passphrase, long enough\n", "file")
    settings = dataclasses.replace(settings, passphrase_file=file)
    asked: list[str] = []

    def ask(what: str) -> SecretText:
        asked.append(what)
        return SecretText("the new passphrase, long enough")

    renewed = opening.resealing_provider(settings, "passphrase", ask).provider
    blob = renewed.wrap(new_root_key(), b"")
    assert asked == ["new passphrase"]
    opening.slot_provider(settings, "passphrase", ask).provider.wrap(new_root_key(), b"")
    assert asked == ["new passphrase"]  # the control: a new slot of a machine takes it from the file
    with pytest.raises(SealBroken):
        opening.slot_provider(settings, "passphrase", ask).provider.unwrap(blob, b"")


def test_slots_are_made_anew_for_another_root_key_as_far_as_their_people_are_there(
    vault: Vault, settings: Settings
) -> None:
    add_passphrase(vault, settings)
    rows = vault.engine.look(vault_state.read_slots).result()
    root = OpenRoot(vault.keys.vault_id, new_root_key(), vault.keys)
    resealed = slots.reseal_slots(rows, root, {"keyfile": key_file(settings)}, 7)
    assert [slot.provider for slot in resealed.left_out] == ["passphrase"]
    (row,) = resealed.slots
    assert (row.slot_id, row.created_at) == (1, 7)
    assert key_file(settings).unwrap(row.wrapped, slot_bound(root.vault_id, row)) == root.root_key
    assert repr(root) == "OpenRoot(***)"


def test_a_kit_is_never_in_the_data_directory_nor_over_a_file(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "link").symlink_to(settings.data)
    for place in (settings.data / "kit", tmp_path / "link" / "kit"):
        with pytest.raises(RootKeyRefused, match="data directory"):
            kit.check_place(place, settings.data)
    with pytest.raises(RootKeyRefused, match="never replaces"):
        kit.check_place(tmp_path / "data.key", settings.data)
    kit.check_place(tmp_path / "kit", settings.data)
