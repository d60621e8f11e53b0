# SPDX-License-Identifier: Apache-2.0
"""Build the values that encoders take, from the fields of a request."""

from collections.abc import Mapping

from mysafe.domain.ids import ItemId, ItemRef, Kind, UserId
from mysafe.domain.items import Item, ItemDraft, ItemMeta, ItemView, ListedItem, PasswordSecret
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import NamedShare, ShareRequest, Shares, UnsharedName
from mysafe.protocol import passwords
from mysafe.protocol.compatibility import Compatibility

OWNER = UserId(7)
PLAIN = Compatibility()


def draft_of(fields: Mapping[str, object]) -> ItemDraft:
    """Return the password that these fields ask for."""
    return passwords.parse_draft(fields, PLAIN)


def secret_of(draft: ItemDraft) -> PasswordSecret:
    """Return the secret part of a password's draft."""
    assert isinstance(draft.secret, PasswordSecret)
    return draft.secret


def entity_of(shown: ItemView) -> Mapping[str, object]:
    """Return what a single GET shows of a password."""
    return passwords.entity(shown, PLAIN)


def view(
    fields: Mapping[str, object],
    identifier: int = 312,
    *,
    token: str | None = None,
    unshared: tuple[UnsharedName, ...] = (),
) -> ItemView:
    """Return the view of a password just created from these fields, shared with everybody it names."""
    draft = draft_of(fields)
    shares = Shares(_named(draft.users), _named(draft.groups))
    code = SecretText(token) if token is not None else None
    return ItemView(_item(draft, identifier), draft.secret, shares, code, unshared)


def listed(fields: Mapping[str, object], identifier: int, *, can_write: bool = True) -> ListedItem:
    """Return the list line of a password created from these fields."""
    return ListedItem(_item(draft_of({"password": "p", **fields}), identifier), can_write)


def _item(draft: ItemDraft, identifier: int) -> Item:
    meta = ItemMeta(draft.name, draft.url, draft.username, draft.tags, (), True, OWNER, OWNER, 0, 0)
    return Item(ItemRef(Kind.PASSWORD, ItemId(identifier)), 1, meta)


def _named(requests: tuple[ShareRequest, ...]) -> tuple[NamedShare, ...]:
    return tuple(NamedShare(request.name, request.can_edit) for request in requests if request.name is not None)
