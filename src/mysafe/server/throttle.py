# SPDX-License-Identifier: Apache-2.0
"""Count what comes too often: a bucket that refills, and a window that slides. Pure counting, no network, no users.

Both forget the key that was quiet for the longest time once they hold `capacity` of them, so a stranger who varies
keys fills no memory. Neither may be used by two threads at once. Times are whole nanoseconds, so nothing is rounded.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds that never go back, as `time.monotonic_ns`."""

SECOND = 1_000_000_000
"""Nanoseconds of a second."""

CAPACITY = 4096
"""Keys that are remembered at once."""


class Buckets:
    """A bucket of tokens for each key: it holds `burst` and gets `per_second` back each second (0: never empty)."""

    def __init__(self, per_second: int, burst: int, clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._each = SECOND // per_second if per_second else 0
        self._depth = self._each * burst
        self._clock = clock
        self._capacity = capacity
        # A bucket is the moment at which it will be full again; a key that is not here has a full one.
        self._full_at: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._full_at)

    def take(self, key: int) -> int:
        """Take a token and return 0, or return the nanoseconds until there is one."""
        if not self._each:
            return 0
        now = self._clock()
        full_at = max(self._full_at.get(key, 0), now) + self._each
        wait = full_at - now - self._depth
        if wait > 0:
            return wait
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        self._forget()
        return 0

    def take_more(self, key: int, tokens: int) -> int:
        """Take more tokens for what took one before and return 0, or return the nanoseconds until there are so many.

        What needs more than the bucket holds is let through when it was full, and leaves it in debt.
        """
        if not self._each or tokens <= 0:
            return 0
        now = self._clock()
        full_at = max(self._full_at.get(key, 0), now)
        wait = full_at + min(tokens * self._each, self._depth - self._each) - now - self._depth
        if wait > 0:
            return wait
        self._full_at[key] = full_at + tokens * self._each
        self._full_at.move_to_end(key)
        self._forget()
        return 0

    def _forget(self) -> None:
        if len(self._full_at) > self._capacity:
            self._full_at.popitem(last=False)


class Windows:
    """The last events of each key: tells whether `limit` of them lie within the last `seconds`."""

    def __init__(self, limit: int, seconds: int, clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._limit = limit
        self._length = seconds * SECOND
        self._clock = clock
        self._capacity = capacity
        self._events: OrderedDict[int, deque[int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._events)

    def wait(self, key: int) -> int:
        """Return the nanoseconds until fewer than `limit` events lie in the window; 0 if it is so now."""
        events = self._events.get(key)
        if events is None or len(events) < self._limit:
            return 0
        return max(events[0] + self._length - self._clock(), 0)

    def add(self, key: int) -> bool:
        """Count an event that happens now; return whether it is one too many, as `wait` would have said before."""
        now = self._clock()
        events = self._events.get(key)
        if events is None:
            events = self._events[key] = deque(maxlen=self._limit)
            if len(self._events) > self._capacity:
                self._events.popitem(last=False)
        is_too_many = len(events) == self._limit and now < events[0] + self._length
        events.append(now)
        self._events.move_to_end(key)
        return is_too_many

    def is_allowed(self, key: int) -> bool:
        """Count an event that happens now unless it is one too many; return whether it was counted."""
        is_allowed = not self.wait(key)
        if is_allowed:
            self.add(key)
        return is_allowed
