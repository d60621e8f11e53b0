# SPDX-License-Identifier: Apache-2.0
"""Let through what does not come too often: requests of a user, failures at the token endpoint (R-LIM-02, R-TOK-14).

A user is known once a token was identified, inside the unit of work. What that found is remembered, and so the next
call with the token is counted before any work is done for it. Remembering a token never admits anybody: every call
is still identified in its own transaction, and what is refused there is forgotten. Refused calls empty a bucket of
their own: a stolen token that was revoked must neither use up what its user may do nor fill the audit log.

Everything is counted in this process only, and forgotten when it ends.
"""

import logging
import threading
import time
from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from mysafe.domain.errors import NotAuthenticated, TooMany
from mysafe.domain.ids import UserId
from mysafe.server.origin import source_of
from mysafe.server.throttle import SECOND, Buckets, Clock, Windows
from mysafe.services.principals import Principals
from mysafe.services.vault import Identify, Identity

_security = logging.getLogger("mysafe.security")

MINUTE = 60
"""The window of everything that is counted by the minute, in seconds."""

MOST_SECRETS_PER_MINUTE = 100
"""Above this many secrets opened by one user an alarm is raised (R-LIM-02)."""

REMEMBERED_TOKENS = 8192


class Rates(NamedTuple):
    """How often is too often. `requests_per_second` and `requests_burst` are for each user, 0 a second is no limit.

    The failures are those of token requests in a minute: of one client id from one address, and of an address in all.
    """

    requests_per_second: int = 50
    requests_burst: int = 100
    token_failures_per_minute: int = 10
    token_failures_per_address: int = 100


class Admission:
    """Counts calls and failures, and refuses with TooMany. Safe to use from any thread."""

    def __init__(self, rates: Rates, clock: Clock = time.monotonic_ns) -> None:
        # Units are identified on the event loop as a rule, looks on the readers' threads.
        self._lock = threading.Lock()
        self._requests = Buckets(rates.requests_per_second, rates.requests_burst, clock)
        self._recorded = Windows(1, 1, clock)
        self._by_pair = Windows(rates.token_failures_per_minute, MINUTE, clock)
        self._by_source = Windows(rates.token_failures_per_address, MINUTE, clock)
        self._opened = Windows(MOST_SECRETS_PER_MINUTE, MINUTE, clock)
        self._announced = Windows(1, MINUTE, clock)
        # A hash keyed by the process stands for header and address: no credential is kept. The address is part of it
        # so that a token known from one place is not counted for its user when it is tried from another.
        self._users: OrderedDict[int, UserId] = OrderedDict()

    # -- requests of a user ---------------------------------------------------------------------------------------

    def of_token(self, identify: Identify, authorization: bytes | None, address: str) -> Identify:
        """Return how to identify a call with an access token, counted for its user.

        Args:
            identify: finds the caller by the token.
            authorization: the header the token came in.
            address: of the client.

        Raises:
            TooMany: the user is known to be over the limit, and that was recorded within the last second.
        """
        sent = hash((authorization, address))
        with self._lock:
            user = self._users.get(sent)
            if user is None:
                return _CountedLater(self, identify, sent)
            wait = self._requests.take(user)
            if not wait:
                return identify
            if not self._recorded.is_allowed(user):
                raise _too_many(wait)
        return partial(_identify_and_refuse, identify, _too_many(wait))

    def forget(self, authorization: bytes | None, address: str) -> None:
        """Forget whose token this was: it was refused, and must not use up what its user may do."""
        with self._lock:
            self._users.pop(hash((authorization, address)), None)

    def of_many(self, identify: Identify, things: int) -> Identify:
        """Return how to identify a call that does so many things, and was counted as one by `of_token`.

        It is counted for the others when its user is known, before any of it is done, and refused with TooMany.
        """
        return identify if things <= 1 else _CountedAgain(self, identify, things - 1)

    def count_more(self, user: int, more: int) -> tuple[TooMany | None, bool]:
        """Count what a call does beyond the first thing. Returns as `count`."""
        with self._lock:
            wait = self._requests.take_more(user, more)
            return (_too_many(wait), self._recorded.is_allowed(user)) if wait else (None, False)

    def user_of(self, authorization: bytes | None, address: str) -> UserId | None:
        """Return whose call this is, if that is remembered; it proves nothing."""
        with self._lock:
            return self._users.get(hash((authorization, address)))

    def opened(self, authorization: bytes | None, address: str) -> None:
        """Count a secret that was revealed, and raise the alarm if its user opens too many; once a minute at most."""
        with self._lock:
            user = self._users.get(hash((authorization, address)))
            if user is not None and self._opened.add(user) and self._announced.is_allowed(hash(("opened", user))):
                _security.warning("user %d opened more than %d secrets in a minute", user, MOST_SECRETS_PER_MINUTE)

    def count(self, identity: Identity, sent: int | None) -> tuple[TooMany | None, bool]:
        """Count a call whose user was just found; if it is good, remember the user for what was `sent`.

        Returns:
            the refusal or None, and whether the refusal is to be recorded.
        """
        user = identity.actor.user_id
        with self._lock:
            if identity.refusal is not None:
                wait = self._requests.take(~user)  # no id is negative: a bucket beside the user's own
                return (_too_many(wait) if wait else None), False
            if sent is not None:
                self._users[sent] = user
                if len(self._users) > REMEMBERED_TOKENS:
                    self._users.popitem(last=False)
            wait = self._requests.take(user)
            return (_too_many(wait), self._recorded.is_allowed(user)) if wait else (None, False)

    # -- failures at the token endpoint -----------------------------------------------------------------------------

    def of_client(self, identify: Identify, client_id: str, address: str) -> Identify:
        """Return how to identify a program by its secret; failures are counted, and good calls for their user.

        Raises:
            TooMany: there were too many failures. The secret is not looked at, right or wrong.
        """
        tried = _Tried(self, identify, client_id, source_of(address))
        tried.check()
        return tried

    def malformed(self, address: str) -> None:
        """Count a token request that names no client as a failure of its address. Raises TooMany."""
        source = source_of(address)
        self.check(None, source)
        self.failed(None, source)

    def check(self, pair: int | None, source: str) -> None:
        """Raise TooMany if there were too many failures of a client id from a source, or of the source."""
        with self._lock:
            wait = max(self._by_source.wait(hash(source)), 0 if pair is None else self._by_pair.wait(pair))
        if wait:
            raise _too_many(wait)

    def failed(self, pair: int | None, source: str) -> None:
        """Count a failure, and log that throttling begins if it was the last one allowed."""
        with self._lock:
            counted = [(self._by_source, hash(source), "all")]
            if pair is not None:
                counted.append((self._by_pair, pair, "one client id's"))
            for windows, key, whose in counted:
                windows.add(key)
                if windows.wait(key) and self._announced.is_allowed(key):
                    _security.warning("%s token requests from %s are throttled", whose, source)


class _CountedLater:
    """Identify a call, and count it once its user is known. A group of units may run twice; it is counted once."""

    __slots__ = ("_admission", "_identify", "_outcome", "_sent")

    def __init__(self, admission: Admission, identify: Identify, sent: int | None) -> None:
        self._admission = admission
        self._identify = identify
        self._sent = sent
        self._outcome: tuple[TooMany | None, bool] | None = None

    def __call__(self, principals: Principals) -> Identity:
        identity = self._identify(principals)
        if identity.refusal is not None and self._sent is None:
            return identity  # a wrong secret: counted elsewhere, alike for known and unknown clients
        if self._outcome is None:
            self._outcome = self._admission.count(identity, self._sent)
        refusal, is_recorded = self._outcome
        if refusal is not None and not is_recorded:
            raise refusal
        return identity if refusal is None else Identity(identity.actor, refusal)


class _CountedAgain:
    """Identify a call, and count the rest of what it does. A group of units may run twice; it is counted once."""

    __slots__ = ("_admission", "_identify", "_more", "_outcome")

    def __init__(self, admission: Admission, identify: Identify, more: int) -> None:
        self._admission = admission
        self._identify = identify
        self._more = more
        self._outcome: tuple[TooMany | None, bool] | None = None

    def __call__(self, principals: Principals) -> Identity:
        identity = self._identify(principals)
        if identity.refusal is not None:
            return identity
        if self._outcome is None:
            self._outcome = self._admission.count_more(identity.actor.user_id, self._more)
        refusal, is_recorded = self._outcome
        if refusal is not None and not is_recorded:
            raise refusal
        return Identity(identity.actor, refusal)


class _Tried:
    """Identify a program, and count it if it fails. It is checked again here, for what failed since it arrived."""

    __slots__ = ("_admission", "_has_failed", "_identify", "_pair", "_source")

    def __init__(self, admission: Admission, identify: Identify, client_id: str, source: str) -> None:
        self._admission = admission
        self._identify = _CountedLater(admission, identify, None)
        self._pair = hash((client_id, source))
        self._source = source
        self._has_failed = False

    def check(self) -> None:
        self._admission.check(self._pair, self._source)

    def __call__(self, principals: Principals) -> Identity:
        if not self._has_failed:
            self.check()
        try:
            identity = self._identify(principals)
        except NotAuthenticated:
            self._fail()
            raise
        if isinstance(identity.refusal, NotAuthenticated):
            self._fail()
        return identity

    def _fail(self) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._admission.failed(self._pair, self._source)


def _identify_and_refuse(identify: Identify, refusal: TooMany, principals: Principals) -> Identity:
    """Refuse a call whose user is over the limit, unless it is refused anyhow; either way it is recorded."""
    identity = identify(principals)
    return identity if identity.refusal is not None else Identity(identity.actor, refusal)


def _too_many(wait: int) -> TooMany:
    return TooMany(-(-wait // SECOND))
