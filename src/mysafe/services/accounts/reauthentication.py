# SPDX-License-Identifier: Apache-2.0
"""Ask a user for the password again, before a secret of the account is shown (R-AUTH-10, R-TOK-09).

claim (in a unit of work)  →  prove (slow, outside of any)  →  check (in the unit that reveals)
"""

import threading
from dataclasses import dataclass, field

from mysafe.crypto.password_hash import verify_password
from mysafe.domain.errors import AccessDenied, TooMany, WrongPassword
from mysafe.domain.ids import UserId
from mysafe.domain.secret_text import SecretText
from mysafe.services.unit_of_work import UnitOfWork

MOST_WRONG_TRIES = 5
WINDOW_SECONDS = 300
"""How many wrong passwords a user may give within how many seconds; a right one makes them forgotten."""

PROOF_SECONDS = 300
"""How long a proof is good for (R-TOK-09)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is asked for the password, and what it is compared with. `at` is in Unix seconds."""

    user_id: UserId
    user_version: int
    password_hash: str = field(repr=False)
    at: int


@dataclass(frozen=True, slots=True)
class Proof:
    """Says that a user, as stored in this version, gave the right password at a time (Unix seconds)."""

    user_id: UserId
    user_version: int
    at: int


class WrongTries:
    """Count wrong passwords of each user, in the memory of one process; a restart forgets them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tries: dict[UserId, list[int]] = {}

    def begin(self, user_id: UserId, at: int) -> None:
        """Count a try as wrong until `forget` is called. Raises TooMany if there were too many before."""
        with self._lock:
            recent = [one for one in self._tries.get(user_id, ()) if abs(at - one) < WINDOW_SECONDS]
            if len(recent) >= MOST_WRONG_TRIES:
                raise TooMany(max(1, recent[0] + WINDOW_SECONDS - at))
            self._tries[user_id] = [*recent, at]

    def forget(self, user_id: UserId) -> None:
        """Forget the tries of a user, who has given the right password."""
        with self._lock:
            self._tries.pop(user_id, None)


def claim(uow: UnitOfWork) -> Claim:
    """Return what is needed to ask the actor for the password. Raises AccessDenied for a user without one."""
    user = uow.principals.user(uow.actor.user_id)
    password_hash = uow.registry.password_hash_of(user) if user else None
    if user is None or password_hash is None:
        raise AccessDenied("has no password to be asked for")
    return Claim(user.id, user.version, password_hash, uow.principals.steady_now)


def prove(tries: WrongTries, claimed: Claim, password: SecretText) -> Proof:
    """Return the proof that a password is right. It takes a tenth of a second: never call it inside a unit of work.

    Raises TooMany, WrongPassword.
    """
    tries.begin(claimed.user_id, claimed.at)
    if not verify_password(claimed.password_hash, password):
        raise WrongPassword
    tries.forget(claimed.user_id)
    return Proof(claimed.user_id, claimed.user_version, claimed.at)


def check(uow: UnitOfWork, proof: Proof | None) -> None:
    """Return if the actor has just given the password; the local operator is asked for none. Raises WrongPassword.

    A proof from before the user was changed, perhaps in the password, is good for nothing.
    """
    if uow.actor.is_operator:
        return
    user = uow.principals.user(uow.actor.user_id)
    is_good = (
        proof is not None
        and user is not None
        and (proof.user_id, proof.user_version) == (user.id, user.version)
        and uow.principals.steady_now - proof.at < PROOF_SECONDS
    )
    if not is_good:
        raise WrongPassword
