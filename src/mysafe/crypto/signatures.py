# SPDX-License-Identifier: Apache-2.0
"""Ed25519 signatures under a key of the keyring (RFC 8032). Knows not what is signed."""

from typing import NoReturn, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@final
class SigningKey:
    """Sign, and check what was signed. `public` has 32 bytes. Printing or pickling shows no private key."""

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        return self._private.sign(message)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether a signature is one of this key for a message."""
        return is_signed(self.public, message, signature)

    def __repr__(self) -> str:
        return "SigningKey(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key cannot be pickled")


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether a signature of a message is one of a public key, which has 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True
