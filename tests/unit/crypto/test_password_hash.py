# SPDX-License-Identifier: Apache-2.0
"""Password hashes: right is right, wrong is wrong, cheap is refused (R-AUTH-03, R-AUTH-04, R-CRY-07)."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mysafe.crypto import password_hash
from mysafe.crypto.password_hash import COST, LEAST, MOST_AT_ONCE, hash_password, spend_dummy_hash, verify_password
from mysafe.domain.secret_text import SecretText

PASSWORD = SecretText("correct horse Zoë")
STORED = hash_password(PASSWORD)


def test_the_password_verifies_in_any_canonical_form_and_no_other_does() -> None:
    assert verify_password(STORED, PASSWORD)
    assert verify_password(STORED, SecretText("correct horse Zoe\u0308"))
    assert not verify_password(STORED, SecretText("correct horse zoë"))
    assert not verify_password(STORED, SecretText(""))


def test_a_hash_has_the_documented_form_and_cost() -> None:
    assert re.fullmatch(r"\$argon2id\$v=19\$m=65536,t=3,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", STORED)
    assert "horse" not in STORED
    assert hash_password(PASSWORD) != STORED


def test_another_implementation_reads_our_hash_and_we_read_its() -> None:
    password = "correct horse Zoë".encode()
    Argon2id.verify_phc_encoded(password, STORED)
    theirs = Argon2id(salt=bytes(range(16)), length=32, iterations=3, lanes=1, memory_cost=65536)
    assert verify_password(theirs.derive_phc_encoded(password), PASSWORD)


def with_cost(memory_kib: int, passes: int, lanes: int) -> str:
    return STORED.replace("m=65536,t=3,p=1", f"m={memory_kib},t={passes},p={lanes}")


@pytest.mark.parametrize(
    "cost",
    [(65535, 3, 1), (8, 3, 1), (65536, 2, 1), (65536, 1, 1), (1024**2 + 1, 3, 1), (65536, 11, 1), (65536, 3, 17)],
)
def test_a_cost_out_of_bounds_is_refused_before_any_work(
    cost: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_hash, "Argon2id", None)
    with pytest.raises(ValueError, match="out of bounds"):
        verify_password(with_cost(*cost), PASSWORD)


def test_new_hashes_cost_at_least_the_floors() -> None:
    assert LEAST == (64 * 1024, 3, 1)
    assert all(least <= cost for least, cost in zip(LEAST, COST, strict=True))


def test_a_higher_cost_within_the_bounds_is_accepted() -> None:
    dearer = Argon2id(salt=bytes(16), length=32, iterations=4, lanes=2, memory_cost=65536)
    stored = dearer.derive_phc_encoded("correct horse Zoë".encode())
    assert "m=65536,t=4,p=2" in stored
    assert verify_password(stored, PASSWORD)
    assert not verify_password(stored, SecretText("wrong"))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "correct horse",
        STORED[:-1],
        STORED + "\n",
        STORED.replace("argon2id", "argon2i"),
        STORED.replace("v=19", "v=16"),
        STORED.replace("m=65536", "m=065536"),
        STORED.replace("m=65536,t=3", "t=3,m=65536"),
        STORED.replace("p=1", "p=0"),
        STORED.replace("p=1", "p=9999999999"),
        STORED[:-1] + "/",  # bits that no encoder sets: 43 digits hold 258 bits, a hash has 256
        "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQ$" + STORED[-43:],
    ],
)
def test_a_hash_of_another_form_is_an_error_that_does_not_quote_it(stored: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # checked below
        verify_password(stored, PASSWORD)
    assert str(raised.value) == "the stored hash has not the form of ours"


def test_a_password_with_half_a_surrogate_pair_is_hashed_without_an_error_that_would_hold_it() -> None:
    stored = hash_password(SecretText("pass\ud800"))
    assert verify_password(stored, SecretText("pass\ud800"))
    assert not verify_password(stored, SecretText("pass\ud801"))


class Counting:
    """Stands in for the key derivation and counts how many run at once."""

    running = 0
    most = 0
    lock = threading.Lock()

    def __init__(self, **parameters: object) -> None:
        self.parameters = parameters

    def derive(self, text: bytes) -> bytes:
        with self.lock:
            Counting.running += 1
            Counting.most = max(Counting.most, Counting.running)
        threading.Event().wait(0.02)
        with self.lock:
            Counting.running -= 1
        return bytes(32)


@pytest.mark.parametrize("is_bounded", [True, False])
def test_two_hashes_run_at_once_and_no_more(is_bounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_hash, "Argon2id", Counting)
    monkeypatch.setattr(Counting, "most", 0)
    if not is_bounded:
        monkeypatch.setattr(password_hash, "_slots", threading.BoundedSemaphore(99))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hash_password(PASSWORD), range(16)))
    assert (Counting.most == MOST_AT_ONCE) == is_bounded
    assert Counting.most >= MOST_AT_ONCE


def test_a_dummy_hash_takes_as_long_as_a_real_one() -> None:
    def seconds(work: object) -> float:
        began = time.perf_counter()
        assert callable(work)
        work()
        return time.perf_counter() - began

    real = min(seconds(lambda: verify_password(STORED, SecretText("wrong"))) for _ in range(3))
    dummy = min(seconds(spend_dummy_hash) for _ in range(3))
    assert 0.5 < dummy / real < 2
