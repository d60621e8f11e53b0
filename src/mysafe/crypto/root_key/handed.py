# SPDX-License-Identifier: Apache-2.0
"""The root key as a process hands it to those it makes: in memory, and for one provider's slot."""

from mysafe.crypto.root_key.provider import RootKeyRefused


class HandedRoot:
    """A provider that has the root key already. It shows nothing when printed.

    Args:
        name: of the provider that gave it.
        root_key: 32 bytes.
    """

    def __init__(self, name: str, root_key: bytes) -> None:
        self.name = name
        self._root_key = root_key

    def __repr__(self) -> str:
        return "HandedRoot(***)"

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Refuse: a slot is made by the provider itself. Raises RootKeyRefused."""
        raise RootKeyRefused("a root key that was handed over makes no slot")

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """Return the root key; whether it is the right one shows when it opens the keyring."""
        return self._root_key

    def health(self) -> str | None:
        """Return None: there is nothing that could be wrong."""
        return None
