# SPDX-License-Identifier: Apache-2.0
"""The use cases of user groups."""

from collections.abc import Sequence

from mysafe.domain.errors import NotFound
from mysafe.domain.ids import GroupId, UserId
from mysafe.domain.principals import Group
from mysafe.services.accounts.users import check_name
from mysafe.services.unit_of_work import UnitOfWork


def add(uow: UnitOfWork, name: str, members: Sequence[str]) -> Group:
    """Store a new enabled group with these user names. Raises Conflict, InvalidInput, NotFound (a member)."""
    check_name("name", name)
    ids = frozenset(_member(uow, username) for username in members)
    return uow.registry.add_group(Group(GroupId(0), 0, name, is_enabled=True, members=ids, created_at=0))


def _member(uow: UnitOfWork, username: str) -> UserId:
    user = uow.principals.user_by_name(username)
    if user is None:
        raise NotFound(f"user {username}")
    return user.id
