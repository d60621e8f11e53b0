# SPDX-License-Identifier: Apache-2.0
"""Verifiers: recognise a random credential by a keyed hash, so that the credential itself is not kept.

    verifier = HMAC-SHA-256(K_tok, field | field | …)      fields as in aead.associated_data

Fit for random credentials of 128 bits and more only. Passwords of people go to `password_hash`.
"""

import hmac
from functools import lru_cache

from mysafe.crypto.aead import associated_data
from mysafe.crypto.keyed_hash import KeyedHash


class Verifiers:
    """Compute and compare verifiers under one key. A verifier has 32 bytes."""

    __slots__ = ("_hash", "_of_token")

    def __init__(self, key: bytes) -> None:
        self._hash = KeyedHash(key)
        self._of_token = lru_cache(maxsize=1024)(self._of_new_token)  # the same token comes with each call

    def of_token(self, text: str) -> bytes:
        """Return the verifier of an access token."""
        return self._of_token(text)

    def of_client_secret(self, client_id: str, secret: str) -> bytes:
        """Return the verifier of a client secret. It verifies with this client id only."""
        return self._hash.digest(associated_data("client", client_id, secret))

    def of_session(self, text: str) -> bytes:
        """Return the verifier of a session token."""
        return self._hash.digest(associated_data("session", text))

    def of_link(self, text: str) -> bytes:
        """Return the verifier of a link token."""
        return self._hash.digest(associated_data("link", text))

    def of_recovery_code(self, user_id: int, code: str) -> bytes:
        """Return the verifier of a recovery code. It verifies for this user only."""
        return self._hash.digest(associated_data("recovery", user_id, code))

    def _of_new_token(self, text: str) -> bytes:
        return self._hash.digest(associated_data("token", text))

    def matches(self, expected: bytes, actual: bytes) -> bool:
        """Return whether two verifiers are equal, in a time that does not tell where they differ."""
        return hmac.compare_digest(expected, actual)
