# SPDX-License-Identifier: Apache-2.0
"""Build the values that encoders take, from the fields of a request."""

from collections.abc import Mapping

from mysafe.domain.ids import ItemId, ItemRef, Kind, UserId
from mysafe.domain.items import Item, ItemMeta, ListedItem, PasswordDraft, PasswordView
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import NamedShare, ShareRequest, Shares, UnsharedName
from mysafe.protocol.passwords import parse_password_draft

OWNER = UserId(7)


def view(
    fields: Mapping[str, object],
    identifier: int = 312,
    *,
    token: str | None = None,
    unshared: tuple[UnsharedName, ...] = (),
) -> PasswordView:
    """Return the view of a password just created from these fields, shared with everybody it names."""
    draft = parse_password_draft(fields)
    shares = Shares(_named(draft.users), _named(draft.groups))
    code = SecretText(token) if token is not None else None
    return PasswordView(_item(draft, identifier), draft.secret, shares, code, unshared)


def listed(fields: Mapping[str, object], identifier: int, *, can_write: bool = True) -> ListedItem:
    """Return the list line of a password created from these fields."""
    return ListedItem(_item(parse_password_draft({"password": "p", **fields}), identifier), can_write)


def _item(draft: PasswordDraft, identifier: int) -> Item:
    meta = ItemMeta(draft.name, draft.url, draft.username, draft.tags, (), True, OWNER, OWNER, 0, 0)
    return Item(ItemRef(Kind.PASSWORD, ItemId(identifier)), 1, meta)


def _named(requests: tuple[ShareRequest, ...]) -> tuple[NamedShare, ...]:
    return tuple(NamedShare(request.name, request.can_edit) for request in requests if request.name is not None)
