# SPDX-License-Identifier: Apache-2.0
"""Split 32 bytes so that any t of n shares give them back, and t - 1 say nothing. Knows no text and no slot.

Each byte is the constant of a random polynomial of degree t - 1 over GF(256), the field of AES; share x is its value
at x. No branch and no table index depends on a secret (R-CRY-11; CVE-2023-25000).

Source: A. Shamir, How to share a secret, CACM 22 (1979); FIPS 197, section 4.2, for the field.
"""

import os
from collections.abc import Mapping, Sequence

from mysafe.crypto.root_key.provider import RandomBytes

MOST_SHARES = 16
"""Most shares of one set."""


def split(secret: bytes, threshold: int, count: int, random_bytes: RandomBytes = os.urandom) -> list[bytes]:
    """Return the shares 1 to `count` of a secret; each is as long as the secret.

    Raises:
        ValueError: not 2 <= threshold <= count <= MOST_SHARES.
    """
    if not 2 <= threshold <= count <= MOST_SHARES:
        raise ValueError(f"shares need 2 <= t <= n <= {MOST_SHARES}")
    coefficients = [random_bytes(len(secret)) for _ in range(threshold - 1)]
    return [_values_at(index, [secret, *coefficients]) for index in range(1, count + 1)]


def join(shares: Mapping[int, bytes]) -> bytes:
    """Return the secret of exactly as many shares as are needed, by their index. Others give 32 other bytes."""
    secret = bytes(len(next(iter(shares.values()))))
    for index, share in shares.items():
        above, below = 1, 1
        for other in shares:
            if other != index:  # indexes are no secret
                above, below = multiply(above, other), multiply(below, other ^ index)
        weight = multiply(above, _inverse(below))
        secret = bytes(one ^ multiply(value, weight) for one, value in zip(secret, share, strict=True))
    return secret


def multiply(left: int, right: int) -> int:
    """Return the product of two elements of GF(256), 0 to 255, in the same steps for all of them."""
    product = 0
    for bit in range(8):
        product ^= left & -(right >> bit & 1)
        left = left << 1 ^ 0x11B & -(left >> 7)
    return product


def _inverse(element: int) -> int:
    """Return the 254th power, which is the inverse of every element but 0."""
    result, square = 1, element
    for _ in range(7):
        square = multiply(square, square)
        result = multiply(result, square)  # 254 = 2 + 4 + 8 + … + 128
    return result


def _values_at(index: int, coefficients: Sequence[bytes]) -> bytes:
    """Return the values of all polynomials at `index`, by Horner's rule."""
    values = bytes(len(coefficients[0]))
    for coefficient in reversed(coefficients):
        values = bytes(multiply(value, index) ^ constant for value, constant in zip(values, coefficient, strict=True))
    return values
