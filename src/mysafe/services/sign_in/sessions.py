# SPDX-License-Identifier: Apache-2.0
"""The sessions of a person: seen, and ended (R-SES-03)."""

from mysafe.domain.actions import Action
from mysafe.domain.errors import NotFound
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import WebSession
from mysafe.services.sign_in.entrance import session_of
from mysafe.services.unit_of_work import UnitOfWork


def list_own(uow: UnitOfWork) -> list[WebSession]:
    """Return the actor's sessions that are alive, the newest first."""
    uow.registry.permit(Action.SESSION_LIST)
    now = uow.principals.steady_now
    sessions = uow.principals.sessions_of(uow.actor.user_id)
    return [one for one in reversed(sessions) if one.is_complete and now < one.expires_at]


def end_one(uow: UnitOfWork, session_id: int) -> None:
    """End a session of the actor. Raises NotFound."""
    found = next((one for one in uow.principals.sessions_of(uow.actor.user_id) if one.id == session_id), None)
    if found is None:
        raise NotFound("session")
    uow.registry.sign_in.end_session(found)


def end_others(uow: UnitOfWork, token: SecretText) -> int:
    """End all sessions of the actor but the one of a token; return how many."""
    mine = session_of(uow, token)
    others = [one for one in uow.principals.sessions_of(uow.actor.user_id) if one.id != mine.id]
    for one in others:
        uow.registry.sign_in.end_session(one)
    return len(others)


def sign_out(uow: UnitOfWork, token: SecretText) -> None:
    """End the session of a token."""
    uow.registry.sign_in.end_session(session_of(uow, token))
