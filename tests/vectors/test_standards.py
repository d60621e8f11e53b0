# SPDX-License-Identifier: Apache-2.0
"""The algorithms are the published ones (T-VEC)."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mysafe.crypto.aead import XaesKey
from mysafe.crypto.password_hash import verify_password
from mysafe.crypto.totp import totp_code
from mysafe.domain.secret_text import SecretText
from tests.vectors import independent


def vectors(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


XAES = vectors("xaes_256_gcm.json")
TOTP = vectors("totp_rfc6238.json")
ARGON2 = vectors("argon2id.json")


class WithoutMask(XaesKey):
    """Derives keys without CMAC's K1: the fault the vectors must notice."""

    def _derivation_constant(self) -> int:
        right = super()._derivation_constant()
        mask = int.from_bytes(self._cipher.encryptor().update(bytes(16)))
        mask = mask << 1 ^ ((1 << 128 | 0b10000111) if mask >> 127 else 0)
        return right ^ (mask << 128 | mask)


def sealed_as_published(key_class: type[XaesKey], vector: dict[str, str]) -> bool:
    key, nonce, plaintext, aad = (bytes.fromhex(vector[name]) for name in ("key", "nonce", "plaintext", "aad"))
    return key_class(key).seal_with_nonce(nonce, plaintext, aad) == nonce + bytes.fromhex(vector["ciphertext"])


@pytest.mark.parametrize("vector", XAES["vectors"], ids=["most significant bit 0", "most significant bit 1"])
def test_xaes_seals_and_opens_as_published(vector: dict[str, str]) -> None:
    assert sealed_as_published(XaesKey, vector)
    assert not sealed_as_published(WithoutMask, vector)
    blob = bytes.fromhex(vector["nonce"] + vector["ciphertext"])
    opened = XaesKey(bytes.fromhex(vector["key"])).open(blob, bytes.fromhex(vector["aad"]))
    assert opened.hex() == vector["plaintext"]


@pytest.mark.parametrize("vector", XAES["vectors"], ids=["most significant bit 0", "most significant bit 1"])
def test_the_independent_derivation_is_the_published_one(vector: dict[str, str]) -> None:
    derived = independent.xaes_key(bytes.fromhex(vector["key"]), bytes.fromhex(vector["nonce"]))
    assert derived.hex() == vector["derived_key"]


def accumulated(key_class: type[XaesKey], iterations: int) -> str:
    """Run the accumulated test of the specification and return its hash."""
    stream, position = hashlib.shake_128(b"").digest(600 * iterations), 0
    ciphertexts = hashlib.shake_128()

    def take(count: int) -> bytes:
        nonlocal position
        position += count
        return stream[position - count : position]

    for _ in range(iterations):
        key, nonce = take(32), take(24)
        plaintext = take(take(1)[0])
        aad = take(take(1)[0])
        sealer = key_class(key)
        sealed = sealer.seal_with_nonce(nonce, plaintext, aad)
        assert sealer.open(sealed, aad) == plaintext
        ciphertexts.update(sealed[24:])
    return ciphertexts.hexdigest(32)


def test_xaes_passes_the_accumulated_test_of_the_specification() -> None:
    expected = XAES["accumulated"]
    assert hashlib.shake_128(b"").hexdigest(16) == expected["stream_starts_with"]
    assert accumulated(XaesKey, expected["iterations"]) == expected["hash"]


def test_a_wrong_derivation_does_not_pass_it() -> None:
    assert accumulated(WithoutMask, 10) != accumulated(XaesKey, 10)


@pytest.mark.parametrize(("at", "eight_digits"), TOTP["codes"])
def test_totp_codes_are_the_published_ones(at: int, eight_digits: str) -> None:
    seed = SecretText(base64.b32encode(bytes.fromhex(TOTP["seed"])).decode())
    assert totp_code(seed, at).reveal() == eight_digits[-6:]
    assert totp_code(seed, at + 30).reveal() != eight_digits[-6:]


@pytest.mark.parametrize("name", ["rfc", "reference"])
def test_argon2id_is_the_published_one(name: str) -> None:
    vector = ARGON2[name]
    optional = {
        ours: bytes.fromhex(vector[theirs])
        for ours, theirs in (("secret", "secret"), ("ad", "aad"))
        if theirs in vector
    }
    made = Argon2id(
        salt=bytes.fromhex(vector["salt"]),
        length=32,
        iterations=vector["passes"],
        lanes=vector["lanes"],
        memory_cost=vector["memory_kib"],
        **optional,
    ).derive(bytes.fromhex(vector["password"]))
    assert made.hex() == vector["hash"]


def test_a_published_hash_below_our_floors_is_refused() -> None:
    vector = ARGON2["reference"]
    assert base64.b64decode(vector["phc"].rpartition("$")[2] + "=").hex() == vector["hash"]
    with pytest.raises(ValueError, match="stored hash"):
        verify_password(vector["phc"], SecretText("password"))
