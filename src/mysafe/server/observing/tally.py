# SPDX-License-Identifier: Apache-2.0
"""What a server process counts: requests by route and status, refusals by reason, transfers of files.

Only the event loop adds, one whole number after the other, without a lock. Another thread reads. No label comes from
a caller: routes are templates, reasons are words of ours (R-LOG-02).
"""

from mysafe.domain import errors
from mysafe.domain.actions import Action
from mysafe.domain.histogram import Histogram
from mysafe.server.observing.seen import Seen

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds of how long a request took."""

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (errors.TooMany, "rate"),
    (errors.Sealed, "sealed"),
    (errors.Busy, "busy"),
    (errors.DeadlinePassed, "deadline"),
    (errors.AuditUnwritable, "audit"),
    (errors.NoSpace, "space"),
    (errors.Unavailable, "database"),
    (errors.NotAuthenticated, "credential"),
    (errors.CallForbidden, "key_limit"),
    (errors.AccessDenied, "policy"),
    (errors.WrongPassword, "password"),
    (errors.QuotaReached, "quota"),
    (errors.TooLarge, "size"),
    (errors.SlowBody, "slow"),
    (errors.VaultError, ""),
)
"""Why a request was refused; "" for an answer that is no refusal, such as "not found". What is not here is a fault."""

REASONS = tuple(sorted({reason for _, reason in _REASONS if reason} | {"fault"}))


def reason_of(error: type[BaseException]) -> str:
    """Return the word for a kind of error, "" if it refuses nothing."""
    return next((reason for kind, reason in _REASONS if issubclass(error, kind)), "fault")


class RouteTally:
    """What was counted for one route: answers by status, and how long they took."""

    __slots__ = ("action", "seconds", "statuses")

    def __init__(self, action: Action | None) -> None:
        self.action = action
        self.statuses: dict[int, int] = {}
        self.seconds = Histogram(REQUEST_SECONDS)


class TransferTally:
    """What was moved: whole contents, and bytes of contents, also of those that were cut off."""

    __slots__ = ("downloads", "received_bytes", "sent_bytes", "uploads")

    def __init__(self) -> None:
        self.downloads = self.uploads = self.received_bytes = self.sent_bytes = 0


class RequestTally:
    """All requests of a process since it began. `hear` is a watcher."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], RouteTally] = {}
        self.refused = dict.fromkeys(REASONS, 0)
        self._reasons: dict[type[BaseException], str] = {}

    def hear(self, seen: Seen) -> None:
        """Count a request that is over."""
        key = seen.method, seen.path
        route = self.routes.get(key)
        if route is None:
            route = self.routes[key] = RouteTally(seen.action)
        statuses = route.statuses
        statuses[seen.status] = statuses.get(seen.status, 0) + 1
        route.seconds.add((seen.ended - seen.began) / 1e9)
        if seen.error is not None:
            self._count_refusal(seen.error)

    def _count_refusal(self, error: type[BaseException]) -> None:
        reason = self._reasons.get(error)
        if reason is None:
            reason = self._reasons[error] = reason_of(error)
        if reason:
            self.refused[reason] += 1

    def answers(self, actions: frozenset[Action], statuses: range) -> int:
        """Return how many requests for any of the actions were answered with any of the statuses."""
        return sum(
            number
            for route in tuple(self.routes.values())
            if route.action in actions
            for status, number in tuple(route.statuses.items())
            if status in statuses
        )
