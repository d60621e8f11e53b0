# SPDX-License-Identifier: Apache-2.0
"""Hide the length of a plaintext. Knows lengths only, not what is in the bytes.

    padded = plaintext | 0x80 | 0x00 …           up to the next allowed length

Allowed lengths: multiples of 128 (`pad_to_step`), or 128 and the Padmé lengths above it (`pad_to_curve`), which
cost at most 12 % and show of a length of n bytes only about log log n bits. The plaintext's length decides the
padded length, so a plaintext has one padded form and `unpad` refuses every other.

Source: ISO/IEC 7816-4 (the marker); Nikitin et al., Reducing Metadata Leakage from Encrypted Files, PETS 2019
(Padmé).
"""

from collections.abc import Callable

from mysafe.crypto.aead import SealBroken

STEP = 128
"""Smallest padded length, and the step of `pad_to_step`, in bytes."""

_MARKER = b"\x80"

Measure = Callable[[int], int]


def step_length(plaintext_bytes: int) -> int:
    """Return the padded length of a plaintext of this many bytes: the next multiple of 128."""
    return (plaintext_bytes // STEP + 1) * STEP


def curve_length(plaintext_bytes: int) -> int:
    """Return the padded length of a plaintext of this many bytes: 128, or the next Padmé length."""
    needed = max(plaintext_bytes + 1, STEP)
    exponent = needed.bit_length() - 1
    free = (1 << exponent - exponent.bit_length()) - 1
    return needed + free & ~free


def pad(plaintext: bytes, length: Measure) -> bytes:
    """Return `plaintext` with marker and zeros, as long as `length` says (`step_length` or `curve_length`)."""
    return (plaintext + _MARKER).ljust(length(len(plaintext)), b"\0")


def unpad(padded: bytes, length: Measure) -> bytes:
    """Return the plaintext that `pad` padded with the same `length`.

    Raises:
        SealBroken: these are not the bytes `pad` makes of any plaintext.
    """
    marked = padded.rstrip(b"\0")
    if not marked.endswith(_MARKER) or len(padded) != length(len(marked) - 1):
        raise SealBroken
    return marked[:-1]
