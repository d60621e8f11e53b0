# SPDX-License-Identifier: Apache-2.0
"""What the management API reads and writes about access keys, and how that becomes a draft, a change, an answer."""

from datetime import UTC, datetime

from msgspec import UNSET, UnsetType, structs

from mysafe.domain.access_keys import AccessKeyChange, AccessKeyDraft, AccessKeyView
from mysafe.domain.errors import BadIdentifier, InvalidField
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.manage import bodies


class ChosenItem(bodies.Model, frozen=True):
    """An item that an access key reaches: its kind and its identifier."""

    kind: Kind
    id: str


class NewKey(bodies.Model, frozen=True):
    """A new access key of the caller. Whatever is left out is no limit; `items` null is full access."""

    name: str
    description: str = ""
    tags: str = ""
    addresses: tuple[str, ...] = ()
    referers: tuple[str, ...] = ()
    fingerprint: str = ""
    items: tuple[ChosenItem, ...] | None = None
    expires_at: datetime | None = None
    is_encrypting: bool = False


class ChangedKey(bodies.Model, frozen=True):
    """A change of an access key. What is left out stays as it is; `items` or `expires_at` null is no limit."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    tags: str | UnsetType = UNSET
    addresses: tuple[str, ...] | UnsetType = UNSET
    referers: tuple[str, ...] | UnsetType = UNSET
    fingerprint: str | UnsetType = UNSET
    items: tuple[ChosenItem, ...] | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    is_encrypting: bool | UnsetType = UNSET


class Password(bodies.Model, frozen=True):
    """The password of the caller, asked for again."""

    password: SecretText


class Key(bodies.Model, frozen=True):
    """An access key, without its secrets. `addresses` and `referers` empty are any, `items` null is full access."""

    id: str
    owner: str
    name: str
    description: str
    tags: str
    authentication_method: str
    client_id: str
    addresses: tuple[str, ...]
    referers: tuple[str, ...]
    fingerprint: str
    items: tuple[ChosenItem, ...] | None
    expires_at: str | None
    is_encrypting: bool
    is_revoked: bool
    created_at: str


class KeyWithSecret(bodies.Model, frozen=True):
    """An access key that was just made, with its client secret."""

    access_key: Key
    client_secret: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "KeyWithSecret(***)"


class Secret(bodies.Model, frozen=True):
    """The credentials of an access key."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        """Show nothing of them."""
        return "Secret(***)"


class Keys(bodies.Model, frozen=True):
    """A page of access keys, ascending by id. `next` is the `after` of the next page, null on the last one."""

    access_keys: tuple[Key, ...]
    next: str | None


def draft_of(body: NewKey) -> AccessKeyDraft:
    """Return the draft of a new access key of the caller. Raises InvalidField."""
    fields = {**structs.asdict(body), "items": _refs(body.items)}
    return AccessKeyDraft(owner=None, **fields)


def change_of(body: ChangedKey) -> AccessKeyChange:
    """Return the change a body names. Raises InvalidField."""
    fields = {name: value for name, value in structs.asdict(body).items() if value is not UNSET}
    if not isinstance(body.items, UnsetType):
        fields["items"] = _refs(body.items)
    is_encrypting = fields.pop("is_encrypting", None)
    return AccessKeyChange(fields, is_encrypting)


def body_of(view: AccessKeyView) -> Key:
    """Return what is answered about an access key."""
    key = view.key
    return Key(
        id=str(key.id),
        owner=view.owner,
        name=key.name,
        description=key.description,
        tags=key.tags,
        authentication_method="OAuth 2.0",
        client_id=key.client_id,
        addresses=key.addresses,
        referers=key.referers,
        fingerprint=key.fingerprint,
        items=None
        if key.items is None
        else tuple(ChosenItem(kind=ref.kind, id=str(ref.id)) for ref in sorted(key.items)),
        expires_at=None if key.expires_at is None else _iso(key.expires_at),
        is_encrypting=key.encryption_key is not None,
        is_revoked=key.is_revoked,
        created_at=_iso(key.created_at),
    )


def _refs(items: tuple[ChosenItem, ...] | None) -> frozenset[ItemRef] | None:
    if items is None:
        return None
    try:
        return frozenset(ItemRef(item.kind, ItemId(parse_identifier(item.id))) for item in items)
    except BadIdentifier:
        raise InvalidField("items") from None


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
