# SPDX-License-Identifier: Apache-2.0
"""The keyring opens with its own root key, vault and version, byte for byte, or not at all."""

import pickle

import pytest

from mysafe.crypto.aead import SealBroken, XaesKey, associated_data
from mysafe.crypto.keyring import EpochState, Keyring, _commitment
from tests.unit.crypto.scene import ONE_EPOCH, OTHER_VAULT, VAULT, flips, keyring, stream

ROOT = bytes(range(32))
KEYRING = keyring({1: EpochState.DESTROYED, 2: EpochState.DECRYPT_ONLY, 3: EpochState.ACTIVE, 9: EpochState.STAGED})
SEALED = KEYRING.seal(ROOT, VAULT)

KEK, SINGLE = b"k" * 32, b"".join(bytes([number]) * 32 for number in range(1, 6))
EPOCH = b"\0\0\0\x01\x02" + KEK
NEXT = b"\0\0\0\x02\x02" + KEK


def contents(opened: Keyring) -> tuple[object, ...]:
    return (
        opened.version,
        opened.active_epoch,
        opened._epochs,
        opened.index_key,
        opened.verifier_key,
        opened.csrf_key,
        opened.checkpoint_key.private_bytes_raw(),
    )


def sealed_plaintext(plaintext: bytes) -> bytes:
    """Seal any bytes as if they were a keyring, with the right key, associated data and commitment."""
    sealed = XaesKey(ROOT).seal(plaintext, associated_data("keyring", VAULT, 1))
    return b"MK\x01\x01" + _commitment(ROOT, VAULT, 1, sealed) + sealed


def test_what_was_sealed_opens() -> None:
    opened = Keyring.open(ROOT, VAULT, 1, SEALED)
    assert contents(opened) == contents(KEYRING)
    assert opened.active_epoch == 3
    assert opened.audit_key.open(KEYRING.audit_key.seal(b"x", b""), b"") == b"x"
    for epoch in (2, 3, 9):
        assert opened.kek(epoch).open(KEYRING.kek(epoch).seal(b"x", b""), b"") == b"x"


@pytest.mark.parametrize("epoch", [0, 1, 4, 2**32])
def test_an_unknown_or_destroyed_epoch_has_no_key(epoch: int) -> None:
    with pytest.raises(SealBroken):
        Keyring.open(ROOT, VAULT, 1, SEALED).kek(epoch)


def test_every_flipped_bit_is_detected() -> None:
    for altered in flips(SEALED):
        with pytest.raises(SealBroken):
            Keyring.open(ROOT, VAULT, 1, altered)


@pytest.mark.parametrize("blob", [b"", SEALED[:4], SEALED[:36], SEALED[:75], SEALED[:-1], SEALED + b"\0", SEALED[1:]])
def test_a_shorter_or_longer_blob_is_detected(blob: bytes) -> None:
    with pytest.raises(SealBroken):
        Keyring.open(ROOT, VAULT, 1, blob)


@pytest.mark.parametrize(
    ("root", "vault", "version"),
    [(bytes(32), VAULT, 1), (ROOT[:31], VAULT, 1), (ROOT, OTHER_VAULT, 1), (ROOT, VAULT, 2), (ROOT, VAULT, -1)],
    ids=["root key", "short root key", "vault", "version", "impossible version"],
)
def test_another_root_key_vault_or_version_does_not_open(root: bytes, vault: bytes, version: int) -> None:
    with pytest.raises(SealBroken):
        Keyring.open(root, vault, version, SEALED)


def test_the_commitment_alone_refuses() -> None:
    other = _commitment(bytes(32), VAULT, 1, SEALED[36:])
    assert XaesKey(ROOT).open(SEALED[36:], associated_data("keyring", VAULT, 1))  # without it, this would open
    with pytest.raises(SealBroken):
        Keyring.open(ROOT, VAULT, 1, SEALED[:4] + other + SEALED[36:])


def test_the_associated_data_alone_refuses() -> None:
    unbound = XaesKey(ROOT).seal(b"\0\x01" + EPOCH + SINGLE, b"")
    with pytest.raises(SealBroken):
        Keyring.open(ROOT, VAULT, 1, b"MK\x01\x01" + _commitment(ROOT, VAULT, 1, unbound) + unbound)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"\0",
        b"\0\0" + SINGLE,
        b"\0\x02" + EPOCH + SINGLE,
        b"\0\x01" + EPOCH + SINGLE + b"\0",
        b"\0\x01" + EPOCH + SINGLE[:-1],
        b"\0\x01" + EPOCH.replace(b"\x02", b"\x03", 1) + SINGLE,
        b"\0\x01" + EPOCH.replace(b"\x02", b"\x05", 1) + SINGLE,
        b"\0\x01" + EPOCH.replace(b"\x01", b"\0", 1) + SINGLE,
        b"\0\x01" + EPOCH[:5] + bytes(32) + SINGLE,
        b"\0\x02" + EPOCH + NEXT + SINGLE,
        b"\0\x02" + EPOCH + NEXT[:4] + b"\x04" + KEK + SINGLE,
        b"\0\x02" + NEXT[:4] + b"\x03" + KEK + EPOCH + SINGLE,
        b"\0\x02" + EPOCH + EPOCH[:4] + b"\x03" + KEK + SINGLE,
    ],
    ids=[
        "nothing",
        "half a count",
        "no epoch",
        "an epoch missing",
        "a byte too many",
        "a byte missing",
        "none active",
        "an unknown state",
        "epoch zero",
        "an active epoch without a key",
        "two active",
        "a destroyed epoch with a key",
        "descending",
        "twice the same number",
    ],
)
def test_a_keyring_of_another_shape_is_refused_even_under_the_right_key(plaintext: bytes) -> None:
    assert Keyring.open(ROOT, VAULT, 1, sealed_plaintext(b"\0\x01" + EPOCH + SINGLE)).index_key == b"\x01" * 32
    with pytest.raises(SealBroken) as raised:
        Keyring.open(ROOT, VAULT, 1, sealed_plaintext(plaintext))
    assert raised.value.__suppress_context__


def all_keys(made: Keyring) -> list[bytes]:
    return [*(epoch.kek for epoch in made._epochs), *made._single_keys]


def test_a_new_keyring_has_its_own_key_for_every_purpose() -> None:
    one, two = Keyring.create(), Keyring.create()
    assert (one.version, one.active_epoch) == (1, 1)
    keys = all_keys(one) + all_keys(two)
    assert len(keys) == len(set(keys)) == 12
    assert {len(key) for key in keys} == {32}


def test_keys_that_are_not_random_are_caught() -> None:
    constant = Keyring.create(lambda count: b"\x01" * count)
    assert len(set(all_keys(constant))) == 1


def test_no_key_is_shown_or_pickled() -> None:
    made = Keyring.create(stream("shown"))
    shown = repr(made) + repr(made._epochs) + str(vars(type(made)))
    assert "Keyring(version=1, active_epoch=1)" in shown
    assert all(key.hex() not in shown and repr(key) not in shown for key in all_keys(made))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(made)


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring.create(lambda count: b"x" * (count - 1))


def test_two_seals_of_the_same_keyring_differ() -> None:
    made = keyring(ONE_EPOCH)
    assert made.seal(ROOT, VAULT) != made.seal(ROOT, VAULT)
