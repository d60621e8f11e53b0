# SPDX-License-Identifier: Apache-2.0
"""Metas and secrets of items as payloads."""

from typing import NamedTuple, assert_never

import msgspec

from mysafe.domain.ids import Kind
from mysafe.domain.items import ApiSecret, FileSecret, ItemMeta, ItemSecret, NoteSecret, PasswordSecret
from mysafe.domain.secret_text import SecretText
from mysafe.services.payloads.envelope import SCHEMA, decode_payload, encode


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


_item_meta = msgspec.msgpack.Decoder(ItemMeta)
_any_array = msgspec.msgpack.Decoder(list[object])
_password = msgspec.msgpack.Decoder(_Password)
_note = msgspec.msgpack.Decoder(_Note)
_api_secret = msgspec.msgpack.Decoder(_ApiSecret)
_file = msgspec.msgpack.Decoder(_File)


def encode_item_meta(meta: ItemMeta) -> bytes:
    """Return the payload of an item's meta."""
    return encode((SCHEMA, meta))


def decode_item_meta(payload: bytes) -> ItemMeta:
    """Return an item's meta. Raises PayloadUnknown."""
    return decode_payload(payload, _item_meta)


def encode_secret(secret: ItemSecret) -> bytes:
    """Return the payload of an item's secret part."""
    match secret:
        case PasswordSecret(password, seed, notes):
            return encode((SCHEMA, _Password(password.reveal(), seed.reveal() if seed else None, notes.reveal())))
        case NoteSecret(note):
            return encode((SCHEMA, _Note(note.reveal())))
        case ApiSecret(client_id, client_secret, notes):
            return encode((SCHEMA, _ApiSecret(client_id.reveal(), client_secret.reveal(), notes.reveal())))
        case FileSecret(notes, blob_id, key):
            return encode((SCHEMA, _File(notes.reveal(), blob_id, key.reveal())))
        case _:
            assert_never(secret)


def decode_secret(kind: Kind, payload: bytes) -> ItemSecret:
    """Return the secret part of an item of a kind. Raises PayloadUnknown."""
    match kind:
        case Kind.PASSWORD:
            password, seed, notes = decode_payload(payload, _password)
            return PasswordSecret(SecretText(password), None if seed is None else SecretText(seed), SecretText(notes))
        case Kind.NOTE:
            return NoteSecret(SecretText(decode_payload(payload, _note).note))
        case Kind.API_SECRET:
            fields = decode_payload(payload, _api_secret)
            return ApiSecret(SecretText(fields.client_id), SecretText(fields.client_secret), SecretText(fields.notes))
        case Kind.FILE:
            notes, blob_id, file_key = decode_payload(payload, _file)
            return FileSecret(SecretText(notes), blob_id, SecretText(file_key))
        case _:
            assert_never(kind)


_SHOWN_NAMES = {"blob_id": "content", "key": "content"}
"""What the fields of a secret part are called where they are not told by their own name."""


def changed_fields(secret: ItemSecret, before: bytes, after: bytes) -> tuple[str, ...]:
    """Return the names of the fields in which two payloads of a secret part differ, never what is in them.

    Args:
        secret: gives the names; its payload is `after`.
        before, after: payloads, as `encode_secret` makes them. Raises PayloadUnknown.
    """
    pairs = zip(secret._fields, decode_payload(before, _any_array), decode_payload(after, _any_array), strict=False)
    names = [_SHOWN_NAMES.get(name, name) for name, old, new in pairs if old != new]
    return tuple(name for name in dict.fromkeys(names) if name)
