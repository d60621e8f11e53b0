# SPDX-License-Identifier: Apache-2.0
"""Files on their way in and out: what an upload may be, what was stored, what is to be read."""

from typing import NamedTuple

from mysafe.domain.errors import VaultError
from mysafe.domain.ids import ItemRef
from mysafe.domain.secret_text import SecretText

LARGEST_FILE_BYTES = 500 * 1024 * 1024
"""Largest file there can be (R-FILE-01)."""

EXTRA_BYTES = 64 * 1024
"""How much larger than the file a request may be: fields, and the frame of a multipart body (R-API-03)."""


class FileBounds(NamedTuple):
    """How much may be stored, in bytes; None is no bound.

    `file_bytes` of one file, `user_bytes` of all files and versions a user owns, `total_bytes` of everybody's.
    """

    file_bytes: int = LARGEST_FILE_BYTES
    user_bytes: int | None = None
    total_bytes: int | None = None


class Ticket(NamedTuple):
    """Leave to upload: the name of the blob, the most bytes of content, and the error if there are more.

    `reserved_bytes` is how much of that is set aside for it; None where nothing is bounded, and all of it is.
    """

    blob_id: str
    most_bytes: int
    refusal: VaultError
    reserved_bytes: int | None = None


class StoredContent(NamedTuple):
    """A content that is on disk and belongs to no item yet. `stored_bytes` is the length of its blob."""

    blob_id: str
    key: SecretText
    size_bytes: int
    stored_bytes: int


class FileContent(NamedTuple):
    """What is needed to read the content of a file, and what it is called."""

    ref: ItemRef
    blob_id: str
    key: SecretText
    size_bytes: int
    file_name: str
