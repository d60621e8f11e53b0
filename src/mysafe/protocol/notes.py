# SPDX-License-Identifier: Apache-2.0
"""Notes on the wire: `/api/mysafe/note` (contract 5). Decides nothing and stores nothing."""

from typing import TypedDict

from mysafe.domain.ids import Kind
from mysafe.domain.items import ItemDraft, ItemView, ListedItem, NoteSecret
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
    names=("name", "note", "tags"),
    required=frozenset({"name", "note"}),
    meta=frozenset({"name", "tags"}),
)
"""Contract 5.1; an update names any part of it (5.4)."""


class ChangedNote(TypedDict):
    """A note after it was made or changed: the content is not echoed."""

    identifier: str
    name: str
    tags: str
    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]
    shared_error: list[Unshared]


class NoteEntity(TypedDict):
    """A note with its content."""

    identifier: str
    name: str
    note: str
    tags: str
    users_allowed: list[NamedUser]
    groups_allowed: list[SharedGroup]


class NoteLine(TypedDict):
    """A note in a list, without its content."""

    identifier: str
    name: str
    tags: str
    need_justify: str
    need_approval: str
    can_view: bool
    can_write: bool


def parse_draft(fields: Fields, compatibility: Compatibility) -> ItemDraft:
    """Return the note that a create request asks for. Raises as `items.read_body`. Source: contract 5.1."""
    texts, users, groups = read_body(fields, SHAPE, compatibility)
    secret = NoteSecret(SecretText(texts["note"]))
    return ItemDraft(texts["name"], "", "", texts["tags"], secret, users or (), groups or ())


def changed(view: ItemView) -> ChangedNote:
    """Return the entity of create and update answers; the content is not echoed (contract 5.1)."""
    return {
        "identifier": str(view.item.ref.id),
        "name": view.item.meta.name,
        "tags": view.item.meta.tags,
        **shares(view.shares),
        "shared_error": shared_error(view.unshared),
    }


def entity(view: ItemView, compatibility: Compatibility) -> NoteEntity:
    """Return the entity of a single GET; users are named by `name` here (contract 5.3 and 8)."""
    if not isinstance(view.secret, NoteSecret):
        raise TypeError("not the secret of a note")
    return {
        "identifier": str(view.item.ref.id),
        "name": view.item.meta.name,
        "note": view.secret.note.reveal(),
        "tags": view.item.meta.tags,
        **shares_by_name(view.shares, compatibility),
    }


def line(listed: ListedItem) -> NoteLine:
    """Return one element of the list (contract 5.2)."""
    item = listed.item
    return {"identifier": str(item.ref.id), "name": item.meta.name, "tags": item.meta.tags, **line_end(listed)}


NOTES = Wire(
    kind=Kind.NOTE,
    name="note",
    changed_key="note_entity",
    entity_key="note_entity",
    list_key="note_on_list",
    texts=codes.NOTE,
    filters=("tag", "name"),
    shape=SHAPE,
    parse_draft=parse_draft,
    changed=changed,
    entity=entity,
    line=line,
)
