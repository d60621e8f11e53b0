# SPDX-License-Identifier: Apache-2.0
"""The use cases of user accounts."""

import unicodedata
from dataclasses import replace

from mysafe.crypto.password_hash import hash_password
from mysafe.domain.errors import InvalidField, MissingField, NotFound, TooLong, TooShort
from mysafe.domain.ids import UserId
from mysafe.domain.principals import User, UserDraft
from mysafe.services.unit_of_work import UnitOfWork

SHORTEST_PASSWORD = 15
LONGEST_PASSWORD_BYTES = 1024
"""R-AUTH-01: characters and bytes of a password that stands alone, without a second factor."""

LONGEST_NAME = 255
"""Most characters of a user name, a display name, an e-mail address and a group name."""


def prepare(draft: UserDraft) -> str | None:
    """Return the PHC string of the draft's password, or None without one.

    Hashing takes a tenth of a second: it is done before the unit of work, never inside.

    Raises:
        TooShort, TooLong: R-AUTH-01 asks for 15 characters and allows 1024 bytes.
    """
    if draft.password is None:
        return None
    text = unicodedata.normalize("NFC", draft.password.reveal())
    if len(text) < SHORTEST_PASSWORD:
        raise TooShort("password", SHORTEST_PASSWORD)
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD_BYTES:
        raise TooLong("password", LONGEST_PASSWORD_BYTES)
    return hash_password(draft.password)


def add(uow: UnitOfWork, draft: UserDraft, password_hash: str | None = None) -> User:
    """Store a new active user. `password_hash` comes from `prepare`. Raises Conflict, InvalidInput."""
    check_name("username", draft.username)
    user = User(UserId(0), 0, draft.username, draft.name, draft.email, True, draft.is_admin, 1, 0)  # noqa: FBT003
    return uow.registry.add_user(user, password_hash)


def set_active(uow: UnitOfWork, username: str, *, is_active: bool) -> User:
    """Enable or disable a user. Disabling ends every token the user's access keys obtained. Raises NotFound."""
    user = uow.principals.user_by_name(username)
    if user is None:
        raise NotFound("user")
    if user.is_active == is_active:
        return uow.registry.keep_user(user)
    return uow.registry.change_user(replace(user, is_active=is_active, auth_epoch=user.auth_epoch + 1))


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
