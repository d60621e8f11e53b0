# SPDX-License-Identifier: Apache-2.0
"""Notice that a database went back: an old primary that was started again, or a copy of an earlier time (R-REL-06).

PostgreSQL begins a new timeline with each promotion, and what it has written only grows. A running server remembers the
furthest point it saw, and uses no database that has not come as far. It remembers for as long as it runs.
"""

import threading
from typing import NamedTuple


class Point(NamedTuple):
    """How far a server has come: `system` names the cluster, `position` counts bytes of WAL that are on disk."""

    system: str
    timeline: int
    position: int


class Past:
    """The furthest point that the connections of this process have seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._furthest: Point | None = None

    @property
    def furthest(self) -> Point | None:
        """The furthest point so far; to be asked for before a server is asked how far it has come."""
        return self._furthest

    def note(self, point: Point) -> None:
        """Remember a point of a server that may be used."""
        with self._lock:
            if self._furthest is None or point[1:] > self._furthest[1:]:
                self._furthest = point

    def is_over(self, point: Point) -> bool:
        """Return whether a connection that began at a point leads to a primary that another one has followed."""
        return self._furthest is not None and point.timeline < self._furthest.timeline


def complaint_about(point: Point, known: Point | None) -> str | None:
    """Return why a server that has come to a point is not used after one that had come to `known`, or None."""
    if known is None:
        return None
    if point.system != known.system:
        return "the database is in another cluster than before: restart mysafe if that is meant"
    if point.timeline < known.timeline:
        return "the database server was the primary once and is not any more: another one has followed it"
    if point[1:] < known[1:]:
        return "the database went back to an earlier time: restart mysafe if that is meant"
    return None
