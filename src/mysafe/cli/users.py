# SPDX-License-Identifier: Apache-2.0
"""The commands `mysafe user ...`."""

import json
from functools import partial

from mysafe.cli.local_vault import operate
from mysafe.cli.terminal import Command, Options, line, moment, password_from_stdin
from mysafe.config import Loaded
from mysafe.domain.principals import UserDraft
from mysafe.services.accounts import users
from mysafe.services.accounts.users import UserChange, UserFilter, UserPage, UserView
from mysafe.services.unit_of_work import UnitOfWork


def _add(options: Options, loaded: Loaded) -> int:
    password = password_from_stdin() if options.password_stdin else None
    draft = UserDraft(options.username, options.name, options.email, is_admin=options.admin, password=password)
    user = operate(loaded, partial(users.add, draft=draft, password_hash=users.prepare(draft)))
    print(f"added the user {user.username}")
    return 0


def _set_active(options: Options, loaded: Loaded, *, is_active: bool) -> int:
    user = operate(loaded, partial(users.set_active, username=options.username, is_active=is_active))
    print(f"{'enabled' if user.is_active else 'disabled'} the user {user.username}")
    return 0


def _list(options: Options, loaded: Loaded) -> int:
    after, page = 0, UserPage([], has_more=True)
    while page.has_more:
        page = operate(loaded, partial(users.list_users, wanted=UserFilter(), after=after))
        for view in page.users:
            print(_as_json(view) if options.json else _as_line(view))
            after = view.user.id
    return 0


def _show(options: Options, loaded: Loaded) -> int:
    view = operate(loaded, partial(_read, username=options.username))
    print(_as_json(view) if options.json else _as_line(view))
    return 0


def _change(options: Options, loaded: Loaded) -> int:
    wanted = UserChange(options.name, options.email, options.admin)
    view = operate(loaded, partial(_change_by_name, username=options.username, wanted=wanted))
    print(f"changed the user {view.user.username}")
    return 0


def _reset_password(options: Options, loaded: Loaded) -> int:
    password_hash = users.prepare_password(password_from_stdin())
    user = operate(loaded, partial(users.reset_password, username=options.username, password_hash=password_hash))
    print(f"changed the password of the user {user.username}; every token of theirs ended")
    return 0


def _read(uow: UnitOfWork, username: str) -> UserView:
    return users.read(uow, users.user_id_of(uow, username))


def _change_by_name(uow: UnitOfWork, username: str, wanted: UserChange) -> UserView:
    return users.change(uow, users.user_id_of(uow, username), wanted)


def _as_line(view: UserView) -> str:
    user, (last_login_at, items) = view
    return line(
        str(user.id),
        user.username,
        user.name,
        f"<{user.email}>" if user.email else "",
        "administrator" if user.is_admin else "",
        "enabled" if user.is_active else "disabled",
        f"created {moment(user.created_at)}",
        f"last login {moment(last_login_at)}",
        f"items {items}",
    )


def _as_json(view: UserView) -> str:
    user, (last_login_at, items) = view
    return json.dumps(
        {
            "id": str(user.id),
            "username": user.username,
            "name": user.name,
            "email": user.email,
            "is_admin": user.is_admin,
            "status": "enabled" if user.is_active else "disabled",
            "created_at": moment(user.created_at),
            "last_login_at": None if last_login_at is None else moment(last_login_at),
            "items": items,
        }
    )


COMMANDS: dict[str, Command] = {
    "user add": _add,
    "user disable": partial(_set_active, is_active=False),
    "user enable": partial(_set_active, is_active=True),
    "user list": _list,
    "user show": _show,
    "user change": _change,
    "user password": _reset_password,
}
