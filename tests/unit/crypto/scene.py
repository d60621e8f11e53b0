# SPDX-License-Identifier: Apache-2.0
"""Keys, addresses and deliberately broken ciphers for the tests of this folder."""

from collections.abc import Callable
from hashlib import shake_128

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.keyring import EpochState, Keyring, _Epoch
from mysafe.crypto.records import RecordAddress, RecordCipher, SealedRecord

VAULT = bytes(range(16))
OTHER_VAULT = bytes(range(1, 17))
ADDRESS = RecordAddress("items", "password", 12, 7, 3)
META, SECRET = b"the meta of a record", b"the secret of a record"


def stream(label: str) -> Callable[[int], bytes]:
    """Return repeatable randomness: SHAKE-128 of a label, read piece by piece."""
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        position += count
        return shake_128(label.encode()).digest(position)[-count:]

    return take


def keyring(states: dict[int, EpochState], *, is_one_kek_for_all: bool = False) -> Keyring:
    """Return a keyring with these epochs."""
    draw = stream("keyring")
    one = draw(32)
    keks = {number: bytes(one) if is_one_kek_for_all else draw(32) for number in states}
    epochs = [
        _Epoch(number, state, bytes(32) if state is EpochState.DESTROYED else keks[number])
        for number, state in states.items()
    ]
    return Keyring(1, epochs, [stream(f"single key {number}")(32) for number in range(5)])


ONE_EPOCH = {1: EpochState.ACTIVE}


class Unbound(RecordCipher):
    """A cipher that forgets its associated data. Whatever a test of binding says, it must not say of this one."""

    def _wrap_bound(self, address: RecordAddress, epoch: int) -> bytes:
        return b""

    def _part_bounds(self, address: RecordAddress) -> tuple[bytes, bytes]:
        return b"", b""

    def _audit_bound(self, bound: bytes) -> bytes:
        return b""


def opened_parts(cipher: RecordCipher, address: RecordAddress, sealed: SealedRecord) -> dict[str, bytes]:
    """Return the parts of a record that open at an address, with their plaintext."""
    assert sealed.secret is not None
    opened = {}
    try:
        key = cipher.unwrap(address, sealed.dek)
    except SealBroken:
        return {}
    for part, open_part, blob in (("meta", key.open_meta, sealed.meta), ("secret", key.open_secret, sealed.secret)):
        try:
            opened[part] = open_part(blob)
        except SealBroken:
            continue
    return opened


def flips(blob: bytes) -> list[bytes]:
    """Return every copy of `blob` with exactly one bit changed."""
    number = int.from_bytes(blob)
    return [(number ^ 1 << bit).to_bytes(len(blob)) for bit in range(8 * len(blob))]
