# SPDX-License-Identifier: Apache-2.0
"""No key and nonce meet twice (R-CRY-03): data keys are fresh, nonces do not repeat, a data key seals two messages.

The controls are ciphers whose randomness is constant, wholly or in one of its uses; the check must catch each.
"""

import os
from collections import Counter
from collections.abc import Callable

import pytest

from mysafe.crypto.records import RecordCipher
from tests.unit.crypto.scene import ADDRESS, META, ONE_EPOCH, SECRET, VAULT, keyring

RECORDS = 20_000
KEYRING = keyring(ONE_EPOCH)


def faults(cipher: RecordCipher, records: int) -> set[str]:
    """Seal records and say what repeats."""
    deks: Counter[bytes] = Counter()
    wrap_nonces: Counter[bytes] = Counter()
    uses: Counter[tuple[bytes, bytes]] = Counter()
    bound = cipher._wrap_bound(ADDRESS, 1)
    for _ in range(records):
        sealed = cipher.seal(ADDRESS, META, SECRET)
        assert sealed.secret is not None
        dek = KEYRING.kek(1).open(sealed.dek[8:], bound)
        deks[dek] += 1
        wrap_nonces[sealed.dek[8:32]] += 1
        uses.update([(dek, sealed.meta[:12]), (dek, sealed.secret[:12])])
    assert sum(deks.values()) == records
    counts = {"data key": deks.values(), "wrap nonce": wrap_nonces.values(), "key and nonce": uses.values()}
    return {name for name, seen in counts.items() if max(seen) > 1}


def with_constant(start: int, end: int) -> Callable[[int], bytes]:
    def draw(count: int) -> bytes:
        random = os.urandom(count)
        return random[:start] + bytes(end - start) + random[end:]

    return draw


def test_nothing_repeats_over_many_records() -> None:
    assert faults(RecordCipher(VAULT, KEYRING), RECORDS) == set()


@pytest.mark.parametrize(
    ("random_bytes", "caught"),
    [
        (bytes, {"data key", "wrap nonce", "key and nonce"}),
        (with_constant(0, 32), {"data key"}),
        (with_constant(32, 56), {"wrap nonce"}),
        (with_constant(56, 80), {"key and nonce"}),
    ],
    ids=["everything", "data key", "wrap nonce", "one nonce for both parts"],
)
def test_constant_randomness_is_caught(random_bytes: Callable[[int], bytes], caught: set[str]) -> None:
    assert faults(RecordCipher(VAULT, KEYRING, random_bytes=random_bytes), 10) == caught


def test_audit_details_never_repeat_a_nonce() -> None:
    def nonces(cipher: RecordCipher) -> int:
        return len({cipher.seal_details(b"", b"")[:24] for _ in range(1000)})

    assert nonces(RecordCipher(VAULT, KEYRING)) == 1000
    assert nonces(RecordCipher(VAULT, KEYRING, random_bytes=bytes)) == 1
