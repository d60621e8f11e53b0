# SPDX-License-Identifier: Apache-2.0
"""Input that was read already and whose complaint waits for its turn."""

from collections.abc import Callable
from typing import Generic, TypeVar

from mysafe.domain.errors import InvalidInput

T = TypeVar("T")


class Deferred(Generic[T]):
    """Hold what a parser returned, or what it complained about.

    The contract looks at the caller and the item before the body (7). Reading it first costs nothing inside the unit
    of work, and the use case asks for the value when its turn has come.
    """

    __slots__ = ("_complaint", "_value")

    def __init__(self, parse: Callable[[], T]) -> None:
        self._value: T | None = None
        self._complaint: InvalidInput | None = None
        try:
            self._value = parse()
        except InvalidInput as complaint:
            self._complaint = complaint

    def value(self) -> T:
        """Return what was read. Raises the InvalidInput that reading it raised."""
        if self._complaint is not None:
            raise self._complaint
        return self._value  # type: ignore[return-value]  # parse has returned
