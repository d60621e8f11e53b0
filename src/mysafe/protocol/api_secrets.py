# SPDX-License-Identifier: Apache-2.0
"""API secrets on the wire: `/api/mysafe/secretapi` (contract 6). Decides nothing and stores nothing."""

from typing import TypedDict

from mysafe.domain.ids import Kind
from mysafe.domain.items import ApiSecret, ItemDraft, ItemView, ListedItem
from mysafe.domain.secret_text import SecretText
from mysafe.protocol import codes
from mysafe.protocol.compatibility import Compatibility
from mysafe.protocol.items import (
    Fields,
    NamedUser,
    Shape,
    SharedGroup,
    SharedUser,
    Unshared,
    Wire,
    line_end,
    read_body,
    shared_error,
    shares,
    shares_by_name,
)

SHAPE = Shape(
    names=("name", "url", "client_id", "client_secret", "identifier_code", "method", "tags", "notes"),
    required=frozenset({"name", "url", "client_id"}),
    meta=frozenset({"name", "url", "identifier_code", "method", "tags"}),
)
"""Contract 6.1; an update names any part of it (6.4)."""


class _Fields(TypedDict):
    identifier: str
    name: str
    url: str
    client_secret: str
    client_id: str
    identifier_code: str
    method: str
    tags: str
    notes: str


class ChangedApiSecret(_Fields):
    """An API secret after it was made or changed."""

    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]
    shared_error: list[Unshared]


class ApiSecretEntity(_Fields):
    """An API secret with everything in it."""

    users_allowed: list[NamedUser]
    groups_allowed: list[SharedGroup]


class ApiSecretLine(TypedDict):
    """An API secret in a list, without its secrets."""

    identifier: str
    name: str
    need_justify: str
    need_approval: str
    can_view: bool
    can_write: bool


def parse_draft(fields: Fields, compatibility: Compatibility) -> ItemDraft:
    """Return the API secret that a create request asks for. Raises as `items.read_body`. Source: contract 6.1."""
    texts, users, groups = read_body(fields, SHAPE, compatibility)
    secret = ApiSecret(SecretText(texts["client_id"]), SecretText(texts["client_secret"]), SecretText(texts["notes"]))
    return ItemDraft(
        name=texts["name"],
        url=texts["url"],
        username="",
        tags=texts["tags"],
        secret=secret,
        users=users or (),
        groups=groups or (),
        identifier_code=texts["identifier_code"],
        method=texts["method"],
    )


def changed(view: ItemView) -> ChangedApiSecret:
    """Return the entity of create and update answers; the client secret is echoed (contract 6.1)."""
    return {**_fields(view), **shares(view.shares), "shared_error": shared_error(view.unshared)}


def entity(view: ItemView, compatibility: Compatibility) -> ApiSecretEntity:
    """Return the entity of a single GET; users are named by `name` here (contract 6.3 and 8)."""
    return {**_fields(view), **shares_by_name(view.shares, compatibility)}


def line(listed: ListedItem) -> ApiSecretLine:
    """Return one element of the list: neither URL nor tags (contract 6.2)."""
    return {"identifier": str(listed.item.ref.id), "name": listed.item.meta.name, **line_end(listed)}


def _fields(view: ItemView) -> _Fields:
    meta, secret = view.item.meta, view.secret
    if not isinstance(secret, ApiSecret):
        raise TypeError("not the secret of an API secret")
    return {
        "identifier": str(view.item.ref.id),
        "name": meta.name,
        "url": meta.url,
        "client_secret": secret.client_secret.reveal(),
        "client_id": secret.client_id.reveal(),
        "identifier_code": meta.identifier_code,
        "method": meta.method,
        "tags": meta.tags,
        "notes": secret.notes.reveal(),
    }


API_SECRETS = Wire(
    kind=Kind.API_SECRET,
    name="secretapi",
    changed_key="api_entity",
    entity_key="api_secret_entity",
    list_key="api_secret_on_list",
    texts=codes.API_SECRET,
    filters=("tag", "identifier_code"),
    shape=SHAPE,
    parse_draft=parse_draft,
    changed=changed,
    entity=entity,
    line=line,
)
