# SPDX-License-Identifier: Apache-2.0
"""What a caller may know about itself."""

from typing import NamedTuple

from mysafe.domain.access_keys import AccessKey
from mysafe.domain.actions import Action
from mysafe.domain.errors import NotAuthenticated
from mysafe.domain.principals import User
from mysafe.services.unit_of_work import UnitOfWork


class Me(NamedTuple):
    """The user behind a call, and the access key it was made with; None for the sessions of people."""

    user: User
    access_key: AccessKey | None


def read(uow: UnitOfWork) -> Me:
    """Return the actor's own account."""
    uow.registry.permit(Action.ACCOUNT_READ)
    user = uow.principals.user(uow.actor.user_id)
    if user is None:
        raise NotAuthenticated(was_sent=True)
    return Me(user, uow.principals.access_key(uow.actor.access_key_id))
