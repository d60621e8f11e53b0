# SPDX-License-Identifier: Apache-2.0
"""How people sign in: sessions of a browser, second factors, and links that are good once (R-AUTH, R-SES)."""

from dataclasses import dataclass
from enum import IntEnum

from mysafe.domain.ids import FactorId, LinkId, SessionId, UserId

IDLE_SECONDS = 15 * 60
"""How long a session lives without a request (R-SES-02)."""

LIFETIME_SECONDS = 12 * 3600
"""How long a session lives at most (R-SES-02)."""

PENDING_SECONDS = 5 * 60
"""How long a session waits for its second factor."""

PROOF_SECONDS = 5 * 60
"""How long after the password was given what is guarded by it may be done (R-AUTH-10)."""

TOUCH_SECONDS = 60
"""A session notes that it is used at most this often."""

RECOVERY_CODES = 10
"""How many recovery codes a person gets at a time (R-AUTH-08)."""

MOST_SESSIONS = 50
"""Most sessions of one person at a time; another one ends the oldest."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """A browser in which somebody signed in.

    `is_complete` says that no second factor is awaited any more. `proved_at` is when the password was given last.
    `auth_epoch` is the user's at that time. Times are in Unix seconds.
    """

    id: SessionId
    version: int
    user_id: UserId
    verifier: bytes
    auth_epoch: int
    is_complete: bool
    created_at: int
    seen_at: int
    proved_at: int
    address: str
    agent: str

    @property
    def expires_at(self) -> int:
        """When it ends if it is not used any more."""
        if not self.is_complete:
            return self.created_at + PENDING_SECONDS
        return min(self.created_at + LIFETIME_SECONDS, self.seen_at + IDLE_SECONDS)

    def is_proved(self, now: int) -> bool:
        """Return whether the password was given lately enough for what is guarded by it."""
        return 0 <= now - self.proved_at < PROOF_SECONDS


class FactorKind(IntEnum):
    """What a second factor is. The values are stored: never renumber."""

    TOTP = 1
    RECOVERY = 2


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor of a user, without its secret.

    `is_confirmed` says that its owner has shown it works; before that it is never asked for. `last_step` is the newest
    time step whose code was used (RFC 6238), `left` how many recovery codes are unused.
    """

    id: FactorId
    version: int
    user_id: UserId
    kind: FactorKind
    is_confirmed: bool
    created_at: int
    last_step: int = 0
    left: int = 0


class LinkPurpose(IntEnum):
    """What a link is for. The values are stored: never renumber."""

    INVITATION = 1
    RESET = 2


LINK_SECONDS = {LinkPurpose.INVITATION: 72 * 3600, LinkPurpose.RESET: 15 * 60}
"""How long a link is good."""

FIRST_LINK_SECONDS = 15 * 60
"""How long a link is good that the command line prints (R-CFG-02)."""


@dataclass(frozen=True, slots=True)
class Link:
    """Lets its user choose a password, once. `auth_epoch` is the user's when it was made."""

    id: LinkId
    version: int
    user_id: UserId
    purpose: LinkPurpose
    verifier: bytes
    auth_epoch: int
    created_at: int
    expires_at: int
