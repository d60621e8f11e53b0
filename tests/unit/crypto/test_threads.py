# SPDX-License-Identifier: Apache-2.0
"""One cipher serves many threads at once. The control shares a derived key between them and must be caught."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mysafe.crypto.aead import SealBroken, XaesKey
from mysafe.crypto.records import RecordCipher
from tests.unit.crypto.scene import ADDRESS, ONE_EPOCH, VAULT, keyring

THREADS = 4


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def opened(key: XaesKey, sealed: bytes) -> bytes | None:
    try:
        return key.open(sealed, b"bound")
    except SealBroken:
        return None


def wrong_answers(key: XaesKey, rounds: int) -> int:
    """Seal and open from four threads at once; return how many answers were not the plaintext."""
    starting, reference_key = threading.Barrier(THREADS), XaesKey(bytes(32))

    def work(thread: int) -> int:
        starting.wait()
        return sum(is_wrong(f"{thread}.{number}".encode()) for number in range(rounds))

    def is_wrong(plaintext: bytes) -> int:
        mine, reference = key.seal(plaintext, b"bound"), reference_key.seal(plaintext, b"bound")
        return (opened(reference_key, mine) != plaintext) + (opened(key, reference) != plaintext)

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(work, range(THREADS)))


class Sharing(XaesKey):
    """Keep the derived key where all threads see it: the fault the real one must not have."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.meeting = threading.Barrier(THREADS)

    def _derive(self, context: bytes) -> AESGCM:
        self.derived = super()._derive(context)
        self.meeting.wait(timeout=60)
        return self.derived


def test_a_key_is_safe_between_threads() -> None:
    assert wrong_answers(XaesKey(bytes(32)), 1000) == 0


def test_a_key_that_shares_what_it_derives_is_caught() -> None:
    assert wrong_answers(Sharing(bytes(32)), 2) > 0


def test_a_cipher_is_safe_between_threads() -> None:
    cipher = RecordCipher(VAULT, keyring(ONE_EPOCH))
    starting = threading.Barrier(THREADS)

    def work(thread: int) -> int:
        starting.wait()
        right = 0
        for number in range(1000):
            address = ADDRESS._replace(record_id=number, owner_id=thread, kind=f"kind {number % 100}")
            sealed = cipher.seal(address, str(address).encode(), b"secret")
            key = cipher.unwrap(address, sealed.dek)
            right += key.open_meta(sealed.meta) == str(address).encode()
            right += sealed.secret is not None and key.open_secret(sealed.secret) == b"secret"
        return right

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(work, range(THREADS))) == [2000] * THREADS
