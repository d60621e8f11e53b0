# SPDX-License-Identifier: Apache-2.0
"""Passwords on the wire: `/api/mysafe/password` (contract 4). Decides nothing and stores nothing."""

from collections.abc import Mapping

from mysafe.domain.items import ListedItem, ListFilter, PasswordDraft, PasswordSecret, PasswordView
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import NamedShare, PrincipalType, UnsharedName
from mysafe.protocol import codes
from mysafe.protocol import fields as read
from mysafe.protocol.fields import GROUPS_ALLOWED, LIMITS, USERS_ALLOWED, check_length, check_share_names

NO_POLICY = "0"
"""`need_justify` and `need_approval` are strings; a server without item policies sends "0" (contract 1.6)."""


def parse_password_draft(fields: Mapping[str, object]) -> PasswordDraft:
    """Return the password that a create request asks for.

    Types and required fields are checked in field order, and only then lengths and base32 (contract 7).

    Raises:
        MissingField, InvalidField: in the order of contract 4.1.
        TooLong, BadSeed: likewise, when all fields have the right type.

    Source: contract 4.1; contract 9, rules 10 to 13, 15 and 20 to 23.
    """
    name = read.required_text(fields, "name")
    username = read.required_text(fields, "username")
    password = read.required_text(fields, "password")
    url = read.optional_text(fields, "url")
    secret_key = read.optional_text(fields, "secret_key")
    notes = read.optional_text(fields, "notes")
    tags = read.tags(fields)
    users = read.shares(fields, USERS_ALLOWED, key="username")
    groups = read.shares(fields, GROUPS_ALLOWED, key="name")
    check_length("name", name, LIMITS["name"])
    check_length("username", username, LIMITS["username"])
    check_length("password", password, LIMITS["password"])
    check_length("url", url, LIMITS["url"])
    seed = read.seed("secret_key", secret_key)
    check_length("notes", notes, LIMITS["notes"])
    check_length("tags", tags, LIMITS["tags"])
    check_share_names(users, "username")
    check_share_names(groups, "name")
    secret = PasswordSecret(SecretText(password), SecretText(seed) if seed else None, SecretText(notes))
    return PasswordDraft(name, url, username, tags, secret, users, groups)


def parse_password_filter(query: Mapping[str, str]) -> ListFilter:
    """Return the filters of a list; what is absent or empty does not filter (contract 4.2; contract 9, rule 16)."""
    return ListFilter(
        name=query.get("name", ""),
        username=query.get("username", ""),
        url=query.get("url", ""),
        tag=query.get("tag", ""),
    )


def created_password(view: PasswordView) -> dict[str, object]:
    """Return the `password_entity` of create and update answers.

    Neither password nor seed is echoed, and the notes are called `note` here (contract 4.1 and 8).
    """
    meta = view.item.meta
    return {
        "identifier": str(view.item.ref.id),
        "name": meta.name,
        "url": meta.url,
        "username": meta.username,
        "note": view.secret.notes.reveal(),
        "tags": meta.tags,
        "users_allowed": _users(view.shares.users),
        "groups_allowed": _groups(view.shares.groups),
        "shared_error": [_unshared(name) for name in view.unshared],
    }


def password_entity(view: PasswordView) -> dict[str, object]:
    """Return the `password_entity` of a single GET; the notes are called `notes` here (contract 4.3 and 8)."""
    meta, secret = view.item.meta, view.secret
    return {
        "identifier": str(view.item.ref.id),
        "name": meta.name,
        "url": meta.url,
        "username": meta.username,
        "password": secret.password.reveal(),
        "secret_key": secret.secret_key.reveal() if secret.secret_key else None,
        "token": view.token.reveal() if view.token else None,
        "notes": secret.notes.reveal(),
        "tags": meta.tags,
        "users_allowed": _users(view.shares.users),
        "groups_allowed": _groups(view.shares.groups),
    }


def password_line(listed: ListedItem) -> dict[str, object]:
    """Return one element of `password_on_list`: no secrets (contract 4.2). What is listed can be viewed (1.7)."""
    item = listed.item
    meta = item.meta
    return {
        "identifier": str(item.ref.id),
        "name": meta.name,
        "url": meta.url,
        "username": meta.username,
        "tags": meta.tags,
        "need_justify": NO_POLICY,
        "need_approval": NO_POLICY,
        "can_view": True,
        "can_write": listed.can_write,
    }


def _users(shares: tuple[NamedShare, ...]) -> list[dict[str, object]]:
    return [{"username": name, "can_edit": can_edit} for name, can_edit in shares]


def _groups(shares: tuple[NamedShare, ...]) -> list[dict[str, object]]:
    return [{"name": name, "can_edit": can_edit} for name, can_edit in shares]


def _unshared(unshared: UnsharedName) -> dict[str, object]:
    """Return one element of `shared_error` (contract 9, rule 2); a name that was not given is "" (contract 1.6)."""
    name = unshared.name or ""
    if unshared.principal_type is PrincipalType.USER:
        return {"username": name, "message": codes.USER_NOT_FOUND}
    return {"name": name, "message": codes.GROUP_NOT_FOUND}
