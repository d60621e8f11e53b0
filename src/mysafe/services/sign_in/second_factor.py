# SPDX-License-Identifier: Apache-2.0
"""The second factor: codes of an authenticator app, and recovery codes for when it is lost (R-AUTH-06, R-AUTH-08)."""

import hmac
import re
import secrets
from dataclasses import replace
from typing import NamedTuple

from mysafe.crypto.totp import STEP_SECONDS, totp_code
from mysafe.domain.actions import Action
from mysafe.domain.errors import NotFound, WrongPassword, WrongState
from mysafe.domain.ids import FactorId
from mysafe.domain.principals import User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import RECOVERY_CODES, Factor, FactorKind
from mysafe.services.payloads import sign_in as payloads
from mysafe.services.sign_in.entrance import Entered, myself, new_session, session_of
from mysafe.services.unit_of_work import UnitOfWork

SEED_CHARACTERS = 32
"""Base32 characters of a new seed: 160 bits (RFC 4226, section 4)."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CODE_CHARACTERS = 16
"""Base32 characters of a recovery code: 80 bits (R-AUTH-08)."""


class Enrolment(NamedTuple):
    """A seed that is shown once, to be put into an authenticator app."""

    seed: SecretText
    username: str


def enrol(uow: UnitOfWork) -> Enrolment:
    """Make a new seed for the actor. It counts for nothing until `confirm`.

    Raises WrongState if there is a confirmed one: it must be removed first.
    """
    user = myself(uow)
    if _factor(uow, FactorKind.TOTP, is_confirmed=True) is not None:
        raise WrongState("there is a second factor")
    seed = SecretText("".join(secrets.choice(_ALPHABET) for _ in range(SEED_CHARACTERS)))
    factor = Factor(FactorId(0), 0, user.id, FactorKind.TOTP, is_confirmed=False, created_at=0)
    uow.registry.sign_in.put_factor(factor, payloads.encode_seed(seed), Action.FACTOR_ADD)
    return Enrolment(seed, user.username)


def confirm(uow: UnitOfWork, code: str) -> list[SecretText]:
    """Let the seed that was shown last be asked for from now on, and return the recovery codes, shown once.

    Raises:
        NotFound: no seed was shown, or it is confirmed already.
        WrongPassword: the code is not that of the seed.
    """
    user = myself(uow)
    factor = _factor(uow, FactorKind.TOTP, is_confirmed=False)
    if factor is None:
        raise NotFound("second factor")
    step = _step_of(uow, factor, code)
    if step is None:
        raise WrongPassword
    writes = uow.registry.sign_in
    writes.change_factor(replace(factor, is_confirmed=True, last_step=step), Action.FACTOR_CONFIRM)
    return renew_codes(uow, user)


def renew_codes(uow: UnitOfWork, user: User | None = None) -> list[SecretText]:
    """Return new recovery codes for the actor, shown once; the ones before are good no more."""
    user = user or myself(uow)
    codes = [
        SecretText("".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARACTERS))) for _ in range(RECOVERY_CODES)
    ]
    factor = Factor(FactorId(0), 0, user.id, FactorKind.RECOVERY, is_confirmed=True, created_at=0, left=len(codes))
    writes = uow.registry.sign_in
    writes.put_factor(factor, writes.sealed_codes(user, codes), Action.FACTOR_ADD)
    return codes


def remove(uow: UnitOfWork) -> None:
    """Remove the actor's second factor and recovery codes. Raises NotFound if there is none."""
    factors = uow.principals.factors_of(myself(uow).id)
    if not factors:
        raise NotFound("second factor")
    for factor in factors:
        uow.registry.sign_in.remove_factor(factor)


def list_factors(uow: UnitOfWork) -> list[Factor]:
    """Return the actor's second factors."""
    uow.registry.permit(Action.FACTOR_LIST)
    return uow.principals.factors_of(uow.actor.user_id)


def complete(uow: UnitOfWork, token: SecretText, code: str) -> Entered:
    """Let a session that waits for its second factor begin, under a new token (R-SES-02).

    Args:
        token: of the session that waits; it is good no more then.
        code: of the authenticator app, or a recovery code, which is used up. Spaces and dashes do not count.

    Raises:
        WrongPassword: the code is wrong, was used before, or its time is over. It counts as a failed sign-in: see
            `entrance.begin`, which must come first.
    """
    user, before = myself(uow), session_of(uow, token)
    typed = re.sub(r"[\s-]", "", code)
    if not (_takes_code(uow, typed) or _takes_recovery_code(uow, typed.upper())):
        raise WrongPassword
    writes = uow.registry.sign_in
    writes.forget_tries(user.username)
    entered = new_session(uow, user, before.address, before.agent, is_complete=True)
    writes.end_session(before)
    return entered


def _takes_code(uow: UnitOfWork, code: str) -> bool:
    factor = _factor(uow, FactorKind.TOTP, is_confirmed=True)
    step = None if factor is None else _step_of(uow, factor, code)
    if factor is None or step is None:
        return False
    uow.registry.sign_in.change_factor(replace(factor, last_step=step), Action.SESSION_COMPLETE)
    return True


def _takes_recovery_code(uow: UnitOfWork, code: str) -> bool:
    factor = _factor(uow, FactorKind.RECOVERY, is_confirmed=True)
    if factor is None or not re.fullmatch(f"[{_ALPHABET}]{{{_CODE_CHARACTERS}}}", code):
        return False
    writes = uow.registry.sign_in
    left = writes.is_code_of(factor, code)
    if left is None:
        return False
    writes.change_factor(replace(factor, left=len(left)), Action.SESSION_COMPLETE, payloads.encode_codes(left))
    return True


def _step_of(uow: UnitOfWork, factor: Factor, code: str) -> int | None:
    """Return the time step of a code if it is the present one or the one before, and none so late was used before."""
    seed, now = uow.registry.sign_in.seed_of(factor), uow.principals.now
    found = None
    for step in (now // STEP_SECONDS, now // STEP_SECONDS - 1):
        expected = totp_code(seed, step * STEP_SECONDS).reveal()
        if hmac.compare_digest(expected.encode(), code.encode("utf-8", "replace")) and step > factor.last_step:
            found = step
    return found


def _factor(uow: UnitOfWork, kind: FactorKind, *, is_confirmed: bool) -> Factor | None:
    factors = uow.principals.factors_of(uow.actor.user_id)
    return next((one for one in factors if one.kind is kind and one.is_confirmed is is_confirmed), None)
