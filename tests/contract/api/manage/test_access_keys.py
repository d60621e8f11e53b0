# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/access-keys`: make, list, show, change, clone and revoke access keys, each with its audit rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe.services import audit_trail
from tests.support.key_owner import KEYS, KeyOwner, pair
from tests.support.server import RunningServer, authorization

FULL = {
    "name": "backup",
    "description": "nightly\nbackup",
    "tags": "a, b",
    "addresses": ["127.0.0.1", "2001:db8::/32", "::ffff:10.0.0.0/104"],
    "referers": ["https://portal.example/"],
    "fingerprint": ":".join(["AB"] * 32),
    "items": [{"kind": "note", "id": "2"}, {"kind": "password", "id": "7"}],
    "expires_at": "2100-12-31T12:00:00+02:00",
}


@pytest.fixture
def owner(server: RunningServer) -> KeyOwner:
    return KeyOwner(server)


def test_an_access_key_is_made_with_everything_it_can_say(owner: KeyOwner) -> None:
    answer = owner.call("POST", KEYS, FULL)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    body = answer.json()
    key = body["access_key"]
    assert len(body["client_secret"]) == 32
    assert answer.headers["Location"] == f"{KEYS}/{key['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert {name: key[name] for name in FULL} == {
        **FULL,
        "addresses": ["127.0.0.1/32", "2001:db8::/32", "10.0.0.0/8"],
        "fingerprint": "ab" * 32,
        "expires_at": "2100-12-31T10:00:00Z",
    }
    assert (key["owner"], key["is_encrypting"], key["is_revoked"]) == (owner.name, False, False)
    assert key["authentication_method"] == "OAuth 2.0"
    assert owner.call("GET", f"{KEYS}/{key['id']}").json() == key
    assert owner.audited(answer) == [("access_key.create", "allowed", int(key["id"]))]


def test_a_new_key_works_at_once_and_is_not_limited_in_what_was_left_out(owner: KeyOwner) -> None:
    made = owner.make()
    identifier = owner.server.create(owner.token, "note", {"name": "n", "note": "x"})
    assert owner.server.read(owner.server.token(pair(made)), identifier, "note").status_code == 200
    key = made["access_key"]
    assert [key[name] for name in ("addresses", "referers", "fingerprint", "items", "expires_at")] == [
        [], [], "", None, None,
    ]  # fmt: skip


def test_any_address_and_any_referer_are_no_limit(owner: KeyOwner) -> None:
    key = owner.make(addresses=["10.0.0.0/8", "*"], referers=["*"])["access_key"]
    assert (key["addresses"], key["referers"]) == ([], [])


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"name": " "}, "missing_field", "name"),
        ({"name": "n" * 256}, "too_long", "name"),
        ({"name": "a\nb"}, "invalid_field", "name"),
        ({"description": "d" * 1001}, "too_long", "description"),
        ({"description": "a\u001bb"}, "invalid_field", "description"),
        ({"tags": "t" * 1001}, "too_long", "tags"),
        ({"addresses": ["10.0.0.1/8"]}, "invalid_field", "addresses"),
        ({"addresses": ["example.org"]}, "invalid_field", "addresses"),
        ({"addresses": ["10.0.0.1"] * 101}, "invalid_field", "addresses"),
        ({"referers": [""]}, "invalid_field", "referers"),
        ({"referers": ["https://é.example/"]}, "invalid_field", "referers"),
        ({"referers": ["x" * 2049]}, "too_long", "referers"),
        ({"fingerprint": "ab"}, "invalid_field", "fingerprint"),
        ({"items": [{"kind": "user", "id": "1"}]}, "invalid_field", "items[0].kind"),
        ({"items": [{"kind": "note", "id": "0"}]}, "invalid_field", "items"),
        ({"items": [{"kind": "note", "id": "9" * 30}]}, "invalid_field", "items"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_field", "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "invalid_field", "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "invalid_field", "expires_at"),
        ({"expires_at": "tomorrow"}, "invalid_field", "expires_at"),
        ({"is_encrypting": "perhaps"}, "invalid_field", "is_encrypting"),
        ({"client_id": "mine"}, "invalid_field", "client_id"),
        ({"owner": "somebody"}, "invalid_field", "owner"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    owner: KeyOwner, fields: dict[str, object], code: str, field: str
) -> None:
    answer = owner.call("POST", KEYS, {"name": "n", **fields})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, code, field)
    key_id = owner.key_id()
    changed = owner.call("PATCH", f"{KEYS}/{key_id}", fields)
    assert (changed.status_code, changed.json()["code"], changed.json()["field"]) == (400, code, field)
    assert owner.call("GET", f"{KEYS}/{key_id}").headers["ETag"] == '"1"'


def test_a_list_has_the_callers_own_keys_without_the_revoked_ones(owner: KeyOwner) -> None:
    (first,) = owner.listed()
    second, third = owner.key_id(), owner.key_id()
    KeyOwner(owner.server).key_id()
    assert owner.call("POST", f"{KEYS}/{second}/revoke").json()["is_revoked"] is True
    assert owner.listed() == [first, third]


def test_an_administrator_sees_and_revokes_every_key_and_no_secret(owner: KeyOwner) -> None:
    admin = KeyOwner(owner.server)
    made = owner.make(is_encrypting=False, description="d")
    path = f"{KEYS}/{made['access_key']['id']}"
    assert admin.call("GET", KEYS + "?owner=*").status_code == 403
    assert admin.call("GET", path).status_code == 404
    owner.server.make_admin(admin.name)
    admin.token = owner.server.new_token(admin.name)
    assert set(owner.listed()) < set(admin.listed(owner="*"))
    assert admin.listed(owner=owner.name) == owner.listed()
    assert admin.call("GET", KEYS + "?owner=nobody-at-all").status_code == 404
    assert admin.call("GET", path).json() == made["access_key"]
    refused = [
        admin.call("PATCH", path, {"name": "mine"}),
        admin.call("POST", path + "/clone"),
        admin.call("POST", path + "/secret", {"password": "x"}),
        admin.call("POST", path + "/decryption-key", {"password": "x"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4
    assert owner.audited(refused[2]) == [("access_key.reveal_secret", "denied", int(made["access_key"]["id"]))]
    revoked = admin.call("POST", path + "/revoke")
    assert revoked.json()["is_revoked"] is True
    assert owner.audited(revoked) == [("access_key.revoke", "allowed", int(made["access_key"]["id"]))]


def calls_on(path: str) -> list[tuple[str, str, object]]:
    return [
        ("GET", path, None), ("PATCH", path, {"name": "x"}), ("PATCH", path, {"is_encrypting": True}),
        ("POST", path + "/clone", None), ("POST", path + "/revoke", None),
        ("POST", path + "/secret", {"password": "x"}), ("POST", path + "/decryption-key", {"password": "x"}),
    ]  # fmt: skip


def told(caller: KeyOwner, key_id: int | str) -> list[tuple[object, ...]]:
    """Return what a caller and the audit log are told by every call on an access key, but for its number."""
    answers = [caller.call(*call) for call in calls_on(f"{KEYS}/{key_id}")]
    return [
        (one.status_code, one.content, sorted(one.headers), [row[:2] for row in caller.audited(one)]) for one in answers
    ]


def test_a_key_of_another_user_is_answered_as_if_it_were_none(owner: KeyOwner) -> None:
    stranger, key_id = KeyOwner(owner.server), owner.key_id()
    of_another, of_none = told(stranger, key_id), told(stranger, 999_999_999)
    assert of_another == of_none
    assert [one[0] for one in of_another] == [404] * 7
    assert owner.call("GET", f"{KEYS}/{key_id}").headers["ETag"] == '"1"'


def test_the_comparison_finds_a_key_that_the_caller_may_see(owner: KeyOwner) -> None:
    admin, key_id = KeyOwner(owner.server), owner.key_id()
    owner.server.make_admin(admin.name)
    admin.token = owner.server.new_token(admin.name)
    differing = [mine != none for mine, none in zip(told(admin, key_id), told(admin, 999_999_999), strict=True)]
    assert differing == [True] * 7


@pytest.mark.parametrize("identifier", ["999999999", "9" * 40])
def test_an_unknown_key_is_not_found(owner: KeyOwner, identifier: str) -> None:
    for method, end, body in (("GET", "", None), ("PATCH", "", {}), ("POST", "/revoke", None)):
        answer = owner.call(method, f"{KEYS}/{identifier}{end}", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert owner.call("GET", f"{KEYS}/x1").json()["code"] == "bad_identifier"


def test_a_change_changes_what_it_names_and_nothing_else(owner: KeyOwner) -> None:
    made = owner.call("POST", KEYS, FULL).json()["access_key"]
    path = f"{KEYS}/{made['id']}"
    changed = owner.call("PATCH", path, {"name": "new", "items": None, "expires_at": None})
    assert changed.json() == {**made, "name": "new", "items": None, "expires_at": None}
    assert changed.headers["ETag"] == '"2"'
    assert owner.audited(changed) == [("access_key.update", "allowed", int(made["id"]))]
    kept = owner.call("PATCH", path, {"name": "new"})
    assert (kept.status_code, kept.headers["ETag"]) == (200, '"2"')
    assert owner.audited(kept) == [("access_key.update", "allowed", int(made["id"]))]


def test_an_expired_key_can_be_renamed_and_get_a_new_expiry(fresh_server: RunningServer) -> None:
    owner = KeyOwner(fresh_server)
    made = owner.make(expires_at="2100-01-01T00:00:00Z")
    path = f"{KEYS}/{made['access_key']['id']}"
    fresh_server.advance_clock(80 * 365.25 * 86400)
    owner.token = fresh_server.new_token(owner.name)
    assert owner.call("PATCH", path, {"name": "old"}).status_code == 200
    assert owner.call("PATCH", path, {"expires_at": "2100-01-02T00:00:00Z"}).json()["field"] == "expires_at"
    assert owner.call("PATCH", path, {"expires_at": "2200-01-02T00:00:00Z"}).status_code == 200
    fresh_server.token(pair(made))


def test_a_condition_on_the_version_is_honoured(owner: KeyOwner) -> None:
    path = f"{KEYS}/{owner.key_id()}"
    assert owner.call("PATCH", path, {"name": "b"}, If_Match='"1"').status_code == 200
    refused = owner.call("PATCH", path, {"name": "c"}, If_Match='"1"')
    assert (refused.status_code, refused.json()["code"]) == (412, "version_mismatch")
    assert owner.call("GET", path).json()["name"] == "b"


@pytest.mark.parametrize(
    ("change", "is_alive"),
    [
        ({"name": "new", "description": "new", "tags": "new"}, True),
        ({"addresses": []}, True),
        ({"addresses": ["127.0.0.0/8"]}, False),
        ({"referers": ["https://portal.example/"]}, False),
        ({"fingerprint": "ab" * 32}, False),
        ({"items": []}, False),
        ({"expires_at": "2100-01-01T00:00:00Z"}, False),
    ],
)
def test_a_token_dies_at_once_with_a_change_of_a_limit_and_only_then(
    owner: KeyOwner, change: dict[str, object], is_alive: bool
) -> None:
    made = owner.make()
    token = owner.server.token(pair(made))
    with owner.server.client() as client:
        assert client.get("/api/manage/me", headers=authorization(token)).status_code == 200
        assert owner.call("PATCH", f"{KEYS}/{made['access_key']['id']}", change).status_code == 200
        status = client.get("/api/manage/me", headers=authorization(token)).status_code
    assert status == (200 if is_alive else 401)


def test_a_clone_has_a_new_id_and_secret_the_same_limits_and_no_expiry(owner: KeyOwner) -> None:
    made = owner.call("POST", KEYS, {**FULL, "name": "n" * 255}).json()
    answer = owner.call("POST", f"{KEYS}/{made['access_key']['id']}/clone")
    assert answer.status_code == 201
    clone = answer.json()
    assert clone["access_key"]["id"] != made["access_key"]["id"]
    assert clone["access_key"]["client_id"] != made["access_key"]["client_id"]
    assert clone["client_secret"] != made["client_secret"]
    same = {"id": "", "client_id": "", "created_at": "", "name": "n" * 248 + " (Copy)", "expires_at": None}
    assert {**clone["access_key"], **same} == {**made["access_key"], **same}
    assert clone["access_key"]["name"] == same["name"]
    assert owner.audited(answer) == [
        ("access_key.clone", "allowed", int(made["access_key"]["id"])),
        ("access_key.create", "allowed", int(clone["access_key"]["id"])),
    ]


def test_a_revoked_key_is_good_for_nothing_any_more(owner: KeyOwner) -> None:
    made = owner.make()
    token, path = owner.server.token(pair(made)), f"{KEYS}/{made['access_key']['id']}"
    assert owner.call("POST", path + "/revoke").status_code == 200
    assert owner.call("POST", path + "/revoke").status_code == 200
    with owner.server.client() as client:
        assert client.get("/api/manage/me", headers=authorization(token)).status_code == 401
    for method, end, body in (("PATCH", "", {"name": "x"}), ("POST", "/clone", None)):
        answer = owner.call(method, path + end, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "inactive")
    assert owner.call("GET", path).json()["is_revoked"] is True


def test_no_secret_of_a_key_is_in_the_log_or_in_its_other_answers(owner: KeyOwner) -> None:
    made = owner.make()
    secret, path = made["client_secret"], f"{KEYS}/{made['access_key']['id']}"
    texts = [
        owner.call("GET", path).text,
        owner.call("GET", KEYS).text,
        owner.call("PATCH", path, {"name": "x"}).text,
        repr(owner.server.operate(lambda uow: audit_trail.tail(uow, 200))),
    ]
    assert made["access_key"]["client_id"] in texts[0]
    assert not any(secret in text for text in texts)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[KeyOwner]:
    """An owner who may have three access keys, and has one."""
    running = RunningServer(tmp_path, access_keys_per_user=3)
    yield KeyOwner(running)
    running.close()


def test_a_user_has_no_more_access_keys_than_the_setting_says(counted: KeyOwner) -> None:
    second = counted.key_id()
    third = counted.call("POST", f"{KEYS}/{second}/clone").json()["access_key"]["id"]
    refused = [
        counted.call("POST", KEYS, {"name": "n"}),
        counted.call("POST", KEYS, {"name": "n", "is_encrypting": True}),
        counted.call("POST", f"{KEYS}/{second}/clone"),
    ]
    for answer in refused:
        document = answer.json()
        assert (answer.status_code, document["code"], document["limit"]) == (409, "limit_reached", 3)
        assert [row[1] for row in counted.audited(answer)] == ["conflict"]
    assert KeyOwner(counted.server).key_id()  # each user for themselves
    counted.call("POST", f"{KEYS}/{third}/revoke")
    assert counted.key_id()  # revoked ones do not count


def test_a_list_comes_in_pages(owner: KeyOwner) -> None:
    (first,) = owner.listed()
    second, third = owner.key_id(), owner.key_id()
    pages = [owner.call("GET", f"{KEYS}?limit=2{after}").json() for after in ("", f"&after={second}")]
    assert [[key["id"] for key in page["access_keys"]] for page in pages] == [[first, second], [third]]
    assert [page["next"] for page in pages] == [second, None]
    assert owner.call("GET", f"{KEYS}?limit=0").status_code == 400
