# SPDX-License-Identifier: Apache-2.0
"""An AES-256 key on a PKCS#11 token (a smart card, a hardware security module). Needs the extra `pkcs11`.

    encrypted    IV 12 | ciphertext 32 | tag 16        CKM_AES_GCM, associated data "mysafe root key"

The key is made on the token by its own tools, and cannot be taken out. It seals one message for each slot that is made,
so that random IVs of 96 bits are far from any bound.

Source: PKCS #11 3.1, section 6.13 (AES-GCM).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pkcs11

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.private_file import read_secret_line
from mysafe.crypto.root_key.provider import RootKeyRefused

IV_BYTES = 12
_TAG_BITS = 128
_BOUND = b"mysafe root key"


class Pkcs11Token:
    """A key of a token, found by the labels of both. The token is asked anew for each use.

    Args:
        module: the library of the token, an absolute path.
        token: label of the token.
        key: label of the AES-256 key on it.
        pin_file: file with the PIN, readable by its owner only.
    """

    name = "pkcs11"

    def __init__(self, *, module: str, token: str, key: str, pin_file: str) -> None:
        if not Path(module).is_absolute():
            raise RootKeyRefused("pkcs11: module must be an absolute path")
        self._module, self._token, self._key, self._pin_file = module, token, key, Path(pin_file)

    def encrypt(self, plain: bytes) -> bytes:
        """Return the bytes encrypted. Raises RootKeyRefused."""
        iv = os.urandom(IV_BYTES)
        with self._opened() as key:
            return iv + bytes(key.encrypt(plain, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=_parameters(iv)))

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return what was encrypted. Raises RootKeyRefused, SealBroken."""
        iv, rest = encrypted[:IV_BYTES], encrypted[IV_BYTES:]
        with self._opened() as key:
            try:
                return bytes(key.decrypt(rest, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=_parameters(iv)))
            except (
                pkcs11.exceptions.EncryptedDataInvalid,
                pkcs11.exceptions.EncryptedDataLenRange,
                pkcs11.exceptions.GeneralError,  # what some tokens say to a wrong tag
            ):
                raise SealBroken from None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        pin = read_secret_line(self._pin_file, "file of the PIN")
        try:
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            with token.open(user_pin=pin.reveal()) as session:
                yield session.get_key(
                    object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=self._key
                )
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            reason = type(error).__name__ if isinstance(error, pkcs11.PKCS11Error) else "the library cannot be loaded"
            raise RootKeyRefused(f"the PKCS#11 token {self._token} cannot be used: {reason}") from None


def _parameters(iv: bytes) -> object:
    return pkcs11.GCMParams(iv, _BOUND, _TAG_BITS)
