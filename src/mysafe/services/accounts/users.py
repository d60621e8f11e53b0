# SPDX-License-Identifier: Apache-2.0
"""The use cases of user accounts."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from mysafe.crypto.blind_index import caseless
from mysafe.crypto.password_hash import hash_password
from mysafe.domain.actions import Action
from mysafe.domain.errors import (
    InvalidField,
    LastAdministrator,
    MissingField,
    NotFound,
    TooLong,
    TooShort,
    VersionMismatch,
)
from mysafe.domain.ids import LARGEST_ID, UserId
from mysafe.domain.principals import User, UserDraft
from mysafe.domain.secret_text import SecretText
from mysafe.services.principals import Activity, Principals
from mysafe.services.unit_of_work import UnitOfWork

SHORTEST_PASSWORD = 15
LONGEST_PASSWORD_BYTES = 1024
"""R-AUTH-01: characters and bytes of a password that stands alone, without a second factor."""

LONGEST_NAME = 255
"""Most characters of a user name, a display name, an e-mail address and a group name."""


class UserView(NamedTuple):
    """A user as an administrator sees one: the account, and what is known of its use."""

    user: User
    activity: Activity


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list: parts of texts, without regard to case, and a state; None is any."""

    username: str | None = None
    name: str | None = None
    email: str | None = None
    is_active: bool | None = None

    def matches(self, user: User) -> bool:
        """Return whether a user is asked for."""
        texts = ((self.username, user.username), (self.name, user.name), (self.email, user.email))
        are_found = all(not part or caseless(part) in caseless(text) for part, text in texts)
        return are_found and (self.is_active is None or self.is_active == user.is_active)


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change about a user; None leaves a field as it is."""

    name: str | None = None
    email: str | None = None
    is_admin: bool | None = None


class UserPage(NamedTuple):
    """Some users, ascending by id, and whether there are more after them."""

    users: list[UserView]
    has_more: bool


def prepare(draft: UserDraft) -> str | None:
    """Return the PHC string of the draft's password, or None without one. Raises as `prepare_password`."""
    return None if draft.password is None else prepare_password(draft.password)


def prepare_password(password: SecretText) -> str:
    """Return the PHC string of a new password.

    Hashing takes a tenth of a second: it is done before the unit of work, never inside.

    Raises:
        TooShort, TooLong: R-AUTH-01 asks for 15 characters and allows 1024 bytes.
    """
    check_password(password)
    return hash_password(password)


def check_password(password: SecretText) -> None:
    """Return if a password may be a new one. Raises TooShort, TooLong as `prepare_password`."""
    text = unicodedata.normalize("NFC", password.reveal())
    if len(text) < SHORTEST_PASSWORD:
        raise TooShort("password", SHORTEST_PASSWORD)
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD_BYTES:
        raise TooLong("password", LONGEST_PASSWORD_BYTES)


def add(uow: UnitOfWork, draft: UserDraft, password_hash: str | None = None) -> User:
    """Store a new active user. `password_hash` comes from `prepare`. Raises Conflict, InvalidInput."""
    check_name("username", draft.username)
    _check_person(draft.name, draft.email)
    user = User(UserId(0), 0, draft.username, draft.name, draft.email, True, draft.is_admin, 1, 0)  # noqa: FBT003
    return uow.registry.add_user(user, password_hash)


def create(uow: UnitOfWork, draft: UserDraft) -> UserView:
    """Store a new active user without a password. Raises Conflict, InvalidInput."""
    return _view(uow.principals, add(uow, draft))


def list_users(uow: UnitOfWork, wanted: UserFilter, after: int = 0, limit: int = 1000) -> UserPage:
    """Return users with an id greater than `after`, ascending, at most `limit`."""
    uow.registry.permit(Action.USER_LIST)
    principals = uow.principals
    matching = (user for user in principals.users_after(min(after, LARGEST_ID)) if wanted.matches(user))
    found = list(islice(matching, limit + 1))
    return UserPage([UserView(user, principals.activity_of(user.id)) for user in found[:limit]], len(found) > limit)


def read(uow: UnitOfWork, user_id: int) -> UserView:
    """Return a user. Raises NotFound."""
    user = _required(uow, Action.USER_READ, user_id)
    return _view(uow.principals, uow.registry.keep_user(user, Action.USER_READ))


def change(
    uow: UnitOfWork, user_id: int, wanted: UserChange, expected_versions: frozenset[int] | None = None
) -> UserView:
    """Change what `wanted` names; nothing new makes no new version.

    Raises:
        NotFound: there is no such user.
        VersionMismatch: it is at none of the expected versions.
        LastAdministrator: nobody would be left who administers.
        InvalidInput: a text cannot be stored.
    """
    user = _required(uow, Action.USER_UPDATE, user_id)
    if expected_versions is not None and user.version not in expected_versions:
        raise VersionMismatch
    after = replace(
        user,
        name=user.name if wanted.name is None else wanted.name,
        email=user.email if wanted.email is None else wanted.email,
        is_admin=user.is_admin if wanted.is_admin is None else wanted.is_admin,
    )
    _check_person(after.name, after.email)
    return _view(uow.principals, _stored(uow, user, after, Action.USER_UPDATE))


def set_active_by_id(uow: UnitOfWork, user_id: int, *, is_active: bool) -> UserView:
    """Enable or disable a user; see `set_active`. Raises NotFound, LastAdministrator."""
    return _view(uow.principals, _set_active(uow, user_id, uow.principals.user(_id(user_id)), is_active=is_active))


def set_active(uow: UnitOfWork, username: str, *, is_active: bool) -> User:
    """Enable or disable a user. Disabling ends every token the user's access keys obtained.

    Raises:
        NotFound: there is no such user.
        LastAdministrator: nobody would be left who administers.
    """
    user = uow.principals.user_by_name(username)
    return _set_active(uow, user.id if user else 0, user, is_active=is_active)


def reset_password(uow: UnitOfWork, username: str, password_hash: str) -> User:
    """Give a user another password; every token of the user ends (R-TOK-05). For the local operator only (R-AUTH-12).

    `password_hash` comes from `prepare_password`. Raises NotFound.
    """
    found = uow.principals.user_by_name(username)
    user = uow.registry.require_user(Action.USER_RESET, found.id if found else 0, found)
    after = replace(user, auth_epoch=user.auth_epoch + 1)
    return uow.registry.change_user(after, Action.USER_RESET, password_hash)


def user_named(uow: UnitOfWork, username: str) -> User:
    """Return a user by name. Raises NotFound."""
    user = uow.principals.user_by_name(username)
    if user is None:
        raise NotFound("user")
    return user


def user_id_of(uow: UnitOfWork, username: str) -> UserId:
    """Return the id of a user by name, for the command line. Raises NotFound."""
    return user_named(uow, username).id


def _id(user_id: int) -> UserId:
    return UserId(min(user_id, LARGEST_ID))


def _view(principals: Principals, user: User) -> UserView:
    return UserView(user, principals.activity_of(user.id))


def _required(uow: UnitOfWork, action: Action, user_id: int) -> User:
    return uow.registry.require_user(action, user_id, uow.principals.user(_id(user_id)))


def _set_active(uow: UnitOfWork, user_id: int, user: User | None, *, is_active: bool) -> User:
    action = Action.USER_ENABLE if is_active else Action.USER_DISABLE
    user = uow.registry.require_user(action, user_id, user)
    after = user if user.is_active == is_active else replace(user, is_active=is_active, auth_epoch=user.auth_epoch + 1)
    return _stored(uow, user, after, action)


def _stored(uow: UnitOfWork, before: User, after: User, action: Action) -> User:
    if after == before:
        return uow.registry.keep_user(before, action)
    does_administer = before.is_admin and before.is_active
    if does_administer and not (after.is_admin and after.is_active) and not any(_other_administrators(uow, before)):
        raise LastAdministrator
    return uow.registry.change_user(after, action)


def _other_administrators(uow: UnitOfWork, user: User) -> Iterator[User]:
    return (one for one in uow.principals.users_after(0) if one.is_admin and one.is_active and one.id != user.id)


def _check_person(name: str, email: str) -> None:
    check_line("name", name, LONGEST_NAME)
    check_line("email", email, LONGEST_NAME)
    if email and (" " in email or email.count("@") != 1 or email.startswith("@") or email.endswith("@")):
        raise InvalidField("email")


def check_line(field: str, text: str, limit: int) -> None:
    """Return if `text` is at most `limit` characters without control characters. Raises TooLong, InvalidField."""
    if len(text) > limit:
        raise TooLong(field, limit)
    if not text.isprintable():
        raise InvalidField(field)


def check_name(field: str, name: str) -> None:
    """Return if `name` can name a user or a group: not blank, not too long, no control characters.

    Raises:
        MissingField, TooLong, InvalidField: otherwise.
    """
    if not name.strip():
        raise MissingField(field)
    if len(name) > LONGEST_NAME:
        raise TooLong(field, LONGEST_NAME)
    if name != name.strip() or not name.isprintable():
        raise InvalidField(field)
