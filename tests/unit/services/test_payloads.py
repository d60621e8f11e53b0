# SPDX-License-Identifier: Apache-2.0
"""Payloads: what goes in comes out, an unknown schema or shape is an error, and errors quote nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.audit.events import Details
from mysafe.domain.access_keys import AccessKey, AccessToken
from mysafe.domain.ids import AccessKeyId, GroupId, Kind, TokenId, UserId
from mysafe.domain.items import ApiSecret, FileSecret, ItemMeta, NoteSecret, PasswordSecret
from mysafe.domain.principals import Group, User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import AclEntry, PrincipalType
from mysafe.services import payloads

TEXT = st.text(st.characters(codec="utf-8"))
IDS = st.integers(1, 2**63 - 1)
ACL = st.lists(st.builds(AclEntry, st.sampled_from(PrincipalType), IDS, st.booleans(), IDS, IDS)).map(tuple)

USER = User(UserId(7), 3, "ana", "Ana", "ana@example.com", is_active=True, is_admin=False, auth_epoch=2, created_at=9)
GROUP = Group(GroupId(8), 1, "Team", is_enabled=True, members=frozenset({UserId(3), UserId(1)}), created_at=9)
KEY = AccessKey(
    id=AccessKeyId(5),
    version=2,
    owner_id=UserId(7),
    name="backup",
    client_id="c",
    secret_verifier=b"v" * 32,
    addresses=("10.0.0.0/8",),
    referers=(),
    expires_at=None,
    is_revoked=False,
    created_at=9,
)
TOKEN = AccessToken(TokenId(6), b"v" * 32, AccessKeyId(5), UserId(7), 2, 3609)


@given(TEXT, TEXT, TEXT, TEXT, ACL, st.booleans(), IDS)
def test_the_meta_of_an_item_comes_back(
    name: str, url: str, username: str, tags: str, acl: tuple[AclEntry, ...], is_active: bool, owner: int
) -> None:
    meta = ItemMeta(name, url, username, tags, acl, is_active, UserId(owner), UserId(owner), 1, 2)
    opened = payloads.decode_item_meta(payloads.encode_item_meta(meta))
    assert opened == meta
    assert all(isinstance(entry.principal_type, PrincipalType) for entry in opened.acl)


@given(TEXT, st.none() | TEXT, TEXT)
def test_a_secret_comes_back(password: str, seed: str | None, notes: str) -> None:
    secret = PasswordSecret(SecretText(password), None if seed is None else SecretText(seed), SecretText(notes))
    opened = payloads.decode_secret(Kind.PASSWORD, payloads.encode_secret(secret))
    assert isinstance(opened, PasswordSecret)
    assert (opened.password.reveal(), opened.notes.reveal()) == (password, notes)
    assert (opened.secret_key.reveal() if opened.secret_key is not None else None) == seed


@given(TEXT, TEXT, TEXT)
def test_the_secrets_of_the_other_kinds_come_back(one: str, two: str, three: str) -> None:
    note = payloads.decode_secret(Kind.NOTE, payloads.encode_secret(NoteSecret(SecretText(one))))
    assert isinstance(note, NoteSecret)
    assert note.note.reveal() == one
    secret = ApiSecret(SecretText(one), SecretText(two), SecretText(three))
    opened = payloads.decode_secret(Kind.API_SECRET, payloads.encode_secret(secret))
    assert isinstance(opened, ApiSecret)
    assert [text.reveal() for text in opened] == [one, two, three]
    file = payloads.decode_secret(
        Kind.FILE, payloads.encode_secret(FileSecret(SecretText(one), two, SecretText(three)))
    )
    assert isinstance(file, FileSecret)
    assert (file.notes.reveal(), file.blob_id, file.key.reveal()) == (one, two, three)


def test_a_meta_from_before_its_last_fields_opens_with_their_defaults() -> None:
    older = ItemMeta("n", "", "u", "", (), True, UserId(1), UserId(1), 1, 2)
    assert payloads.decode_item_meta(msgspec.msgpack.encode((1, tuple(older)[:10]))) == older


def test_principals_and_credentials_come_back() -> None:
    assert payloads.decode_user(payloads.encode_user(USER), 7, 3, 9) == USER
    assert payloads.decode_group(payloads.encode_group(GROUP), 8, 1, 9) == GROUP
    assert payloads.decode_access_key(payloads.encode_access_key(KEY), 5, 2, 9) == KEY
    expiring = replace(KEY, expires_at=99, is_revoked=True)
    assert payloads.decode_access_key(payloads.encode_access_key(expiring), 5, 2, 9) == expiring
    assert payloads.decode_token(payloads.encode_token(TOKEN), 6, 1, 9) == TOKEN
    for phc in (None, "$argon2id$"):
        assert payloads.decode_user_credentials(payloads.encode_user_credentials(phc)) == phc
    details = Details("10.0.0.1", "curl", "name", "reason")
    assert payloads.decode_details(payloads.encode_details(details)) == details


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode((2, payloads.decode_details(payloads.encode_details(Details("a", "b"))))),
        msgspec.msgpack.encode((1, [])),
        msgspec.msgpack.encode({"1": []}),
        payloads.encode_user(USER),
    ],
    ids=["empty", "no msgpack", "schema 2", "too few fields", "a map", "another type"],
)
def test_an_unknown_payload_is_an_error_that_quotes_nothing(payload: bytes) -> None:
    decoders: list[Callable[[bytes], object]] = [partial(payloads.decode_secret, kind) for kind in Kind]
    for decode in (payloads.decode_item_meta, *decoders, payloads.decode_details):
        with pytest.raises(payloads.PayloadUnknown) as raised:
            decode(payload)
        assert str(raised.value) == ""
        assert raised.value.__cause__ is None


@given(
    st.lists(st.integers(0, 2**63 - 1) | TEXT | st.binary()).map(tuple),
    st.lists(st.integers(0, 2**63 - 1) | TEXT | st.binary()).map(tuple),
)
def test_different_facts_have_different_bytes(
    one: tuple[int | str | bytes, ...], two: tuple[int | str | bytes, ...]
) -> None:
    assert (payloads.encode_facts(one) == payloads.encode_facts(two)) == (one == two)
