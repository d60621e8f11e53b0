# SPDX-License-Identifier: Apache-2.0
"""Users, groups, access keys, tokens and transfers as payloads."""

from typing import NamedTuple

import msgspec

from mysafe.domain.access_keys import AccessKey, AccessToken, KeySecrets
from mysafe.domain.ids import AccessKeyId, GroupId, ItemId, ItemRef, Kind, TokenId, TransferId, UserId
from mysafe.domain.principals import Group, Joined, User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.transfers import Transfer, TransferState
from mysafe.services.payloads.envelope import SCHEMA, decode_payload, encode


class _User(NamedTuple):
    username: str
    name: str
    email: str
    is_active: bool
    is_admin: bool
    auth_epoch: int


class _Group(NamedTuple):
    name: str
    is_enabled: bool
    members: tuple[int, ...]
    joined: tuple[tuple[int, int], ...] = ()  # by whom and when, in the order of the members
    owner_id: int = 0
    description: str = ""
    are_members_visible: bool = False


class _AccessKey(NamedTuple):
    owner_id: int
    name: str
    client_id: str
    secret_verifier: bytes
    addresses: tuple[str, ...]
    referers: tuple[str, ...]
    expires_at: int | None
    is_revoked: bool
    encryption_key: bytes | None = None
    description: str = ""
    tags: str = ""
    fingerprint: str = ""
    items: tuple[tuple[Kind, tuple[int, ...]], ...] | None = None
    token_epoch: int = 1


class _KeySecrets(NamedTuple):
    private_key: str | None
    client_secret: str | None


class _Token(NamedTuple):
    verifier: bytes
    access_key_id: int
    user_id: int
    auth_epoch: int
    expires_at: int
    key_epoch: int = 1


class _Transfer(NamedTuple):
    from_user: int
    to_user: int
    requested_by: int
    expires_at: int
    state: TransferState
    approved_by: int


_user = msgspec.msgpack.Decoder(_User)
_group = msgspec.msgpack.Decoder(_Group)
_access_key = msgspec.msgpack.Decoder(_AccessKey)
_token = msgspec.msgpack.Decoder(_Token)
_transfer = msgspec.msgpack.Decoder(_Transfer)
_key_secrets = msgspec.msgpack.Decoder(_KeySecrets)
_credentials: msgspec.msgpack.Decoder[str | None] = msgspec.msgpack.Decoder(str | None)


def encode_user(user: User) -> bytes:
    """Return the payload of a user; id, version and creation time live in the row and its associated data."""
    return encode((SCHEMA, _User(user.username, user.name, user.email, user.is_active, user.is_admin, user.auth_epoch)))


def decode_user(payload: bytes, user_id: int, version: int, created_at: int) -> User:
    """Return a user. Raises PayloadUnknown."""
    return User(UserId(user_id), version, *decode_payload(payload, _user), created_at)


def encode_user_credentials(password_hash: str | None) -> bytes:
    """Return the payload of a user's secret part: the password's PHC string, or None without a log-in."""
    return encode((SCHEMA, password_hash))


def decode_user_credentials(payload: bytes) -> str | None:
    """Return the password's PHC string. Raises PayloadUnknown."""
    return decode_payload(payload, _credentials)


def encode_group(group: Group) -> bytes:
    """Return the payload of a group."""
    members = sorted(group.members)
    fields = _Group(
        group.name,
        group.is_enabled,
        tuple(members),
        tuple(group.members[member] for member in members),
        group.owner_id,
        group.description,
        group.are_members_visible,
    )
    return encode((SCHEMA, fields))


def decode_group(payload: bytes, group_id: int, version: int, created_at: int) -> Group:
    """Return a group. Raises PayloadUnknown."""
    fields = decode_payload(payload, _group)
    unknown = ((0, 0),) * (len(fields.members) - len(fields.joined))
    return Group(
        id=GroupId(group_id),
        version=version,
        name=fields.name,
        is_enabled=fields.is_enabled,
        members={
            UserId(member): Joined(UserId(added_by), added_at)
            for member, (added_by, added_at) in zip(fields.members, fields.joined + unknown, strict=True)
        },
        created_at=created_at,
        owner_id=UserId(fields.owner_id),
        description=fields.description,
        are_members_visible=fields.are_members_visible,
    )


def encode_access_key(key: AccessKey) -> bytes:
    """Return the payload of an access key."""
    fields = _AccessKey(
        key.owner_id,
        key.name,
        key.client_id,
        key.secret_verifier,
        key.addresses,
        key.referers,
        key.expires_at,
        key.is_revoked,
        key.encryption_key,
        key.description,
        key.tags,
        key.fingerprint,
        _grouped(key.items),
        key.token_epoch,
    )
    return encode((SCHEMA, fields))


def decode_access_key(payload: bytes, key_id: int, version: int, created_at: int) -> AccessKey:
    """Return an access key. Raises PayloadUnknown."""
    fields = decode_payload(payload, _access_key)
    return AccessKey(
        id=AccessKeyId(key_id),
        version=version,
        owner_id=UserId(fields.owner_id),
        name=fields.name,
        client_id=fields.client_id,
        secret_verifier=fields.secret_verifier,
        addresses=fields.addresses,
        referers=fields.referers,
        expires_at=fields.expires_at,
        is_revoked=fields.is_revoked,
        created_at=created_at,
        encryption_key=fields.encryption_key,
        description=fields.description,
        tags=fields.tags,
        fingerprint=fields.fingerprint,
        items=_refs(fields.items),
        token_epoch=fields.token_epoch,
    )


def _grouped(items: frozenset[ItemRef] | None) -> tuple[tuple[Kind, tuple[int, ...]], ...] | None:
    """Return references as their kinds with the ids of each, both sorted: the same items have the same payload."""
    if items is None:
        return None
    kinds = sorted({ref.kind for ref in items})
    return tuple((kind, tuple(sorted(ref.id for ref in items if ref.kind is kind))) for kind in kinds)


def _refs(grouped: tuple[tuple[Kind, tuple[int, ...]], ...] | None) -> frozenset[ItemRef] | None:
    if grouped is None:
        return None
    return frozenset(ItemRef(kind, ItemId(number)) for kind, numbers in grouped for number in numbers)


def encode_key_secrets(secrets: KeySecrets) -> bytes:
    """Return the payload of an access key's secret part."""
    return encode((SCHEMA, _KeySecrets(*(text.reveal() if text else None for text in secrets))))


def decode_key_secrets(payload: bytes) -> KeySecrets:
    """Return the secret part of an access key. Raises PayloadUnknown."""
    return KeySecrets(*(None if text is None else SecretText(text) for text in decode_payload(payload, _key_secrets)))


def encode_token(token: AccessToken) -> bytes:
    """Return the payload of an access token; the token itself is not in it, only its keyed hash."""
    return encode(
        (
            SCHEMA,
            _Token(
                token.verifier, token.access_key_id, token.user_id, token.auth_epoch, token.expires_at, token.key_epoch
            ),
        )
    )


def decode_token(payload: bytes, token_id: int, version: int, created_at: int) -> AccessToken:
    """Return an access token. Raises PayloadUnknown."""
    verifier, key_id, user_id, auth_epoch, expires_at, key_epoch = decode_payload(payload, _token)
    return AccessToken(
        TokenId(token_id), verifier, AccessKeyId(key_id), UserId(user_id), auth_epoch, expires_at, key_epoch
    )


def encode_transfer(transfer: Transfer) -> bytes:
    """Return the payload of a transfer of items."""
    fields = _Transfer(
        transfer.from_user,
        transfer.to_user,
        transfer.requested_by,
        transfer.expires_at,
        transfer.state,
        transfer.approved_by,
    )
    return encode((SCHEMA, fields))


def decode_transfer(payload: bytes, transfer_id: int, version: int, created_at: int) -> Transfer:
    """Return a transfer of items. Raises PayloadUnknown."""
    fields = decode_payload(payload, _transfer)
    return Transfer(
        id=TransferId(transfer_id),
        version=version,
        from_user=UserId(fields.from_user),
        to_user=UserId(fields.to_user),
        requested_by=UserId(fields.requested_by),
        expires_at=fields.expires_at,
        state=fields.state,
        approved_by=UserId(fields.approved_by),
        created_at=created_at,
    )
