# SPDX-License-Identifier: Apache-2.0
"""Tokens that bind a web form to the session it was shown in (R-CSRF-01).

token = base64url(HMAC-SHA-256(K_csrf, "form" | session verifier))      fields as in aead.associated_data
"""

import base64
import hmac

from mysafe.crypto.aead import associated_data
from mysafe.crypto.keyed_hash import KeyedHash


class FormTokens:
    """Make and compare the tokens of forms under one key."""

    __slots__ = ("_hash",)

    def __init__(self, key: bytes) -> None:
        self._hash = KeyedHash(key)

    def of(self, verifier: bytes) -> str:
        """Return the token of the session with this verifier: 43 characters."""
        digest = self._hash.digest(associated_data("form", verifier))
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def matches(self, verifier: bytes, token: str) -> bool:
        """Return whether a token is that of the session, in a time that does not tell where it differs."""
        return hmac.compare_digest(self.of(verifier).encode(), token.encode("utf-8", "replace"))
