# SPDX-License-Identifier: Apache-2.0
"""The encryption of single values for the holder of an access key, as the documented clients decrypt it.

    value on the wire = base64 of one RSA-OAEP block (SHA-1, MGF1 with SHA-1) over the UTF-8 bytes

A wire format dictated from outside. It protects nothing at rest, where the same value is sealed like every other.

Source: RFC 8017, section 7.1; contract 3.
"""

import base64
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from mysafe.domain.access_keys import RsaPair
from mysafe.domain.secret_text import SecretText

PUBLIC_EXPONENT = 65537


class TooLongToEncrypt(Exception):
    """A value does not fit one block of the key."""


def new_pair(bits: int) -> RsaPair:
    """Return a new pair of keys. It takes a second for 4096 bits, and much longer for 8192."""
    key = rsa.generate_private_key(PUBLIC_EXPONENT, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return RsaPair(SecretText(private), public)


def encrypt(public_key: bytes, text: SecretText) -> SecretText:
    """Return a value as it goes over the wire: standard base64 without line breaks.

    Raises:
        TooLongToEncrypt: it has more bytes than the key's size in bytes less 42.
    """
    content = text.reveal().encode()
    key = _loaded(public_key)
    if len(content) > key.key_size // 8 - 2 * hashes.SHA1.digest_size - 2:
        raise TooLongToEncrypt
    block = key.encrypt(content, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))  # noqa: S303  # as documented
    return SecretText(base64.b64encode(block).decode("ascii"))


@lru_cache(maxsize=256)
def _loaded(public_key: bytes) -> rsa.RSAPublicKey:
    key = load_der_public_key(public_key)
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("not an RSA key")
    return key
