# SPDX-License-Identifier: Apache-2.0
"""Passwords on the wire: `/api/mysafe/password` (contract 4). Decides nothing and stores nothing."""

from typing import TypedDict

from mysafe.domain.ids import Kind
from mysafe.domain.items import ItemDraft, ItemSecret, ItemView, ListedItem, PasswordSecret
from mysafe.domain.secret_text import SecretText
from mysafe.protocol import codes
from mysafe.protocol.compatibility import Compatibility
from mysafe.protocol.items import (
    Fields,
    Shape,
    SharedGroup,
    SharedUser,
    Unshared,
    Wire,
    line_end,
    read_body,
    shared_error,
    shares,
    shares_to_read,
)

SHAPE = Shape(
    names=("name", "username", "password", "url", "secret_key", "notes", "tags"),
    required=frozenset({"name", "username", "password"}),
    meta=frozenset({"name", "username", "url", "tags"}),
)
"""Contract 4.1; an update names any part of it (4.4)."""


class ChangedPassword(TypedDict):
    """A password after it was made or changed: neither the password nor its seed is echoed."""

    identifier: str
    name: str
    url: str
    username: str
    note: str
    tags: str
    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]
    shared_error: list[Unshared]


class PasswordEntity(TypedDict):
    """A password with everything in it."""

    identifier: str
    name: str
    url: str
    username: str
    password: str
    secret_key: str | None
    token: str | None
    notes: str
    tags: str
    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]


class PasswordLine(TypedDict):
    """A password in a list, without its secrets."""

    identifier: str
    name: str
    url: str
    username: str
    tags: str
    need_justify: str
    need_approval: str
    can_view: bool
    can_write: bool


def parse_draft(fields: Fields, compatibility: Compatibility) -> ItemDraft:
    """Return the password that a create request asks for. Raises as `items.read_body`. Source: contract 4.1."""
    texts, users, groups = read_body(fields, SHAPE, compatibility)
    seed = texts["secret_key"]
    secret = PasswordSecret(
        SecretText(texts["password"]), SecretText(seed) if seed else None, SecretText(texts["notes"])
    )
    return ItemDraft(texts["name"], texts["url"], texts["username"], texts["tags"], secret, users or (), groups or ())


def changed(view: ItemView) -> ChangedPassword:
    """Return the entity of create and update answers.

    Neither password nor seed is echoed, and the notes are called `note` here (contract 4.1 and 8).
    """
    meta = view.item.meta
    return {
        "identifier": str(view.item.ref.id),
        "name": meta.name,
        "url": meta.url,
        "username": meta.username,
        "note": _secret(view.secret).notes.reveal(),
        "tags": meta.tags,
        **shares(view.shares),
        "shared_error": shared_error(view.unshared),
    }


def entity(view: ItemView, compatibility: Compatibility) -> PasswordEntity:
    """Return the entity of a single GET; the notes are called `notes` here (contract 4.3 and 8)."""
    meta, secret = view.item.meta, _secret(view.secret)
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
        **shares_to_read(view.shares, compatibility),
    }


def line(listed: ListedItem) -> PasswordLine:
    """Return one element of the list: no secrets (contract 4.2)."""
    item = listed.item
    return {
        "identifier": str(item.ref.id),
        "name": item.meta.name,
        "url": item.meta.url,
        "username": item.meta.username,
        "tags": item.meta.tags,
        **line_end(listed),
    }


def _secret(secret: ItemSecret) -> PasswordSecret:
    if not isinstance(secret, PasswordSecret):
        raise TypeError("not the secret of a password")
    return secret


PASSWORDS = Wire(
    kind=Kind.PASSWORD,
    name="password",
    changed_key="password_entity",
    entity_key="password_entity",
    list_key="password_on_list",
    texts=codes.PASSWORD,
    filters=("tag", "name", "username", "url"),
    shape=SHAPE,
    parse_draft=parse_draft,
    changed=changed,
    entity=entity,
    line=line,
)
