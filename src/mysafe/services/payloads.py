# SPDX-License-Identifier: Apache-2.0
"""Domain values to and from the bytes that are sealed.

A payload is a msgpack array of two: the schema number and the value. Values are arrays too, in the order of
their class; a later schema appends fields. An unknown schema is an error, never a guess.

    payload = [1, [field, field, …]]
"""

from typing import NamedTuple, TypeVar, assert_never

import msgspec

from mysafe.audit.events import Details
from mysafe.domain.access_keys import AccessKey, AccessToken
from mysafe.domain.ids import AccessKeyId, GroupId, Kind, TokenId, UserId
from mysafe.domain.items import ApiSecret, FileSecret, ItemMeta, ItemSecret, NoteSecret, PasswordSecret
from mysafe.domain.principals import Group, User
from mysafe.domain.secret_text import SecretText

SCHEMA = 1

T = TypeVar("T")


class PayloadUnknown(Exception):
    """A sealed payload opened, but has a schema or a shape this version does not know."""


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


class _Token(NamedTuple):
    verifier: bytes
    access_key_id: int
    user_id: int
    auth_epoch: int
    expires_at: int


class _Password(NamedTuple):
    password: str
    secret_key: str | None
    notes: str


class _Note(NamedTuple):
    note: str


class _ApiSecret(NamedTuple):
    client_id: str
    client_secret: str
    notes: str


class _File(NamedTuple):
    notes: str
    blob_id: str
    key: str


_encode = msgspec.msgpack.Encoder().encode
_envelope = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_item_meta = msgspec.msgpack.Decoder(ItemMeta)
_user = msgspec.msgpack.Decoder(_User)
_group = msgspec.msgpack.Decoder(_Group)
_access_key = msgspec.msgpack.Decoder(_AccessKey)
_token = msgspec.msgpack.Decoder(_Token)
_password = msgspec.msgpack.Decoder(_Password)
_note = msgspec.msgpack.Decoder(_Note)
_api_secret = msgspec.msgpack.Decoder(_ApiSecret)
_file = msgspec.msgpack.Decoder(_File)
_details = msgspec.msgpack.Decoder(Details)
_private_key = msgspec.msgpack.Decoder(str)
_credentials: msgspec.msgpack.Decoder[str | None] = msgspec.msgpack.Decoder(str | None)


def _decode(payload: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    try:
        schema, value = _envelope(payload)
        if schema == SCHEMA:
            return decoder.decode(value)
    except msgspec.MsgspecError:
        pass  # the message may quote a value: it must not travel on, not even as a cause
    raise PayloadUnknown


def encode_item_meta(meta: ItemMeta) -> bytes:
    """Return the payload of an item's meta."""
    return _encode((SCHEMA, meta))


def decode_item_meta(payload: bytes) -> ItemMeta:
    """Return an item's meta. Raises PayloadUnknown."""
    return _decode(payload, _item_meta)


def encode_secret(secret: ItemSecret) -> bytes:
    """Return the payload of an item's secret part."""
    match secret:
        case PasswordSecret(password, seed, notes):
            return _encode((SCHEMA, _Password(password.reveal(), seed.reveal() if seed else None, notes.reveal())))
        case NoteSecret(note):
            return _encode((SCHEMA, _Note(note.reveal())))
        case ApiSecret(client_id, client_secret, notes):
            return _encode((SCHEMA, _ApiSecret(client_id.reveal(), client_secret.reveal(), notes.reveal())))
        case FileSecret(notes, blob_id, key):
            return _encode((SCHEMA, _File(notes.reveal(), blob_id, key.reveal())))
        case _:
            assert_never(secret)


def decode_secret(kind: Kind, payload: bytes) -> ItemSecret:
    """Return the secret part of an item of a kind. Raises PayloadUnknown."""
    match kind:
        case Kind.PASSWORD:
            password, seed, notes = _decode(payload, _password)
            return PasswordSecret(SecretText(password), None if seed is None else SecretText(seed), SecretText(notes))
        case Kind.NOTE:
            return NoteSecret(SecretText(_decode(payload, _note).note))
        case Kind.API_SECRET:
            fields = _decode(payload, _api_secret)
            return ApiSecret(SecretText(fields.client_id), SecretText(fields.client_secret), SecretText(fields.notes))
        case Kind.FILE:
            notes, blob_id, file_key = _decode(payload, _file)
            return FileSecret(SecretText(notes), blob_id, SecretText(file_key))
        case _:
            assert_never(kind)


def encode_user(user: User) -> bytes:
    """Return the payload of a user; id, version and creation time live in the row and its associated data."""
    return _encode(
        (SCHEMA, _User(user.username, user.name, user.email, user.is_active, user.is_admin, user.auth_epoch))
    )


def decode_user(payload: bytes, user_id: int, version: int, created_at: int) -> User:
    """Return a user. Raises PayloadUnknown."""
    return User(UserId(user_id), version, *_decode(payload, _user), created_at)


def encode_user_credentials(password_hash: str | None) -> bytes:
    """Return the payload of a user's secret part: the password's PHC string, or None without a log-in."""
    return _encode((SCHEMA, password_hash))


def decode_user_credentials(payload: bytes) -> str | None:
    """Return the password's PHC string. Raises PayloadUnknown."""
    return _decode(payload, _credentials)


def encode_group(group: Group) -> bytes:
    """Return the payload of a group."""
    return _encode((SCHEMA, _Group(group.name, group.is_enabled, tuple(sorted(group.members)))))


def decode_group(payload: bytes, group_id: int, version: int, created_at: int) -> Group:
    """Return a group. Raises PayloadUnknown."""
    name, is_enabled, members = _decode(payload, _group)
    return Group(GroupId(group_id), version, name, is_enabled, frozenset(map(UserId, members)), created_at)


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
    )
    return _encode((SCHEMA, fields))


def decode_access_key(payload: bytes, key_id: int, version: int, created_at: int) -> AccessKey:
    """Return an access key. Raises PayloadUnknown."""
    fields = _decode(payload, _access_key)
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
    )


def encode_private_key(private_key: SecretText) -> bytes:
    """Return the payload of an access key's secret part: the private key as PEM."""
    return _encode((SCHEMA, private_key.reveal()))


def decode_private_key(payload: bytes) -> SecretText:
    """Return the private key of an access key as PEM. Raises PayloadUnknown."""
    return SecretText(_decode(payload, _private_key))


def encode_token(token: AccessToken) -> bytes:
    """Return the payload of an access token; the token itself is not in it, only its keyed hash."""
    return _encode(
        (SCHEMA, _Token(token.verifier, token.access_key_id, token.user_id, token.auth_epoch, token.expires_at))
    )


def decode_token(payload: bytes, token_id: int, version: int, created_at: int) -> AccessToken:
    """Return an access token. Raises PayloadUnknown."""
    verifier, key_id, user_id, auth_epoch, expires_at = _decode(payload, _token)
    return AccessToken(TokenId(token_id), verifier, AccessKeyId(key_id), UserId(user_id), auth_epoch, expires_at)


def encode_details(details: Details) -> bytes:
    """Return the payload of an audit entry's sealed part."""
    return _encode((SCHEMA, details))


def decode_details(payload: bytes) -> Details:
    """Return an audit entry's sealed part. Raises PayloadUnknown."""
    return _decode(payload, _details)


def encode_facts(facts: tuple[int | str | bytes, ...]) -> bytes:
    """Return the clear columns of an audit entry as bytes that no other columns give (msgpack is prefix-free)."""
    return _encode(facts)
