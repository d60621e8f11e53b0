# SPDX-License-Identifier: Apache-2.0
"""Changes to users, groups and access keys for which the product has no command yet, made through its registry."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import bindparam, insert

from mysafe.domain.actions import Action
from mysafe.domain.errors import NotFound
from mysafe.domain.ids import UserId
from mysafe.domain.principals import Joined, User
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.storage import schema
from mysafe.storage.statements import compile_statement
from tests.support.databases import beside
from tests.support.server import RunningServer

_BEGIN_SEQUENCE = compile_statement(
    insert(schema.sequences).values(name=bindparam("of_name"), next=bindparam("first")), ("of_name", "first")
)


def change_group(server: RunningServer, name: str, members: Sequence[str], *, is_enabled: bool = True) -> None:
    """Give a group other members, or disable or enable it."""
    server.operate(partial(_change_group, name=name, members=members, is_enabled=is_enabled))


def _change_group(uow: UnitOfWork, name: str, members: Sequence[str], is_enabled: bool) -> None:
    group = uow.principals.group_by_name(name)
    assert group is not None
    ids = sorted(_user(uow, username).id for username in members)
    joined = dict.fromkeys(ids, Joined(UserId(0), uow.principals.now))
    uow.registry.change_group(group, replace(group, members=joined, is_enabled=is_enabled), Action.GROUP_UPDATE)


def _user(uow: UnitOfWork, username: str) -> User:
    user = uow.principals.user_by_name(username)
    if user is None:
        raise NotFound("user")
    return user


def expire_key(server: RunningServer, client_id: str) -> None:
    """Let an access key expire, a second ago."""
    server.operate(partial(_expire_key, client_id=client_id))


def _expire_key(uow: UnitOfWork, client_id: str) -> None:
    key = uow.principals.access_key_by_client(client_id)
    assert key is not None
    uow.registry.change_access_key(replace(key, expires_at=uow.principals.now - 1))


def begin_sequences(server: RunningServer, **first: int) -> None:
    """Let sequences that gave no number yet begin at other ones, so that no two kinds of item share any."""
    if server.settings.is_on_postgresql:
        with beside(server.settings) as connection:
            for name, number in first.items():
                connection.execute(f"ALTER SEQUENCE {name}_ids RESTART WITH {number}")
        return
    server.operate(lambda uow: [uow._tx.execute(_BEGIN_SEQUENCE, *one) for one in first.items()])
