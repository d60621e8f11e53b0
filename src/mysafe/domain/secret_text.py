# SPDX-License-Identifier: Apache-2.0
"""Text that must not leak by accident."""

from typing import NoReturn, final


@final
class SecretText:
    """Hold a secret so that printing, comparing, hashing or pickling it does not give it away.

    `reveal` is the only exit. The secret still stays in process memory: Python offers no erasure.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plaintext. Call it as late as possible, and never to log it."""
        return self._text

    def __repr__(self) -> str:
        return "SecretText(***)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a SecretText cannot be compared; use hmac.compare_digest on revealed bytes")

    def __hash__(self) -> NoReturn:
        raise TypeError("a SecretText cannot be hashed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretText cannot be pickled")
