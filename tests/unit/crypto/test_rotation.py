# SPDX-License-Identifier: Apache-2.0
"""An epoch goes from staged to destroyed, one version of the keyring at a time, and data keys follow it."""

import pytest

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.keyring import EpochInfo, EpochState, Keyring
from mysafe.crypto.records import RecordCipher
from tests.unit.crypto.scene import ADDRESS, META, SECRET, VAULT

ROOT = bytes(range(32))


def test_an_epoch_is_staged_activated_and_the_one_before_destroyed() -> None:
    first = Keyring.create()
    staged = first.staged()
    active = staged.activated()
    alone = active.without_retired()
    assert [ring.version for ring in (first, staged, active, alone)] == [1, 2, 3, 4]
    assert staged.epochs == (EpochInfo(1, EpochState.ACTIVE), EpochInfo(2, EpochState.STAGED))
    assert active.epochs == (EpochInfo(1, EpochState.DECRYPT_ONLY), EpochInfo(2, EpochState.ACTIVE))
    assert alone.epochs == (EpochInfo(1, EpochState.DESTROYED), EpochInfo(2, EpochState.ACTIVE))
    assert active.kek(2).open(staged.kek(2).seal(b"x", b""), b"") == b"x"
    with pytest.raises(SealBroken):
        alone.kek(1)
    assert alone._single_keys == first._single_keys


def test_the_key_of_a_destroyed_epoch_is_not_in_the_sealed_form() -> None:
    active = Keyring.create().staged().activated()
    (kek,) = (epoch.kek for epoch in active._epochs if epoch.number == 1)
    alone = active.without_retired()
    opened = Keyring.open(ROOT, VAULT, alone.version, alone.seal(ROOT, VAULT))
    assert kek in {epoch.kek for epoch in active._epochs}
    assert kek not in {epoch.kek for epoch in opened._epochs}


def test_two_epochs_are_never_staged_and_none_is_activated_that_is_not() -> None:
    staged = Keyring.create().staged()
    with pytest.raises(ValueError, match="staged already"):
        staged.staged()
    with pytest.raises(ValueError, match="no epoch is staged"):
        Keyring.create().activated()


def test_a_renewed_keyring_has_the_same_keys_and_opens_under_another_root_key() -> None:
    before = Keyring.create()
    after = before.renewed()
    sealed = after.seal(ROOT, VAULT)
    assert Keyring.open(ROOT, VAULT, 2, sealed)._epochs == before._epochs
    with pytest.raises(SealBroken):
        Keyring.open(bytes(32), VAULT, 2, sealed)


def test_a_rewrapped_data_key_opens_the_same_parts_without_the_old_epoch() -> None:
    first = Keyring.create()
    sealed = RecordCipher(VAULT, first).seal(ADDRESS, META, SECRET)
    active = first.staged().activated()
    dek = RecordCipher(VAULT, active).rewrap(ADDRESS, sealed.dek)
    alone = RecordCipher(VAULT, active.without_retired())
    key = alone.unwrap(ADDRESS, dek)
    assert (key.open_meta(sealed.meta), key.open_secret(sealed.secret or b"")) == (META, SECRET)
    with pytest.raises(SealBroken):
        alone.unwrap(ADDRESS, sealed.dek)


def test_a_data_key_of_another_record_is_not_rewrapped() -> None:
    cipher = RecordCipher(VAULT, Keyring.create())
    dek = cipher.seal(ADDRESS, META, SECRET).dek
    for other in (ADDRESS._replace(record_id=13), ADDRESS._replace(version=4), ADDRESS._replace(record_id=-1)):
        with pytest.raises(SealBroken):
            cipher.rewrap(other, dek)
    with pytest.raises(SealBroken):
        cipher.rewrap(ADDRESS, dek[:-1])
