# SPDX-License-Identifier: Apache-2.0
"""Files on the wire: `/api/mysafe/file` (ours, docs/api/files.md: no API is documented for files).

Envelope, verbs, names and errors are those of the other kinds. The content itself is none of this module's business.
"""

import base64
import binascii
from typing import TypedDict

from mysafe.domain.errors import BadBody, MissingField
from mysafe.domain.ids import Kind
from mysafe.domain.items import FileSecret, ItemDraft, ItemView, ListedItem
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
    shared_error,
    shares,
    shares_to_read,
)
from mysafe.protocol.json_body import parse_json

CONTENT = "file"
"""Name of the part of a multipart body that is the content."""

FILE_NAME, MEDIA_TYPE = "file_name", "media_type"

SHAPE = Shape(
    names=("name", FILE_NAME, MEDIA_TYPE, "tags", "notes"),
    required=frozenset({"name", FILE_NAME}),
    meta=frozenset({"name", FILE_NAME, MEDIA_TYPE, "tags"}),
)
"""All fields of a create or update request. What is required may be left out, but not be blank."""


class _FileFields(TypedDict):
    identifier: str
    name: str
    file_name: str
    media_type: str
    size: int
    tags: str
    notes: str


class ChangedFile(_FileFields):
    """A file after it was made or changed. `size` is that of its content in bytes."""

    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]
    shared_error: list[Unshared]


class FileEntity(_FileFields):
    """A file; its content has a path of its own."""

    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]


class FileLine(TypedDict):
    """A file in a list."""

    identifier: str
    name: str
    file_name: str
    size: int
    tags: str
    need_justify: str
    need_approval: str
    can_view: bool
    can_write: bool


def parse_draft(fields: Fields, compatibility: Compatibility) -> ItemDraft:
    """Refuse: a file without content cannot be made. Raises MissingField."""
    raise MissingField(CONTENT)


def parse_fields_header(header: str) -> dict[str, object]:
    """Return the fields of a raw upload: the header `MySafe-Fields`, a JSON object in base64.

    A header, not the query: paths and queries stand in the logs of every proxy on the way.

    Raises:
        BadBody: it is not base64, with or without padding, of a JSON object.
    """
    try:
        text = header.strip().rstrip("=").replace("-", "+").replace("_", "/").encode("ascii")
        return parse_json(base64.b64decode(text + b"=" * (-len(text) % 4), validate=True))
    except (UnicodeEncodeError, binascii.Error):
        raise BadBody from None


def changed(view: ItemView) -> ChangedFile:
    """Return the entity of create and update answers."""
    return {**_fields(view), **shares(view.shares), "shared_error": shared_error(view.unshared)}


def entity(view: ItemView, compatibility: Compatibility) -> FileEntity:
    """Return the entity of a single GET. Neither blob nor key are anybody's business."""
    return {**_fields(view), **shares_to_read(view.shares, compatibility)}


def line(listed: ListedItem) -> FileLine:
    """Return one element of the list."""
    meta = listed.item.meta
    return {
        "identifier": str(listed.item.ref.id),
        "name": meta.name,
        "file_name": meta.file_name,
        "size": meta.size_bytes,
        "tags": meta.tags,
        **line_end(listed),
    }


def _fields(view: ItemView) -> _FileFields:
    meta, secret = view.item.meta, view.secret
    if not isinstance(secret, FileSecret):
        raise TypeError("not the secret of a file")
    return {
        "identifier": str(view.item.ref.id),
        "name": meta.name,
        "file_name": meta.file_name,
        "media_type": meta.media_type,
        "size": meta.size_bytes,
        "tags": meta.tags,
        "notes": secret.notes.reveal(),
    }


FILES = Wire(
    kind=Kind.FILE,
    name="file",
    changed_key="file_entity",
    entity_key="file_entity",
    list_key="file_on_list",
    texts=codes.FILE,
    filters=("tag", "name", FILE_NAME),
    shape=SHAPE,
    parse_draft=parse_draft,
    changed=changed,
    entity=entity,
    line=line,
)
