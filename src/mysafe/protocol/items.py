# SPDX-License-Identifier: Apache-2.0
"""What all kinds of items share on the wire: how a body is read, and how shares are shown (contract 4 to 6).

What differs is a `Wire` in the module of each kind.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, NotRequired, TypedDict

from mysafe.domain.ids import Kind
from mysafe.domain.items import ItemChange, ItemDraft, ItemView, ListedItem, ListFilter
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import NamedShare, PrincipalType, ShareRequest, Shares, UnsharedName
from mysafe.protocol import codes
from mysafe.protocol import fields as read
from mysafe.protocol.codes import Texts
from mysafe.protocol.compatibility import Compatibility
from mysafe.protocol.fields import GROUPS_ALLOWED, SEED, USERS_ALLOWED

Fields = Mapping[str, object]
Entity = Mapping[str, object]
"""What a function below promises is its return type; the description of the API is made from those types."""

NO_POLICY = "0"
"""`need_justify` and `need_approval` are strings; a server without item policies sends "0" (contract 1.6)."""


class SharedUser(TypedDict):
    """A user whom an item is shared with."""

    username: str
    name: NotRequired[str]
    can_edit: bool


class NamedUser(TypedDict):
    """The same in the single GET of notes and API secrets."""

    name: str
    username: NotRequired[str]
    can_edit: bool


class SharedGroup(TypedDict):
    """A group whose members an item is shared with."""

    name: str
    can_edit: bool


class Unshared(TypedDict):
    """A user or group that an item could not be shared with."""

    username: NotRequired[str]
    name: NotRequired[str]
    message: str


class ShareLists(TypedDict):
    """Whom an item is shared with."""

    users_allowed: list[SharedUser]
    groups_allowed: list[SharedGroup]


class NamedShareLists(TypedDict):
    """Whom an item is shared with, users by `name`."""

    users_allowed: list[NamedUser]
    groups_allowed: list[SharedGroup]


class LineEnd(TypedDict):
    """What every line of a list ends with."""

    need_justify: str
    need_approval: str
    can_view: bool
    can_write: bool


class Shape(NamedTuple):
    """The text fields of a kind in their checking order, which of them are required, and which are meta."""

    names: tuple[str, ...]
    required: Collection[str]
    meta: Collection[str]


class Wire(NamedTuple):
    """One kind of item on the wire. `name` stands in paths, the keys in answers; `filters` in query strings.

    `changed` makes the entity of create and update answers, `entity` that of a single GET, `line` one of a list.
    """

    kind: Kind
    name: str
    changed_key: str
    entity_key: str
    list_key: str
    texts: Texts
    filters: tuple[str, ...]
    shape: Shape
    parse_draft: Callable[[Fields, Compatibility], ItemDraft]
    changed: Callable[[ItemView], Entity]
    entity: Callable[[ItemView, Compatibility], Entity]
    line: Callable[[ListedItem], Entity]


class Given(NamedTuple):
    """A body that was read: its texts by name, and its sharing lists, None where they are absent."""

    texts: Mapping[str, str]
    users: tuple[ShareRequest, ...] | None
    groups: tuple[ShareRequest, ...] | None


def read_body(fields: Fields, shape: Shape, compatibility: Compatibility, *, is_update: bool = False) -> Given:
    """Return what a create or update request asks for.

    Types and required fields are checked in field order, and only then lengths and base32 (contract 7).

    Raises:
        MissingField, InvalidField, TooLong, BadSeed: see `protocol.fields`.
    """
    texts = read.texts(fields, shape.names, shape.required, is_update=is_update)
    users = read.shares(fields, USERS_ALLOWED, key="username")
    groups = read.shares(fields, GROUPS_ALLOWED, key="name")
    texts = read.checked(texts, compatibility.longest_note)
    read.check_share_names(users or (), "username")
    read.check_share_names(groups or (), "name")
    return Given(texts, users, groups)


def read_change(fields: Fields, shape: Shape, compatibility: Compatibility) -> ItemChange:
    """Return what an update request asks for. Raises as `read_body`."""
    texts, users, groups = read_body(fields, shape, compatibility, is_update=True)
    meta = {name: text for name, text in texts.items() if name in shape.meta}
    secret = {
        name: SecretText(text) if text or name != SEED else None
        for name, text in texts.items()
        if name not in shape.meta
    }
    return ItemChange(meta, secret, users, groups)


def parse_filter(query: Mapping[str, str]) -> ListFilter:
    """Return the filters of a list; what is absent or empty does not filter (contract 9, rule 16)."""
    return ListFilter(**query)


def shares(shown: Shares) -> ShareLists:
    """Return the two sharing lists of an entity; users are named by `username` (contract 8)."""
    users: list[SharedUser] = [{"username": name, "can_edit": can_edit} for name, can_edit in shown.users]
    return {USERS_ALLOWED: users, GROUPS_ALLOWED: _groups(shown.groups)}


def shares_to_read(shown: Shares, compatibility: Compatibility) -> ShareLists:
    """Return the two sharing lists of a single GET; `compat.both_user_keys` names each user twice (contract 8)."""
    if not compatibility.are_both_user_keys_sent:
        return shares(shown)
    users: list[SharedUser] = [{"username": name, "name": name, "can_edit": can_edit} for name, can_edit in shown.users]
    return {USERS_ALLOWED: users, GROUPS_ALLOWED: _groups(shown.groups)}


def shares_by_name(shown: Shares, compatibility: Compatibility) -> NamedShareLists:
    """Return the same for notes and API secrets, whose single GET names users by `name` (contract 8)."""
    users: list[NamedUser] = (
        [{"name": name, "username": name, "can_edit": can_edit} for name, can_edit in shown.users]
        if compatibility.are_both_user_keys_sent
        else [{"name": name, "can_edit": can_edit} for name, can_edit in shown.users]
    )
    return {USERS_ALLOWED: users, GROUPS_ALLOWED: _groups(shown.groups)}


def shared_error(unshared: tuple[UnsharedName, ...]) -> list[Unshared]:
    """Return `shared_error` (contract 9, rule 2); a name that was not given is "" (contract 1.6)."""
    return [
        {"username": name or "", "message": codes.USER_NOT_FOUND}
        if principal_type is PrincipalType.USER
        else {"name": name or "", "message": codes.GROUP_NOT_FOUND}
        for principal_type, name in unshared
    ]


def line_end(listed: ListedItem) -> LineEnd:
    """Return what every line of a list ends with. What is listed can be viewed (contract 1.7)."""
    return {"need_justify": NO_POLICY, "need_approval": NO_POLICY, "can_view": True, "can_write": listed.can_write}


def _groups(groups: tuple[NamedShare, ...]) -> list[SharedGroup]:
    return [{"name": name, "can_edit": can_edit} for name, can_edit in groups]
