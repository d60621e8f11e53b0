# SPDX-License-Identifier: Apache-2.0
"""A set of numbers that stand close to each other: a bit for each, so that millions of them take little memory."""

_PAGE_BITS = 16


class Numbers:
    """A set of whole numbers; a run of a million takes 128 KiB."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, number: int) -> bool:
        """Add a number; return whether it is new."""
        page = self._pages.setdefault(number >> _PAGE_BITS, bytearray(1 << _PAGE_BITS - 3))
        place, bit = (number & (1 << _PAGE_BITS) - 1) >> 3, 1 << (number & 7)
        is_new = not page[place] & bit
        page[place] |= bit
        return is_new

    def __contains__(self, number: int) -> bool:
        page = self._pages.get(number >> _PAGE_BITS)
        return page is not None and bool(page[(number & (1 << _PAGE_BITS) - 1) >> 3] & 1 << (number & 7))
