# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/me`: the account behind an access token."""

from mysafe.domain.actions import Action
from mysafe.server.api.call import About, Answer, Call, Operation, Step
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.services.accounts import me


class MyUser(bodies.Model, frozen=True):
    """The user behind an access token."""

    id: str
    username: str
    name: str
    email: str
    is_admin: bool


class MyAccessKey(bodies.Model, frozen=True):
    """The access key that an access token was obtained with."""

    id: str
    name: str
    client_id: str


class MyAccount(bodies.Model, frozen=True):
    """The account behind an access token."""

    user: MyUser
    access_key: MyAccessKey | None


def read(call: Call) -> Step:
    """GET /api/manage/me."""
    return Step(me.read, _answer)


def _answer(found: me.Me) -> Answer:
    user, key = found
    mine = MyUser(id=str(user.id), username=user.username, name=user.name, email=user.email, is_admin=user.is_admin)
    with_key = MyAccessKey(id=str(key.id), name=key.name, client_id=key.client_id) if key else None
    return bodies.answer(MyAccount(user=mine, access_key=with_key))


OPERATIONS = (
    Operation(
        "GET",
        "/api/manage/me",
        Action.ACCOUNT_READ,
        read,
        door=PROBLEMS,
        about=About("Say who the access token belongs to", response=MyAccount),
    ),
)
