# SPDX-License-Identifier: Apache-2.0
"""Open a sealed vault with what people type: a passphrase, a recovery code, or one share after the other.

What is refused is told at once, counted, kept, and recorded in the audit log when the vault is open (R-CRY-11).
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from mysafe.crypto.root_key.passphrase import PassphraseProvider, RecoveryProvider
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.crypto.root_key.shares import ShareCollector, open_with
from mysafe.domain.errors import TooMany
from mysafe.domain.secret_text import SecretText
from mysafe.services.keys import KeysRefused
from mysafe.storage.vault_state import SlotRow

T = TypeVar("T")

_security = logging.getLogger("mysafe.security")

MOST_FAILURES = 5
WINDOW_SECONDS = 60
"""After so many refusals within a minute nothing is looked at until the minute is over."""

MOST_KEPT = 100
"""Refusals that are kept for the audit log; of more than these only the number is."""


class Progress(NamedTuple):
    """How far opening has come: the provider, and how many of how many secrets it has."""

    provider: str
    given: int
    needed: int


class Unsealing:
    """Take what people type until the vault opens. Safe to use from any thread.

    Args:
        slot: of the provider, which is one of people's.
        open_with_provider: opens the vault; raises KeysRefused if the key is wrong.
        ticks: seconds that never go back.
        clock: Unix seconds.

    Raises:
        SealBroken: the slot of a provider of shares is damaged.
    """

    def __init__(
        self,
        slot: SlotRow,
        open_with_provider: Callable[[RootKeyProvider], T],
        *,
        ticks: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.slot = slot
        self._open: Callable[[RootKeyProvider], object] = open_with_provider
        self._ticks, self._clock = ticks, clock
        self._lock = threading.Lock()
        self._shares = self._new_collector()
        self._failed_at: deque[float] = deque(maxlen=MOST_FAILURES)
        self._refusals: list[str] = []
        self._refused = 0

    @property
    def progress(self) -> Progress:
        """How far opening has come."""
        if self._shares is None:
            return Progress(self.slot.provider, 0, 1)
        return Progress(self.slot.provider, self._shares.given, self._shares.needed)

    @property
    def refusals(self) -> list[str]:
        """What was refused so far, each with its time; only the number of those that are too many."""
        more = self._refused - len(self._refusals)
        return [*self._refusals, *([f"{more} more were refused"] if more else [])]

    def give(self, secret: SecretText) -> object | None:
        """Take a secret; return what the vault opened to, or None while more shares are needed.

        Raises:
            RootKeyRefused, KeysRefused: the secret is wrong; the text says how.
            TooMany: too many were wrong. The secret is not looked at, right or wrong.
        """
        with self._lock:
            self._check_rate()
            try:
                return self._opened(secret)
            except (RootKeyRefused, KeysRefused) as refused:
                self._note(str(refused))
                raise

    def _opened(self, secret: SecretText) -> object | None:
        if self._shares is None:
            kind = RecoveryProvider if self.slot.provider == RecoveryProvider.name else PassphraseProvider
            return self._open(kind(lambda what: secret))
        collected = self._shares
        collected.give(secret)
        if collected.given < collected.needed:
            return None
        self._shares = self._new_collector()
        return self._open(_Collected(self.slot.provider, collected))

    def _new_collector(self) -> ShareCollector | None:
        return ShareCollector(self.slot.wrapped) if self.slot.provider == "shamir" else None

    def _check_rate(self) -> None:
        now = self._ticks()
        while self._failed_at and self._failed_at[0] <= now - WINDOW_SECONDS:
            self._failed_at.popleft()
        if len(self._failed_at) == MOST_FAILURES:
            raise TooMany(max(1, round(self._failed_at[0] + WINDOW_SECONDS - now)))

    def _note(self, reason: str) -> None:
        self._failed_at.append(self._ticks())
        self._refused += 1
        _security.warning("unsealing was refused: %s", reason)
        if len(self._refusals) < MOST_KEPT:
            at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
            self._refusals.append(f"{at}: {reason}")


class _Collected:
    """The provider of shares that were collected."""

    def __init__(self, name: str, collector: ShareCollector) -> None:
        self.name = name
        self._collector = collector

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        raise RootKeyRefused("shares are made with a new slot only")

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        return open_with(self._collector, blob, aad)

    def health(self) -> str | None:
        return None
