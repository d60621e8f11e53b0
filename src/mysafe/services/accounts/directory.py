# SPDX-License-Identifier: Apache-2.0
"""Whom a user may share with: a bounded search, so that nobody has to know names by heart (contract 9, rule 3)."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from mysafe.crypto.blind_index import caseless
from mysafe.domain.actions import Action
from mysafe.domain.errors import MissingField, TooLong
from mysafe.domain.principals import Group, User
from mysafe.services.accounts.users import LONGEST_NAME
from mysafe.services.sharing import NameableGroups
from mysafe.services.unit_of_work import UnitOfWork

MOST_FOUND = 20
"""Most users, and most groups, that one search returns."""


class Found(NamedTuple):
    """Active users, and enabled groups the actor may name, ascending by id; `has_more` if some were left out."""

    users: list[User]
    groups: list[Group]
    has_more: bool


def search(uow: UnitOfWork, text: str) -> Found:
    """Return who may be named in a share and has `text` in the name, user name or e-mail address; case does not count.

    A group that another one hides, because a share by that name would mean the other, is left out.

    Raises:
        MissingField, TooLong: the text is blank or longer than a name.
    """
    uow.registry.permit(Action.PRINCIPAL_LIST)
    if not text.strip():
        raise MissingField("search")
    if len(text) > LONGEST_NAME:
        raise TooLong("search", LONGEST_NAME)
    part = caseless(text.strip())
    users = list(islice(_users(uow, part), MOST_FOUND + 1))
    nameable = NameableGroups(uow.principals, uow.actor.user_id).all()
    groups = [group for group in nameable if part in caseless(group.name)]
    has_more = len(users) > MOST_FOUND or len(groups) > MOST_FOUND
    return Found(users[:MOST_FOUND], groups[:MOST_FOUND], has_more)


def _users(uow: UnitOfWork, part: str) -> Iterator[User]:
    for user in uow.principals.users_after(0):
        if user.is_active and any(part in caseless(text) for text in (user.username, user.name, user.email)):
            yield user
