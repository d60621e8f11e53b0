# SPDX-License-Identifier: Apache-2.0
"""How a person changes their own password: nobody else can, over the network (R-AUTH-12).

    read_hash  →  verified and hashed on a thread of its own  →  replace_hash

Hashing takes a tenth of a second, so it is done between two units of work. The second one makes sure that nothing
changed in between.
"""

from dataclasses import replace
from typing import NamedTuple

from mysafe.crypto.password_hash import spend_dummy_hash, verify_password
from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy, NotAuthenticated, TooMany, WrongPassword
from mysafe.domain.ids import UserId
from mysafe.domain.principals import User
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts.reauthentication import WrongTries
from mysafe.services.accounts.users import check_password, prepare_password
from mysafe.services.unit_of_work import UnitOfWork


class PasswordChange(NamedTuple):
    """The password a person has, and the one they want."""

    current: SecretText
    new: SecretText


class Known(NamedTuple):
    """What is known of a person who wants another password: the stored hash, None without one, and the time."""

    user_id: UserId
    stored: SecretText | None
    at: int


class Verified(NamedTuple):
    """What the hashing came to: the stored hash that was compared, and the new one; None if the password was wrong.

    `refusal` says that nothing was compared, because there were too many wrong passwords before.
    """

    stored: SecretText | None
    new: SecretText | None
    refusal: TooMany | None = None


def check(change: PasswordChange) -> None:
    """Return if the new password may be one. Raises TooShort, TooLong."""
    check_password(change.new)


def read_hash(uow: UnitOfWork) -> Known:
    """Return the stored hash of the actor's password. It is for `verify` only."""
    uow.registry.require(Action.ACCOUNT_SECURE)
    user = _myself(uow)
    stored = uow.registry.password_hash_of(user)
    return Known(user.id, None if stored is None else SecretText(stored), uow.principals.now)


def verify(change: PasswordChange, known: Known, tries: WrongTries) -> Verified:
    """Compare and hash; it takes two tenths of a second, and touches no unit of work. Wrong passwords are counted."""
    if known.stored is None:
        spend_dummy_hash()
        return Verified(None, None)
    try:
        tries.begin(known.user_id, known.at)
    except TooMany as refusal:
        return Verified(known.stored, None, refusal)
    if not verify_password(known.stored.reveal(), change.current):
        return Verified(known.stored, None)
    tries.forget(known.user_id)
    return Verified(known.stored, SecretText(prepare_password(change.new)))


def replace_hash(uow: UnitOfWork, verified: Verified) -> User:
    """Store the new hash; every token of the user ends, the one of this call too (R-TOK-05).

    Raises:
        TooMany: there were too many wrong passwords before.
        WrongPassword: the password given was not the stored one, or there is none.
        Busy: the password was changed meanwhile.
    """
    uow.registry.require(Action.ACCOUNT_SECURE)
    user = _myself(uow)
    stored = uow.registry.password_hash_of(user)
    if verified.refusal is not None:
        raise verified.refusal
    if verified.new is None or verified.stored is None:
        raise WrongPassword
    if stored != verified.stored.reveal():
        raise Busy
    return uow.registry.change_user(
        replace(user, auth_epoch=user.auth_epoch + 1), Action.ACCOUNT_SECURE, verified.new.reveal()
    )


def _myself(uow: UnitOfWork) -> User:
    user = uow.principals.user(uow.actor.user_id)
    if user is None:
        raise NotAuthenticated(was_sent=True)
    return user
