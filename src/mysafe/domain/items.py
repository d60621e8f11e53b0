# SPDX-License-Identifier: Apache-2.0
"""Items: what is kept for a team. One meta for all kinds, one secret for each kind."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias, assert_never

from mysafe.domain.ids import ItemRef, Kind, UserId
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import AclEntry, ShareRequest, Shares, UnsharedName


class ItemMeta(NamedTuple):
    """The part of an item that lists show and decisions read. Sealed at rest like everything else.

    `owner_id` repeats the row's owner, so that an edited column is noticed.
    `author_id` made this version, at `updated_at`; times are Unix seconds. What a kind does not have is "".
    `changed` names the fields in which this version differs from the one before, those of the secret included.
    The order of the fields is the order of the stored payload: append only, with a default.
    """

    name: str
    url: str
    username: str
    tags: str
    acl: tuple[AclEntry, ...]
    is_active: bool
    owner_id: UserId
    author_id: UserId
    created_at: int
    updated_at: int
    identifier_code: str = ""
    method: str = ""
    file_name: str = ""
    media_type: str = ""
    size_bytes: int = 0
    changed: tuple[str, ...] = ()


class PasswordSecret(NamedTuple):
    """The part of a password that only a single read opens. `secret_key` is a normalised TOTP seed."""

    password: SecretText
    secret_key: SecretText | None
    notes: SecretText


class NoteSecret(NamedTuple):
    """The part of a note that only a single read opens."""

    note: SecretText


class ApiSecret(NamedTuple):
    """The part of an API secret that only a single read opens."""

    client_id: SecretText
    client_secret: SecretText
    notes: SecretText


class FileSecret(NamedTuple):
    """The part of a file that only a single read opens: not the content, but what opens it.

    `key` are 64 hexadecimal digits. A version of the item is the only place that has the key of its blob.
    """

    notes: SecretText
    blob_id: str
    key: SecretText


ItemSecret: TypeAlias = PasswordSecret | NoteSecret | ApiSecret | FileSecret


def kind_of(secret: ItemSecret) -> Kind:
    """Return the kind of item a secret part belongs to."""
    match secret:
        case PasswordSecret():
            return Kind.PASSWORD
        case NoteSecret():
            return Kind.NOTE
        case ApiSecret():
            return Kind.API_SECRET
        case FileSecret():
            return Kind.FILE
        case _:
            assert_never(secret)


class ItemDraft(NamedTuple):
    """A well-formed item that is not stored yet. Its kind is that of its secret."""

    name: str
    url: str
    username: str
    tags: str
    secret: ItemSecret
    users: tuple[ShareRequest, ...] = ()
    groups: tuple[ShareRequest, ...] = ()
    identifier_code: str = ""
    method: str = ""
    file_name: str = ""
    media_type: str = ""
    size_bytes: int = 0

    def meta(self, acl: tuple[AclEntry, ...], owner_id: UserId, now: int) -> "ItemMeta":
        """Return the meta of the item when it is stored at `now` (Unix seconds) by its owner."""
        # By place: every create pays for this, and naming the fields would cost three times as much.
        return ItemMeta(
            self.name,
            self.url,
            self.username,
            self.tags,
            acl,
            True,  # noqa: FBT003  # is_active
            owner_id,
            owner_id,
            now,
            now,
            self.identifier_code,
            self.method,
            self.file_name,
            self.media_type,
            self.size_bytes,
        )


class ItemChange(NamedTuple):
    """What an update asks for. Fields that are not named stay as they are.

    `meta` and `secret` map names of fields of ItemMeta and of the kind's secret to new values. `users` and `groups`
    replace the whole list of shares; None leaves it.
    """

    meta: Mapping[str, str | int] = {}
    secret: Mapping[str, SecretText | str | None] = {}
    users: tuple[ShareRequest, ...] | None = None
    groups: tuple[ShareRequest, ...] | None = None


class Item(NamedTuple):
    """An item whose meta the actor is allowed to know."""

    ref: ItemRef
    version: int
    meta: ItemMeta


class ItemView(NamedTuple):
    """An item as its reader sees it. `token` is the current TOTP code, None without a seed.

    `unshared` holds the names a create or an update could not share with.
    """

    item: Item
    secret: ItemSecret
    shares: Shares
    token: SecretText | None = None
    unshared: tuple[UnsharedName, ...] = ()


class ListedItem(NamedTuple):
    """One line of a list: the item, and whether the actor may change it."""

    item: Item
    can_write: bool


class ListFilter(NamedTuple):
    """Filters of a list; "" is no filter. Equality ignores case; `tag` matches one whole tag (contract 9, 15-16)."""

    name: str = ""
    username: str = ""
    url: str = ""
    tag: str = ""
    identifier_code: str = ""
    file_name: str = ""

    def matches(self, meta: ItemMeta) -> bool:
        """Return whether an item with this meta passes all filters that are set."""
        return (
            _equal(self.name, meta.name)
            and _equal(self.username, meta.username)
            and _equal(self.url, meta.url)
            and _equal(self.identifier_code, meta.identifier_code)
            and _equal(self.file_name, meta.file_name)
            and (not self.tag.strip() or self.tag.strip().casefold() in split_tags(meta.tags))
        )


def _equal(wanted: str, value: str) -> bool:
    return not wanted or wanted.casefold() == value.casefold()


def split_tags(tags: str) -> list[str]:
    """Return the single tags of a comma-separated string, trimmed and case-folded, without empty ones."""
    return [tag.strip().casefold() for tag in tags.split(",") if tag.strip()]
