# SPDX-License-Identifier: Apache-2.0
"""Sign in with user name and password.

    begin (counts the try)  →  compare (slow, outside of any unit)  →  enter, by `entering` (makes the session)

What cannot enter is refused alike, whether there is no such user, the password is wrong, or the user is disabled
(R-AUTH-09); and it takes as long (R-AUTH-04).
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mysafe.crypto.credentials import looks_like_session_token, new_session_token
from mysafe.crypto.password_hash import spend_dummy_hash, verify_password
from mysafe.domain.actions import Action
from mysafe.domain.errors import NotAuthenticated, WrongPassword
from mysafe.domain.ids import AccessKeyId, SessionId, UserId
from mysafe.domain.principals import NOBODY, Actor, User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import TOUCH_SECONDS, WebSession
from mysafe.services.principals import Principals, SignedIn
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Identify, Identity
from mysafe.services.writes.sign_in import is_wanted

LONGEST_AGENT = 200
"""Most characters of a browser's description of itself that are kept."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody who wants to enter under a name. `stored` is what the password is compared with, None without a user."""

    username: str
    user_id: UserId = NOBODY.user_id
    user_version: int = 0
    stored: str | None = field(default=None, repr=False)


class Entrance(NamedTuple):
    """What came of an attempt: whether the password was right, and from where it was made."""

    attempt: Attempt
    is_right: bool
    address: str
    agent: str


class Entered(NamedTuple):
    """A new session, and the token by which the browser is known: shown to nobody else."""

    session: WebSession
    token: SecretText


def begin(uow: UnitOfWork, username: str) -> Attempt:
    """Count a try under a name, and return what the password is compared with. Raises TooMany."""
    uow.registry.sign_in.count_try(username)
    user = uow.principals.user_by_name(username)
    if user is None:
        return Attempt(username)
    return Attempt(username, user.id, user.version, uow.registry.sign_in.hash_of(user))


def compare(attempt: Attempt, password: SecretText) -> bool:
    """Return whether a password is the right one. It takes a tenth of a second: never call it inside a unit of work."""
    if attempt.stored is None:
        spend_dummy_hash()
        return False
    return verify_password(attempt.stored, password)


def entering(entrance: Entrance) -> Identify:
    """Return how to identify who signs in: by the password that was compared, if nothing changed since."""

    def identify(principals: Principals) -> Identity:
        attempt = entrance.attempt
        user = principals.user(attempt.user_id) if attempt.user_id else None
        if user is None:
            raise WrongPassword
        is_good = entrance.is_right and user.is_active and user.version == attempt.user_version
        return Identity(_actor(user), None if is_good else WrongPassword())

    return identify


def enter(uow: UnitOfWork, entrance: Entrance) -> Entered:
    """Make a session for the actor. It is complete if no second factor is asked for."""
    user = myself(uow)
    is_complete = not is_wanted(uow.principals.factors_of(user.id))
    if is_complete:
        uow.registry.sign_in.forget_tries(entrance.attempt.username)
    return new_session(uow, user, entrance.address, entrance.agent, is_complete=is_complete)


def new_session(uow: UnitOfWork, user: User, address: str, agent: str, *, is_complete: bool) -> Entered:
    """Make a session of a user who has just given the password."""
    now = uow.principals.steady_now
    token = new_session_token()
    session = WebSession(
        SessionId(0),
        0,
        user.id,
        b"",
        user.auth_epoch,
        is_complete,
        created_at=now,
        seen_at=now,
        proved_at=now,
        address=address,
        agent=agent[:LONGEST_AGENT],
    )
    return Entered(uow.registry.sign_in.begin_session(session, token, Action.SESSION_BEGIN), token)


def in_session(token: SecretText | None, *, is_complete: bool = True) -> Identify:
    """Return how to identify the person behind a session token.

    Args:
        token: None, or what the browser sent.
        is_complete: whether the session must have passed its second factor; False is for giving just that.

    Raises:
        NotAuthenticated: no token was sent, or one that has not the form of ours.
    """
    if token is None or not looks_like_session_token(token.reveal()):
        raise NotAuthenticated(was_sent=token is not None)

    def identify(principals: Principals) -> Identity:
        found = signed_in(principals, token)
        if found is None or found.user is None:
            raise NotAuthenticated(was_sent=True)
        is_good = found.is_good(principals.steady_now) and found.session.is_complete is is_complete
        return Identity(_actor(found.user), None if is_good else NotAuthenticated(was_sent=True))

    return identify


def signed_in(principals: Principals, token: SecretText) -> SignedIn | None:
    """Return what a session token stands for, None if it is none of ours."""
    return principals.web_session(token.reveal())


def session_of(uow: UnitOfWork, token: SecretText) -> WebSession:
    """Return the session of the actor that a token stands for. Raises NotAuthenticated."""
    found = signed_in(uow.principals, token)
    if found is None or found.session.user_id != uow.actor.user_id:
        raise NotAuthenticated(was_sent=True)
    return found.session


def touch(uow: UnitOfWork, token: SecretText) -> WebSession:
    """Return the session of the actor; from time to time it notes that it is used."""
    session = session_of(uow, token)
    if uow.principals.steady_now - session.seen_at < TOUCH_SECONDS:
        return session
    return uow.registry.sign_in.touch_session(session)


def prove(uow: UnitOfWork, token: SecretText) -> WebSession:
    """Note that the actor has just given the password again (R-AUTH-10); the session goes on under the same token."""
    session = session_of(uow, token)
    return uow.registry.sign_in.change_session(
        replace(session, proved_at=uow.principals.steady_now), Action.SESSION_PROVE
    )


def myself(uow: UnitOfWork) -> User:
    """Return the actor as a user. Raises NotAuthenticated."""
    user = uow.principals.user(uow.actor.user_id)
    if user is None:
        raise NotAuthenticated(was_sent=True)
    return user


def _actor(user: User) -> Actor:
    return Actor(user.id, AccessKeyId(0), is_admin=user.is_admin)
