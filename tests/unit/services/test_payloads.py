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
from mysafe.domain.access_keys import AccessKey, AccessToken, KeySecrets
from mysafe.domain.ids import AccessKeyId, GroupId, ItemId, ItemRef, Kind, TokenId, TransferId, UserId
from mysafe.domain.items import ApiSecret, FileSecret, ItemMeta, NoteSecret, PasswordSecret
from mysafe.domain.principals import Group, Joined, User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sharing import AclEntry, PrincipalType
from mysafe.domain.transfers import Transfer, TransferState
from mysafe.services.payloads import audit as of_audit
from mysafe.services.payloads import envelope
from mysafe.services.payloads import items as of_items
from mysafe.services.payloads import principals as of_principals

TEXT = st.text(st.characters(codec="utf-8"))
IDS = st.integers(1, 2**63 - 1)
ACL = st.lists(st.builds(AclEntry, st.sampled_from(PrincipalType), IDS, st.booleans(), IDS, IDS)).map(tuple)

USER = User(UserId(7), 3, "ana", "Ana", "ana@example.com", is_active=True, is_admin=False, auth_epoch=2, created_at=9)
GROUP = Group(
    GroupId(8),
    1,
    "Team",
    is_enabled=True,
    members={UserId(1): Joined(UserId(0), 8), UserId(3): Joined(UserId(1), 9)},
    created_at=9,
    owner_id=UserId(1),
    description="all of us",
    are_members_visible=True,
)
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
TRANSFER = Transfer(TransferId(4), 2, UserId(1), UserId(2), UserId(3), 99, TransferState.APPROVED, UserId(5), 9)
TOKEN = AccessToken(TokenId(6), b"v" * 32, AccessKeyId(5), UserId(7), 2, 3609)


@given(TEXT, TEXT, TEXT, TEXT, ACL, st.booleans(), IDS)
def test_the_meta_of_an_item_comes_back(
    name: str, url: str, username: str, tags: str, acl: tuple[AclEntry, ...], is_active: bool, owner: int
) -> None:
    meta = ItemMeta(name, url, username, tags, acl, is_active, UserId(owner), UserId(owner), 1, 2)
    opened = of_items.decode_item_meta(of_items.encode_item_meta(meta))
    assert opened == meta
    assert all(isinstance(entry.principal_type, PrincipalType) for entry in opened.acl)


@given(TEXT, st.none() | TEXT, TEXT)
def test_a_secret_comes_back(password: str, seed: str | None, notes: str) -> None:
    secret = PasswordSecret(SecretText(password), None if seed is None else SecretText(seed), SecretText(notes))
    opened = of_items.decode_secret(Kind.PASSWORD, of_items.encode_secret(secret))
    assert isinstance(opened, PasswordSecret)
    assert (opened.password.reveal(), opened.notes.reveal()) == (password, notes)
    assert (opened.secret_key.reveal() if opened.secret_key is not None else None) == seed


@given(TEXT, TEXT, TEXT)
def test_the_secrets_of_the_other_kinds_come_back(one: str, two: str, three: str) -> None:
    note = of_items.decode_secret(Kind.NOTE, of_items.encode_secret(NoteSecret(SecretText(one))))
    assert isinstance(note, NoteSecret)
    assert note.note.reveal() == one
    secret = ApiSecret(SecretText(one), SecretText(two), SecretText(three))
    opened = of_items.decode_secret(Kind.API_SECRET, of_items.encode_secret(secret))
    assert isinstance(opened, ApiSecret)
    assert [text.reveal() for text in opened] == [one, two, three]
    file = of_items.decode_secret(
        Kind.FILE, of_items.encode_secret(FileSecret(SecretText(one), two, SecretText(three)))
    )
    assert isinstance(file, FileSecret)
    assert (file.notes.reveal(), file.blob_id, file.key.reveal()) == (one, two, three)


def test_a_meta_from_before_its_last_fields_opens_with_their_defaults() -> None:
    older = ItemMeta("n", "", "u", "", (), True, UserId(1), UserId(1), 1, 2)
    assert of_items.decode_item_meta(msgspec.msgpack.encode((1, tuple(older)[:10]))) == older


def test_a_group_from_before_it_could_be_private_opens_as_a_system_group() -> None:
    opened = of_principals.decode_group(msgspec.msgpack.encode((1, ("Team", True, (1, 3)))), 8, 1, 9)
    assert (opened.name, opened.is_private, opened.description, opened.are_members_visible) == (
        "Team",
        False,
        "",
        False,
    )
    assert opened.members == dict.fromkeys((1, 3), Joined(UserId(0), 0))


def test_principals_and_credentials_come_back() -> None:
    assert of_principals.decode_user(of_principals.encode_user(USER), 7, 3, 9) == USER
    assert of_principals.decode_group(of_principals.encode_group(GROUP), 8, 1, 9) == GROUP
    assert of_principals.decode_access_key(of_principals.encode_access_key(KEY), 5, 2, 9) == KEY
    expiring = replace(KEY, expires_at=99, is_revoked=True)
    assert of_principals.decode_access_key(of_principals.encode_access_key(expiring), 5, 2, 9) == expiring
    assert of_principals.decode_token(of_principals.encode_token(TOKEN), 6, 1, 9) == TOKEN
    changed = replace(TOKEN, key_epoch=7)
    assert of_principals.decode_token(of_principals.encode_token(changed), 6, 1, 9) == changed
    transfer = of_principals.decode_transfer(of_principals.encode_transfer(TRANSFER), 4, 2, 9)
    assert (transfer, type(transfer.state)) == (TRANSFER, TransferState)
    for phc in (None, "$argon2id$"):
        assert of_principals.decode_user_credentials(of_principals.encode_user_credentials(phc)) == phc
    details = Details("10.0.0.1", "curl", "name", "reason")
    assert of_audit.decode_details(of_audit.encode_details(details)) == details


@given(st.none() | st.frozensets(st.builds(ItemRef, st.sampled_from(Kind), IDS)), TEXT, TEXT, IDS)
def test_everything_a_key_says_and_is_confined_to_comes_back(
    items: frozenset[ItemRef] | None, description: str, tags: str, epoch: int
) -> None:
    key = replace(
        KEY, items=items, description=description, tags=tags, fingerprint="ab" * 32, token_epoch=epoch, referers=("r",)
    )
    assert of_principals.decode_access_key(of_principals.encode_access_key(key), 5, 2, 9) == key


def test_a_list_of_no_items_is_not_the_lack_of_a_list() -> None:
    confined, full = replace(KEY, items=frozenset()), replace(KEY, items=None)
    assert of_principals.encode_access_key(confined) != of_principals.encode_access_key(full)
    assert of_principals.decode_access_key(of_principals.encode_access_key(confined), 5, 2, 9).items == frozenset()


def test_the_same_items_have_the_same_payload() -> None:
    refs = [ItemRef(kind, ItemId(number)) for kind in Kind for number in range(1, 40)]
    one, two = replace(KEY, items=frozenset(refs)), replace(KEY, items=frozenset(reversed(refs)))
    assert of_principals.encode_access_key(one) == of_principals.encode_access_key(two)


@pytest.mark.parametrize("private_key", [None, "pem"])
@pytest.mark.parametrize("client_secret", [None, "s"])
def test_what_is_kept_of_a_keys_secrets_comes_back(private_key: str | None, client_secret: str | None) -> None:
    secrets = KeySecrets(*(None if text is None else SecretText(text) for text in (private_key, client_secret)))
    opened = of_principals.decode_key_secrets(of_principals.encode_key_secrets(secrets))
    assert [text and text.reveal() for text in opened] == [private_key, client_secret]


def test_a_key_from_before_its_last_fields_is_full_and_never_changed() -> None:
    older = msgspec.msgpack.encode((1, (7, "backup", "c", b"v" * 32, ("10.0.0.0/8",), (), None, False, None)))
    assert of_principals.decode_access_key(older, 5, 2, 9) == KEY


@given(TEXT, TEXT, TEXT, TEXT)
def test_what_changed_in_a_secret_is_named(one: str, two: str, three: str, four: str) -> None:
    before = ApiSecret(SecretText(one), SecretText(two), SecretText("o"))
    after = ApiSecret(SecretText(three), SecretText(four), SecretText("o"))
    changed = of_items.changed_fields(after, of_items.encode_secret(before), of_items.encode_secret(after))
    assert ("client_id" in changed, "client_secret" in changed) == (one != three, two != four)
    assert "notes" not in changed


def test_a_seed_that_comes_and_goes_is_a_change() -> None:
    with_seed = PasswordSecret(SecretText("p"), SecretText("JBSWY3DPEHPK3PXP"), SecretText(""))
    without = with_seed._replace(secret_key=None)
    for before, after in ((with_seed, without), (without, with_seed)):
        parts = of_items.encode_secret(before), of_items.encode_secret(after)
        assert of_items.changed_fields(after, *parts) == ("secret_key",)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode((2, of_audit.decode_details(of_audit.encode_details(Details("a", "b"))))),
        msgspec.msgpack.encode((1, [])),
        msgspec.msgpack.encode({"1": []}),
        of_principals.encode_user(USER),
    ],
    ids=["empty", "no msgpack", "schema 2", "too few fields", "a map", "another type"],
)
def test_an_unknown_payload_is_an_error_that_quotes_nothing(payload: bytes) -> None:
    decoders: list[Callable[[bytes], object]] = [partial(of_items.decode_secret, kind) for kind in Kind]
    for decode in (of_items.decode_item_meta, *decoders, of_audit.decode_details):
        with pytest.raises(envelope.PayloadUnknown) as raised:
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
    assert (of_audit.encode_facts(one) == of_audit.encode_facts(two)) == (one == two)
