# SPDX-License-Identifier: Apache-2.0
"""Places for what takes long: a bounded number of them, and of those a bounded part for each user (R-LIM-01)."""

from collections import Counter
from types import TracebackType
from typing import ClassVar, Self

from mysafe.domain.errors import Busy, TooMany

NOBODY_KNOWN = 0
"""Stands for all who are not known: together they have the part of one user."""

RETRY_AFTER_SECONDS = 1


class Places:
    """Count who holds a place. For one event loop. A subclass says how many there are.

    `number` is how many there are, and `of_one` how many of them one user may hold.
    """

    number: ClassVar[int]
    of_one: ClassVar[int]

    def __init__(self) -> None:
        self._taken = 0
        self._by_user: Counter[int] = Counter()

    def take(self) -> "Place":
        """Return a place that belongs to nobody yet. Raises Busy if there is none."""
        if self._taken >= self.number:
            raise Busy
        self._taken += 1
        return Place(self)

    def count_for(self, user: int) -> None:
        """Count a place that was taken for a user. Raises TooMany."""
        if self._by_user[user] >= self.of_one:
            raise TooMany(RETRY_AFTER_SECONDS)
        self._by_user[user] += 1

    def leave(self, user: int | None) -> None:
        """Count a place no more, for a user neither if it belonged to one."""
        self._taken -= 1
        if user is not None:
            self._by_user[user] -= 1
            if not self._by_user[user]:
                del self._by_user[user]


class Place:
    """A place that is held until it is given back. As a context it is given back at the end."""

    __slots__ = ("_places", "_user")

    def __init__(self, places: Places) -> None:
        self._places: Places | None = places
        self._user: int | None = None

    def give_to(self, user: int) -> None:
        """Let the place count for a user, once. Raises TooMany if the user holds as many as one may."""
        if self._user is None and self._places is not None:
            self._places.count_for(user)
            self._user = user

    def give_back(self) -> None:
        """Give the place back; a second time changes nothing."""
        if self._places is not None:
            self._places.leave(self._user)
            self._places = None

    def __enter__(self) -> Self:
        """Return the place."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self.give_back()
