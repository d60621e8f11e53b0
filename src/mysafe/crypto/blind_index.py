# SPDX-License-Identifier: Apache-2.0
"""Blind indexes: find a sealed name or credential by a keyed hash of it. Knows no table and no column.

    index = the first 16 bytes of HMAC-SHA-256(K_idx, field | field | …)      fields as in aead.associated_data

The first field says what is indexed, so that equal texts of different meaning have unrelated indexes. An index only
proposes a record; whether it is the right one is read from what is sealed.
"""

import unicodedata
from functools import lru_cache

from mysafe.crypto.aead import associated_data
from mysafe.crypto.keyed_hash import KeyedHash

INDEX_BYTES = 16


class BlindIndex:
    """Compute indexes under one key. Every method returns 16 bytes."""

    __slots__ = ("_hash", "_of_name", "_of_private_name", "_of_token")

    def __init__(self, key: bytes) -> None:
        self._hash = KeyedHash(key)
        # The same names come again with each share, and the same token with each call.
        self._of_name = lru_cache(maxsize=4096)(self._of_new_name)
        self._of_private_name = lru_cache(maxsize=4096)(self._of_new_private_name)
        self._of_token = lru_cache(maxsize=1024)(self._of_new_token)

    def user_name(self, text: str) -> bytes:
        """Return the index of a user name. Case and compatibility forms do not count."""
        return self._of_name("user", text)

    def group_name(self, text: str) -> bytes:
        """Return the index of a group name. Case and compatibility forms do not count."""
        return self._of_name("group", text)

    def private_group_name(self, owner_id: int, text: str) -> bytes:
        """Return the index of the name of a private group of an owner. Case and compatibility forms do not count."""
        return self._of_private_name(owner_id, text)

    def client_id(self, text: str) -> bytes:
        """Return the index of the client id of an access key, taken byte for byte."""
        return self._of("client", text)

    def token(self, text: str) -> bytes:
        """Return the index of an access token, taken byte for byte."""
        return self._of_token(text)

    def session(self, text: str) -> bytes:
        """Return the index of a session token, taken byte for byte."""
        return self._of("session", text)

    def link(self, text: str) -> bytes:
        """Return the index of a link token, taken byte for byte."""
        return self._of("link", text)

    def factor(self, user_id: int, kind: int) -> bytes:
        """Return the index of the second factor of a kind that a user has."""
        return self._of("factor", user_id, kind)

    def identifier_code(self, owner_id: int, text: str) -> bytes:
        """Return the index of an identifier code of an owner. Canonically equal texts are equal (NFC); case counts."""
        return self._of("ident", owner_id, unicodedata.normalize("NFC", text))

    def transfer(self, number: int) -> bytes:
        """Return the index of a transfer of items, which has no name but its number."""
        return self._of("transfer", number)

    def _of_new_name(self, label: str, text: str) -> bytes:
        return self._of(label, caseless(text))

    def _of_new_private_name(self, owner_id: int, text: str) -> bytes:
        return self._of("private_group", owner_id, caseless(text))

    def _of_new_token(self, text: str) -> bytes:
        return self._of("token", text)

    def _of(self, *fields: str | int) -> bytes:
        return self._hash.digest(associated_data(*fields))[:INDEX_BYTES]


def caseless(text: str) -> str:
    """Return the form in which texts that differ in case or compatibility only are equal.

    Source: Unicode, section 3.13, D146 (compatibility caseless match): folding undoes normalisation and the other
        way round, so both are done twice.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())
