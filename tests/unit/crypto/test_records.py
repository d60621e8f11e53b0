# SPDX-License-Identifier: Apache-2.0
"""Records open at their own address and nowhere else (R-CRY-01, -02, -04, -13).

Every test of binding has a control: a cipher without associated data, which must be seen to accept the swap.
"""

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.keyring import EpochState
from mysafe.crypto.records import LARGEST_RECORD_BYTES, RecordAddress, RecordCipher, SealedRecord
from tests.unit.crypto.scene import (
    ADDRESS,
    META,
    ONE_EPOCH,
    OTHER_VAULT,
    SECRET,
    VAULT,
    Unbound,
    flips,
    keyring,
    opened_parts,
)

BOTH = {"meta": META, "secret": SECRET}
TWIN_EPOCHS = keyring({1: EpochState.ACTIVE, 2: EpochState.DECRYPT_ONLY}, is_one_kek_for_all=True)
CIPHER = RecordCipher(VAULT, TWIN_EPOCHS)


@dataclass(frozen=True)
class Swap:
    """What a writer in the database does with a sealed record, and where it is then looked for."""

    address: RecordAddress = ADDRESS
    vault: bytes = VAULT
    epoch: int = 1
    are_parts_swapped: bool = False

    def of(self, sealed: SealedRecord) -> SealedRecord:
        dek = sealed.dek[:4] + self.epoch.to_bytes(4) + sealed.dek[8:]
        assert sealed.secret is not None
        parts = (sealed.secret, sealed.meta) if self.are_parts_swapped else (sealed.meta, sealed.secret)
        return SealedRecord(dek, *parts)


SWAPS = {
    "row": Swap(ADDRESS._replace(record_id=13)),
    "owner": Swap(ADDRESS._replace(owner_id=8)),
    "version": Swap(ADDRESS._replace(version=2)),
    "table": Swap(ADDRESS._replace(table="users")),
    "kind": Swap(ADDRESS._replace(kind="note")),
    "table and kind shifted": Swap(ADDRESS._replace(table="itemsp", kind="assword")),
    "id and version exchanged": Swap(ADDRESS._replace(record_id=3, version=12)),
    "id and owner exchanged": Swap(ADDRESS._replace(record_id=7, owner_id=12)),
    "vault": Swap(vault=OTHER_VAULT),
    "epoch": Swap(epoch=2),  # both epochs have the same KEK here, so that only the associated data tells them apart
    "part": Swap(are_parts_swapped=True),
}


@given(st.binary(max_size=600), st.none() | st.binary(max_size=600))
def test_what_was_sealed_opens(meta: bytes, secret: bytes | None) -> None:
    sealed = CIPHER.seal(ADDRESS, meta, secret)
    key = CIPHER.unwrap(ADDRESS, sealed.dek)
    assert key.open_meta(sealed.meta) == meta
    assert (sealed.secret is None) == (secret is None)
    if sealed.secret is not None:
        assert key.open_secret(sealed.secret) == secret


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_a_swap_is_detected(swap: Swap) -> None:
    sealed = CIPHER.seal(ADDRESS, META, SECRET)
    assert opened_parts(CIPHER, ADDRESS, sealed) == BOTH
    assert opened_parts(RecordCipher(swap.vault, TWIN_EPOCHS), swap.address, swap.of(sealed)) == {}


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_without_associated_data_the_swap_is_accepted(swap: Swap) -> None:
    sealed = Unbound(VAULT, TWIN_EPOCHS).seal(ADDRESS, META, SECRET)
    accepted = opened_parts(Unbound(swap.vault, TWIN_EPOCHS), swap.address, swap.of(sealed))
    assert sorted(accepted.values()) == [META, SECRET]


@pytest.mark.parametrize("field", ["dek", "meta", "secret"])
def test_every_flipped_bit_is_detected(field: str) -> None:
    sealed = CIPHER.seal(ADDRESS, META, SECRET)
    assert opened_parts(CIPHER, ADDRESS, sealed) == BOTH
    rest = {} if field == "dek" else {part: text for part, text in BOTH.items() if part != field}
    altered = flips(getattr(sealed, field))
    assert len(altered) >= 640
    for blob in altered:
        assert opened_parts(CIPHER, ADDRESS, sealed._replace(**{field: blob})) == rest


@pytest.mark.parametrize("field", ["dek", "meta", "secret"])
def test_a_shorter_or_longer_blob_is_detected(field: str) -> None:
    sealed = CIPHER.seal(ADDRESS, META, SECRET)
    whole: bytes = getattr(sealed, field)
    for blob in (b"", whole[:1], whole[:27], whole[:-1], whole[1:], whole + b"\0", whole * 2):
        assert field not in opened_parts(CIPHER, ADDRESS, sealed._replace(**{field: blob}))
        assert field != "dek" or opened_parts(CIPHER, ADDRESS, sealed._replace(dek=blob)) == {}


@pytest.mark.parametrize("fields", [("dek",), ("meta",), ("secret",), ("dek", "meta"), ("meta", "secret")])
def test_parts_of_two_seals_of_the_same_record_do_not_mix(fields: tuple[str, ...]) -> None:
    one, two = CIPHER.seal(ADDRESS, META, SECRET), CIPHER.seal(ADDRESS, META, SECRET)
    mixed = one._replace(**{field: getattr(two, field) for field in fields})
    assert opened_parts(CIPHER, ADDRESS, one) == opened_parts(CIPHER, ADDRESS, two) == BOTH
    assert len(opened_parts(CIPHER, ADDRESS, mixed)) < 2


@pytest.mark.parametrize(
    ("at", "value"), [(0, b"m"), (1, b"s"), (2, b"\0"), (2, b"\2"), (3, b"\0"), (3, b"\2"), (3, b"\3"), (7, b"\x09")]
)
def test_an_unknown_magic_format_algorithm_or_epoch_is_refused(at: int, value: bytes) -> None:
    for cipher in (CIPHER, Unbound(VAULT, TWIN_EPOCHS)):
        sealed = cipher.seal(ADDRESS, META)
        assert cipher.unwrap(ADDRESS, sealed.dek).open_meta(sealed.meta) == META
        with pytest.raises(SealBroken):
            cipher.unwrap(ADDRESS, sealed.dek[:at] + value + sealed.dek[at + 1 :])


@pytest.mark.parametrize("state", EpochState)
def test_an_epoch_opens_until_its_key_is_destroyed(state: EpochState) -> None:
    old = RecordCipher(VAULT, keyring(ONE_EPOCH))
    sealed = old.seal(ADDRESS, META, SECRET)
    epochs = ONE_EPOCH if state is EpochState.ACTIVE else {1: state, 2: EpochState.ACTIVE}
    cipher = RecordCipher(VAULT, keyring(epochs))
    assert opened_parts(cipher, ADDRESS, sealed) == ({} if state is EpochState.DESTROYED else BOTH)


def test_a_rotated_keyring_seals_under_the_new_epoch() -> None:
    cipher = RecordCipher(VAULT, keyring({1: EpochState.DECRYPT_ONLY, 2: EpochState.ACTIVE}))
    sealed = cipher.seal(ADDRESS, META, SECRET)
    assert cipher.epoch == 2
    assert sealed.dek[:8] == b"MS\x01\x01\0\0\0\x02"
    assert opened_parts(cipher, ADDRESS, sealed) == BOTH
    assert opened_parts(RecordCipher(VAULT, keyring(ONE_EPOCH)), ADDRESS, sealed) == {}


def test_the_parts_are_not_bound_to_the_epoch_so_that_a_rotation_leaves_them_alone() -> None:
    old = RecordCipher(VAULT, keyring(ONE_EPOCH))
    new = RecordCipher(VAULT, keyring({1: EpochState.DECRYPT_ONLY, 2: EpochState.ACTIVE}))
    sealed = old.seal(ADDRESS, META, SECRET)
    dek = old._keyring.kek(1).open(sealed.dek[8:], old._wrap_bound(ADDRESS, 1))
    rewrapped = sealed._replace(dek=new._wrap(ADDRESS, dek, bytes(range(24))))
    assert opened_parts(new, ADDRESS, rewrapped) == BOTH


@pytest.mark.parametrize("number", [-1, 2**64])
def test_an_address_no_record_can_have_seals_nothing_and_opens_nothing(number: int) -> None:
    sealed = CIPHER.seal(ADDRESS, META)
    for impossible in (
        ADDRESS._replace(record_id=number),
        ADDRESS._replace(owner_id=number),
        ADDRESS._replace(version=number),
    ):
        with pytest.raises(ValueError, match="64 bits"):
            CIPHER.seal(impossible, META)
        with pytest.raises(SealBroken):
            CIPHER.unwrap(impossible, sealed.dek)


def test_a_part_padded_in_another_form_is_refused() -> None:
    sealed = CIPHER.seal(ADDRESS, META, SECRET)
    key = CIPHER.unwrap(ADDRESS, sealed.dek)
    nonce = bytes(12)

    def resealed(gcm: AESGCM, padded: bytes) -> bytes:
        return nonce + gcm.encrypt(nonce, padded, key._meta_bound)

    assert key.open_meta(resealed(key._gcm, b"a\x80" + bytes(126))) == b"a"
    for padded in (b"", bytes(128), b"a" * 128, b"a\x80", b"a\x80" + bytes(254)):
        with pytest.raises(SealBroken):
            key.open_meta(resealed(key._gcm, padded))


def test_a_record_up_to_5_mib_is_sealed_and_a_larger_one_is_not() -> None:
    room = LARGEST_RECORD_BYTES - 80 - 28
    largest = room // 128 * 128 - 1
    sealed = CIPHER.seal(ADDRESS, bytes(largest))
    assert LARGEST_RECORD_BYTES - 128 < len(sealed.dek) + len(sealed.meta) <= LARGEST_RECORD_BYTES
    assert CIPHER.unwrap(ADDRESS, sealed.dek).open_meta(sealed.meta) == bytes(largest)
    for meta, secret in ((bytes(largest + 1), None), (bytes(largest), b""), (b"", bytes(LARGEST_RECORD_BYTES))):
        with pytest.raises(ValueError, match="5 MiB"):
            CIPHER.seal(ADDRESS, meta, secret)


def test_sizes_come_in_steps() -> None:
    sealed = {len(CIPHER.seal(ADDRESS, bytes(length), bytes(length)).secret or b"") for length in range(128)}
    assert sealed == {12 + 128 + 16}


def test_audit_details_open_with_their_own_facts_only() -> None:
    sealed = CIPHER.seal_details(b"details", b"facts")
    assert CIPHER.open_details(sealed, b"facts") == b"details"
    for cipher, blob, bound in (
        (CIPHER, sealed, b"other facts"),
        (RecordCipher(OTHER_VAULT, TWIN_EPOCHS), sealed, b"facts"),
        *((CIPHER, altered, b"facts") for altered in flips(sealed)),
    ):
        with pytest.raises(SealBroken):
            cipher.open_details(blob, bound)


def test_without_associated_data_audit_details_open_with_any_facts() -> None:
    sealed = Unbound(VAULT, TWIN_EPOCHS).seal_details(b"details", b"facts")
    assert Unbound(OTHER_VAULT, TWIN_EPOCHS).open_details(sealed, b"other facts") == b"details"


def test_nothing_shows_keys_or_plaintext() -> None:
    sealed = CIPHER.seal(ADDRESS, META, SECRET)
    key = CIPHER.unwrap(ADDRESS, sealed.dek)
    shown = f"{CIPHER!r} {key!r} {sealed!r} {TWIN_EPOCHS!r}"
    assert "RecordKey" in shown
    assert "the meta" not in shown
    assert "the secret" not in shown
