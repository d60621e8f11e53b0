# SPDX-License-Identifier: Apache-2.0
"""Verifiers recognise the one credential they were made of."""

import pytest

from mysafe.crypto.verifiers import Verifiers
from tests.unit.crypto.scene import flips, stream

VERIFIERS = Verifiers(stream("verifiers")(32))


def test_a_credential_is_recognised() -> None:
    assert VERIFIERS.matches(VERIFIERS.of_token("mst_x"), VERIFIERS.of_token("mst_x"))
    assert VERIFIERS.matches(VERIFIERS.of_client_secret("id", "x"), VERIFIERS.of_client_secret("id", "x"))


def test_another_credential_is_not_recognised() -> None:
    made = [
        VERIFIERS.of_token("mst_x"),
        VERIFIERS.of_token("mst_y"),
        Verifiers(bytes(32)).of_token("mst_x"),
        VERIFIERS.of_client_secret("mst", "x"),
        VERIFIERS.of_client_secret("ms", "tx"),
        VERIFIERS.of_client_secret("", "mst_x"),
        VERIFIERS.of_client_secret("id", "x"),
        VERIFIERS.of_client_secret("id", "X"),
    ]
    assert {len(verifier) for verifier in made} == {32}
    matching = [(one, two) for one in range(8) for two in range(8) if VERIFIERS.matches(made[one], made[two])]
    assert matching == [(number, number) for number in range(8)]


@pytest.mark.parametrize("other", [b"", bytes(31), bytes(32)])
def test_other_bytes_do_not_match(other: bytes) -> None:
    assert not VERIFIERS.matches(VERIFIERS.of_token("mst_x"), other)


def test_every_flipped_bit_is_noticed() -> None:
    verifier = VERIFIERS.of_token("mst_x")
    assert not any(VERIFIERS.matches(verifier, altered) for altered in flips(verifier))
