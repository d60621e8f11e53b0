# SPDX-License-Identifier: Apache-2.0
"""What is known of one request while it is answered. It holds no secret, no path, no query and no header.

`Watch` makes it and puts it into SEEN, which belongs to the request's task; whoever finds something out writes it
down there; at the end the watchers read it. Without a watcher SEEN is None.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol, TypeVar

from mysafe.domain.actions import Action
from mysafe.domain.principals import Actor

T = TypeVar("T")
P = TypeVar("P")
W = TypeVar("W")
V = TypeVar("V")


class Route(Protocol):
    """A line of the route table, as far as it is shown: the method, and the path with its variables in braces."""

    @property
    def method(self) -> str:
        """Return the HTTP method."""

    @property
    def path(self) -> str:
        """Return the template of the path."""

    @property
    def action(self) -> Action:
        """Return what is asked for."""


class Seen:
    """One request. Times are in nanoseconds of `time.perf_counter_ns`; 0 is a time that did not come.

    `status` is 0 until an answer begins, `method` and `path` are empty where no route fits. `is_followed` asks for the
    actor and for the times of its unit of work, which cost a little. `trace_parent` is the `traceparent` header of a
    trusted proxy, as it was sent.
    """

    # Most of it is never set for most requests, so it is the class that holds what is so at first.
    action: Action | None = None
    actor: Actor | None = None
    error: type[BaseException] | None = None
    address = method = path = request_id = trace_parent = ""
    body_bytes = ended = status = unit_asked = unit_began = unit_done = unit_settled = 0

    def __init__(self, *, is_followed: bool) -> None:
        self.began = time.perf_counter_ns()
        self.is_followed = is_followed

    def routed(self, route: Route) -> None:
        """Note which line of the route table it asks for."""
        self.method, self.path, self.action = route.method, route.path, route.action

    def answered(self, status: int, body_bytes: int) -> None:
        """Note how it is answered."""
        self.status, self.body_bytes = status, body_bytes

    def follow(self, identify: Callable[[P], T], work: Callable[[W], V]) -> tuple[Callable[[P], T], Callable[[W], V]]:
        """Return the same two functions, which note when they run and who was identified.

        Of several units the first one counts for the waiting, the last one for the end.
        """
        self.unit_asked = self.unit_asked or time.perf_counter_ns()

        def identified(principals: P) -> T:
            self.unit_began = self.unit_began or time.perf_counter_ns()
            identity = identify(principals)
            self.actor = getattr(identity, "actor", None)
            return identity

        def worked(unit: W) -> V:
            try:
                return work(unit)
            finally:
                self.unit_done = time.perf_counter_ns()

        return identified, worked

    def settled(self, waiter: object) -> None:
        """Note that a unit is over: on disk, or failed."""
        self.unit_settled = time.perf_counter_ns()


SEEN: ContextVar[Seen | None] = ContextVar("seen", default=None)
"""The request of the running task, if anybody watches."""
