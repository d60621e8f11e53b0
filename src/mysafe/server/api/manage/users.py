# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/users`, the own password, and the search for those an item can be shared with."""

from functools import partial

from mysafe.domain.actions import Action
from mysafe.domain.errors import InvalidField
from mysafe.domain.principals import User, UserDraft
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.call import About, Answer, Call, Operation, Slow, Step
from mysafe.server.api.conditions import expected_versions, tag
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.paging import PAGE, read_page
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.services.accounts import directory, passwords, users
from mysafe.services.accounts.reauthentication import WrongTries

FILTERS = ("username", "name", "email", "status")


class UserAnswer(bodies.Model, frozen=True):
    """A user as an administrator sees one. `status` is "enabled" or "disabled"; `items` counts what the user owns."""

    id: str
    username: str
    name: str
    email: str
    is_admin: bool
    status: str
    created_at: str
    last_login_at: str | None
    items: int


class UserList(bodies.Model, frozen=True):
    """A page of users, ascending by id. `next` is the `after` of the next page, null on the last one."""

    users: tuple[UserAnswer, ...]
    next: str | None


class NewUser(bodies.Model, frozen=True):
    """A user to add. Passwords are set by people themselves, or by the operator on the command line."""

    username: str
    name: str = ""
    email: str = ""
    is_admin: bool = False


class ChangedUser(bodies.Model, frozen=True):
    """What to change about a user; what is absent or null stays."""

    name: str | None = None
    email: str | None = None
    is_admin: bool | None = None


class NewPassword(bodies.Model, frozen=True):
    """The password a person has, and the one they want: 15 characters at least, 1024 bytes at most."""

    current_password: SecretText
    new_password: SecretText


class PasswordChanged(bodies.Model, frozen=True):
    """The password was changed. Every access token of the user ended, the one of this call too."""

    username: str


class FoundUser(bodies.Model, frozen=True):
    """A user that an item can be shared with."""

    username: str
    name: str
    email: str


class FoundGroup(bodies.Model, frozen=True):
    """A group that an item can be shared with. `kind` is "system" or "private"."""

    name: str
    kind: str
    description: str


class Principals(bodies.Model, frozen=True):
    """Who may be named in a share. `has_more` says that some were left out: search for more letters."""

    users: tuple[FoundUser, ...]
    groups: tuple[FoundGroup, ...]
    has_more: bool


def list_all(call: Call) -> Step:
    """GET /api/manage/users."""
    query = call.query(*PAGE, *FILTERS)
    page = read_page(query)
    wanted = users.UserFilter(
        query.get("username"), query.get("name"), query.get("email"), _state(query.get("status", ""))
    )
    work = partial(users.list_users, wanted=wanted, after=page.after, limit=page.limit)
    return Step(work, _listed, is_look=True)


def create(call: Call) -> Step:
    """POST /api/manage/users."""
    body = bodies.read(call, NewUser)
    draft = UserDraft(body.username, body.name, body.email, is_admin=body.is_admin)
    return Step(partial(users.create, draft=draft), partial(_one, status=201))


def read(call: Call) -> Step:
    """GET /api/manage/users/{identifier}."""
    return Step(partial(users.read, user_id=parse_identifier(call.identifier)), _one, is_look=True)


def change(call: Call) -> Step:
    """PATCH /api/manage/users/{identifier}; `If-Match` is honoured."""
    body = bodies.read(call, ChangedUser)
    wanted = users.UserChange(body.name, body.email, body.is_admin)
    user_id, expected = parse_identifier(call.identifier), expected_versions(call)
    return Step(partial(users.change, user_id=user_id, wanted=wanted, expected_versions=expected), _one)


def disable(call: Call) -> Step:
    """POST /api/manage/users/{identifier}/disable."""
    return Step(partial(users.set_active_by_id, user_id=parse_identifier(call.identifier), is_active=False), _one)


def enable(call: Call) -> Step:
    """POST /api/manage/users/{identifier}/enable."""
    return Step(partial(users.set_active_by_id, user_id=parse_identifier(call.identifier), is_active=True), _one)


def change_password(call: Call) -> Step:
    """POST /api/manage/me/password."""
    body = bodies.read(call, NewPassword)
    wanted = passwords.PasswordChange(body.current_password, body.new_password)
    passwords.check(wanted)
    return Step(passwords.read_hash, lambda known: Slow(partial(_hashed, wanted, known, call.key_rules.tries)))


def search(call: Call) -> Step:
    """GET /api/manage/principals."""
    text = call.query("search").get("search", "")
    return Step(partial(directory.search, text=text), _found, is_look=True)


def _hashed(wanted: passwords.PasswordChange, known: passwords.Known, tries: WrongTries) -> Step:
    verified = passwords.verify(wanted, known, tries)
    return Step(partial(passwords.replace_hash, verified=verified), _password_changed)


def _state(text: str) -> bool | None:
    if text not in {"", "enabled", "disabled"}:
        raise InvalidField("status")
    return text == "enabled" if text else None


def _listed(page: users.UserPage) -> Answer:
    following = str(page.users[-1].user.id) if page.has_more else None
    return bodies.answer(UserList(users=tuple(map(_shown, page.users)), next=following))


def _one(view: users.UserView, status: int = 200) -> Answer:
    return bodies.answer(_shown(view), status, (tag(view.user.version),))


def _shown(view: users.UserView) -> UserAnswer:
    user, (last_login_at, items) = view
    return UserAnswer(
        id=str(user.id),
        username=user.username,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        status="enabled" if user.is_active else "disabled",
        created_at=bodies.moment(user.created_at),
        last_login_at=None if last_login_at is None else bodies.moment(last_login_at),
        items=items,
    )


def _password_changed(user: User) -> Answer:
    return bodies.answer(PasswordChanged(username=user.username))


def _found(found: directory.Found) -> Answer:
    return bodies.answer(
        Principals(
            users=tuple(FoundUser(username=one.username, name=one.name, email=one.email) for one in found.users),
            groups=tuple(
                FoundGroup(name=one.name, kind="private" if one.is_private else "system", description=one.description)
                for one in found.groups
            ),
            has_more=found.has_more,
        )
    )


_USERS, _USER = "/api/manage/users", "/api/manage/users/{identifier}"

OPERATIONS = tuple(
    Operation(method, path, action, handler, door=PROBLEMS, about=about)
    for method, path, action, handler, about in (
        (
            "GET",
            _USERS,
            Action.USER_LIST,
            list_all,
            About("List users, in pages", response=UserList, query=(*PAGE, *FILTERS)),
        ),
        ("POST", _USERS, Action.USER_CREATE, create, About("Add a user", NewUser, UserAnswer, 201)),
        ("GET", _USER, Action.USER_READ, read, About("Show a user", response=UserAnswer)),
        ("PATCH", _USER, Action.USER_UPDATE, change, About("Change a user", ChangedUser, UserAnswer)),
        (
            "POST",
            f"{_USER}/disable",
            Action.USER_DISABLE,
            disable,
            About("Disable a user and end every token of theirs", response=UserAnswer),
        ),
        ("POST", f"{_USER}/enable", Action.USER_ENABLE, enable, About("Enable a user", response=UserAnswer)),
        (
            "POST",
            "/api/manage/me/password",
            Action.ACCOUNT_SECURE,
            change_password,
            About("Change the own password and end every token", NewPassword, PasswordChanged),
        ),
        (
            "GET",
            "/api/manage/principals",
            Action.PRINCIPAL_LIST,
            search,
            About("Search for users and groups to share with", response=Principals, query=("search",)),
        ),
    )
)
