# SPDX-License-Identifier: Apache-2.0
"""T-TAMPER on the running server: whoever writes in the database gains nothing, and is noticed.

Each test edits rows with SQL under the running server. The control switches the associated data off
and must see the swapped rows open.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mysafe.crypto import aead, records
from mysafe.domain.access_keys import AccessKeyDraft
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.services.opened_rows import OpenedRows
from tests.support.databases import beside
from tests.support.server import RunningServer, authorization

CANARY = "canary-secret"
VICTIM = {"name": "victim-name", "username": "victim", "password": CANARY, "notes": "victim-notes"}


class Scene:
    """An owner with two items, a stranger with one, and SQL access to their database."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.owner_name, self.stranger_name = server.new_actor(), server.new_actor()
        self.owner, self.stranger = server.new_token(self.owner_name), server.new_token(self.stranger_name)
        self.victim = server.create(self.owner, "password", VICTIM)
        self.other = server.create(self.owner, "password", {**VICTIM, "name": "other-name", "password": "other"})
        self.bait = server.create(self.stranger, "password", {"name": "bait", "username": "b", "password": "bait"})

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with beside(self.server.settings) as connection:
            rows = connection.execute(statement, values)
            assert statement.startswith("SELECT") or connection.changes() >= 1, "the edit changed nothing"
        return rows

    def edit_item(self, identifier: str, column: str, value: object) -> None:
        self.sql(f"UPDATE items SET {column} = ? WHERE id = ?", value, int(identifier))

    def item_column(self, identifier: str, column: str) -> object:
        return self.sql(f"SELECT {column} FROM items WHERE id = ?", int(identifier))[0][0]

    def user_id(self, token_of: str) -> int:
        rows = self.sql("SELECT owner_id FROM items WHERE id = ?", int(token_of))
        return int(str(rows[0][0]))

    def listed(self, token: str) -> list[str]:
        with self.server.client() as client:
            answer = client.get("/api/mysafe/password", headers=authorization(token))
        assert answer.status_code == 200
        return [line["identifier"] for line in answer.json()["password_on_list"]]

    def is_detected(self) -> bool:
        """The victim is refused without a byte of it, and the other item is still served."""
        answer = self.server.read(self.owner, self.victim)
        assert self.server.read(self.owner, self.other).json()["password_entity"]["password"] == "other"
        hidden = all(text not in answer.text for text in (CANARY, "victim-n", "bait", "other"))
        return answer.status_code == 500 and hidden


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    server = RunningServer(tmp_path)
    yield Scene(server)
    server.close()


def flipped(blob: object, bit: int) -> bytes:
    assert isinstance(blob, bytes)
    changed = bytearray(blob)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("column", ["dek", "meta", "secret"])
def test_a_flipped_bit_anywhere_in_an_item_is_detected(scene: Scene, column: str) -> None:
    assert scene.server.read(scene.owner, scene.victim).json()["password_entity"]["password"] == CANARY
    original = scene.item_column(scene.victim, column)
    assert isinstance(original, bytes)
    for bit in range(0, len(original) * 8, 41):
        scene.edit_item(scene.victim, column, flipped(original, bit))
        assert scene.is_detected(), f"bit {bit} of {column}"
    scene.edit_item(scene.victim, column, original)
    assert scene.server.read(scene.owner, scene.victim).status_code == 200


@pytest.mark.parametrize(
    "columns", [("dek",), ("meta",), ("secret",), ("dek", "meta"), ("dek", "secret"), ("dek", "meta", "secret")]
)
def test_parts_of_another_row_do_not_open(scene: Scene, columns: tuple[str, ...]) -> None:
    for column in columns:
        scene.edit_item(scene.victim, column, scene.item_column(scene.bait, column))
    assert scene.is_detected()


def test_meta_and_secret_changed_over_do_not_open(scene: Scene) -> None:
    meta, secret = scene.item_column(scene.victim, "meta"), scene.item_column(scene.victim, "secret")
    scene.edit_item(scene.victim, "meta", secret)
    scene.edit_item(scene.victim, "secret", meta)
    assert scene.is_detected()


@pytest.mark.parametrize(("column", "value"), [("version", 2), ("epoch", 2), ("kind", "note")])
def test_an_edited_clear_column_is_detected_or_hides_the_item(scene: Scene, column: str, value: object) -> None:
    scene.edit_item(scene.victim, column, value)
    answer = scene.server.read(scene.owner, scene.victim)
    assert (answer.status_code == 200) == (column == "epoch")  # the header's epoch counts, not the column's
    assert column == "epoch" or CANARY not in answer.text


def test_a_changed_owner_column_gives_the_new_owner_nothing(scene: Scene) -> None:
    scene.edit_item(scene.victim, "owner_id", scene.user_id(scene.bait))
    answer = scene.server.read(scene.stranger, scene.victim)
    assert (answer.status_code, CANARY in answer.text) == (500, False)
    assert scene.listed(scene.stranger) == [scene.bait]


def test_a_share_added_to_the_index_grants_nothing(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO grants_idx (principal_type, principal_id, kind, item_id) VALUES (1, ?, 'password', ?)",
        scene.user_id(scene.bait),
        int(scene.victim),
    )
    answer = scene.server.read(scene.stranger, scene.victim)
    assert (answer.status_code, CANARY in answer.text) == (400, False)
    assert scene.listed(scene.stranger) == [scene.bait]


def test_a_member_added_to_the_index_of_a_group_gains_nothing(scene: Scene) -> None:
    server = scene.server
    server.ensure_group("the team", [scene.owner_name])
    shared = server.create(scene.owner, "password", {**VICTIM, "groups_allowed": [{"name": "the team"}]})
    (group,) = scene.sql("SELECT id FROM groups")
    scene.sql("INSERT INTO group_members_idx (user_id, group_id) VALUES (?, ?)", scene.user_id(scene.bait), group[0])
    assert server.read(scene.stranger, shared).status_code == 400
    assert scene.listed(scene.stranger) == [scene.bait]


@pytest.mark.parametrize("table", ["tokens", "access_keys", "users"])
def test_a_credential_row_copied_over_another_does_not_open(scene: Scene, table: str) -> None:
    rows = scene.sql(f"SELECT id, dek, meta FROM {table} ORDER BY id")
    assert len(rows) >= 2
    (_, dek, meta), (stranger_row, *_) = rows[0], rows[1]
    scene.sql(f"UPDATE {table} SET dek = ?, meta = ? WHERE id = ?", dek, meta, stranger_row)
    answer = scene.server.read(scene.stranger, scene.victim)
    assert (answer.status_code, CANARY in answer.text) == (500, False)
    assert scene.server.read(scene.owner, scene.victim).status_code == 200


class ConfinedKey:
    """A key of the scene's owner, confined to the victim's neighbour and expired tomorrow, with a token of it."""

    def __init__(self, scene: Scene) -> None:
        owner = scene.server.operate(lambda uow: uow.principals.user_by_name(scene.owner_name))
        assert owner is not None
        self.owner_id = owner.id
        ref = ItemRef(Kind.PASSWORD, ItemId(int(scene.other)))
        expires_at = datetime.now(UTC) + timedelta(days=1)
        draft = AccessKeyDraft(scene.owner_name, "confined", expires_at=expires_at, items=frozenset({ref}))
        self.credentials = scene.server.add_key(draft)
        self.token = scene.server.token(self.credentials)
        (self.id,) = scene.sql("SELECT MAX(id) FROM access_keys")[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [("expires_at", 2**40), ("expires_at", None), ("created_at", 1), ("updated_at", 1), ("epoch", 7)],
)
def test_a_clear_column_of_an_access_key_limits_and_frees_nothing(scene: Scene, column: str, value: object) -> None:
    key = ConfinedKey(scene)
    scene.sql(f"UPDATE access_keys SET {column} = ? WHERE id = ?", value, key.id)
    assert scene.server.read(key.token, scene.victim).status_code == 400
    assert scene.listed(key.token) == [scene.other]
    scene.server.advance_clock(2 * 86_400)
    assert scene.server.read(key.token, scene.other).status_code == 401


@pytest.mark.parametrize(("column", "value"), [("owner_id", "stranger"), ("version", 2), ("bidx", b"x" * 16)])
def test_a_column_that_an_access_key_is_bound_to_cannot_be_edited(scene: Scene, column: str, value: object) -> None:
    key = ConfinedKey(scene)
    new = scene.user_id(scene.bait) if value == "stranger" else value
    scene.sql(f"UPDATE access_keys SET {column} = ? WHERE id = ?", new, key.id)
    for token, identifier in ((key.token, scene.victim), (key.token, scene.other), (key.token, scene.bait)):
        answer = scene.server.read(token, identifier)
        assert (answer.status_code, "password_entity" in answer.text) == (500, False)
    assert scene.server.read(scene.owner, scene.other).status_code == 200


def test_a_flipped_bit_in_an_access_key_is_detected_and_leaves_the_list(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    key = ConfinedKey(scene)
    (meta,) = scene.sql("SELECT meta FROM access_keys WHERE id = ?", key.id)[0]
    assert isinstance(meta, bytes)
    for bit in range(0, len(meta) * 8, 97):
        scene.sql("UPDATE access_keys SET meta = ? WHERE id = ?", flipped(meta, bit), key.id)
        assert scene.server.read(key.token, scene.other).status_code == 500
    with scene.server.client() as client:
        answer = client.get("/api/manage/access-keys", headers=authorization(scene.owner))
    assert [one["client_id"] == key.credentials[0] for one in answer.json()["access_keys"]] == [False]
    assert f"seal broken: access key {key.id}" in {record.getMessage() for record in caplog.records}
    scene.sql("UPDATE access_keys SET meta = ? WHERE id = ?", meta, key.id)
    assert scene.server.read(key.token, scene.other).status_code == 200


def test_an_older_version_of_an_access_key_does_not_revive_the_tokens_of_the_newer(scene: Scene) -> None:
    key = ConfinedKey(scene)
    columns = "version, epoch, bidx, updated_at, dek, meta, secret"
    old = scene.sql(f"SELECT {columns} FROM access_keys WHERE id = ?", key.id)[0]
    scene.server.set_addresses(key.credentials[0], ["127.0.0.0/8"])
    token = scene.server.token(key.credentials)
    assert scene.server.read(token, scene.other).status_code == 200
    settings = ", ".join(f"{name} = ?" for name in columns.split(", "))
    scene.sql(f"UPDATE access_keys SET {settings} WHERE id = ?", *old, key.id)
    assert scene.server.read(token, scene.other).status_code == 401


def test_a_token_pointed_at_another_row_of_the_index_is_refused(scene: Scene) -> None:
    first, second = scene.sql("SELECT id, bidx FROM tokens ORDER BY id")
    scene.sql("UPDATE tokens SET bidx = ? WHERE id = ?", bytes(16), second[0])
    scene.sql("UPDATE tokens SET bidx = ? WHERE id = ?", second[1], first[0])
    assert scene.server.read(scene.stranger, scene.victim).status_code == 401


def test_a_damaged_item_is_left_out_of_the_list_and_reported_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    assert scene.listed(scene.owner) == [scene.victim, scene.other]  # what they opened to is remembered now
    scene.edit_item(scene.victim, "meta", bytes(200))
    assert scene.listed(scene.owner) == [scene.other]
    events = [record for record in caplog.records if record.name == "mysafe.security"]
    assert [record.getMessage() for record in events] == [f"seal broken: password {scene.victim}"]


@pytest.mark.parametrize("column", ["dek", "meta"])
def test_a_listed_item_that_got_the_bytes_of_another_is_left_out(scene: Scene, column: str) -> None:
    assert scene.listed(scene.owner) == [scene.victim, scene.other]
    scene.edit_item(scene.victim, column, scene.item_column(scene.other, column))
    assert scene.listed(scene.owner) == [scene.other]


def test_a_memory_that_does_not_compare_the_row_would_show_a_damaged_item(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: OpenedRows, kind: str, row_id: int, row: tuple[object, ...]) -> object | None:
        known = self._opened.get((kind, row_id))
        return known[1] if known is not None else None

    monkeypatch.setattr(OpenedRows, "get", careless)
    assert scene.listed(scene.owner) == [scene.victim, scene.other]
    scene.edit_item(scene.victim, "meta", bytes(200))
    assert scene.listed(scene.owner) == [scene.victim, scene.other]


def test_an_index_of_an_identifier_code_that_is_not_the_items_own_is_detected(scene: Scene) -> None:
    scene.edit_item(scene.victim, "ident_bidx", b"x" * 16)
    assert scene.is_detected()


def test_the_parts_of_an_old_version_do_not_open_in_the_place_of_the_new_one(scene: Scene) -> None:
    with scene.server.client() as client:
        path, headers = f"/api/mysafe/password/update/{scene.victim}", authorization(scene.owner)
        assert client.put(path, json={"password": "new"}, headers=headers).status_code == 200
    for column in ("dek", "meta", "secret"):
        old = scene.sql(f"SELECT {column} FROM item_versions WHERE id = ?", int(scene.victim))[0][0]
        scene.edit_item(scene.victim, column, old)
    assert scene.is_detected()


def test_without_associated_data_a_swapped_row_would_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (aead, records):
        monkeypatch.setattr(module, "associated_data", lambda *fields: b"")
    for packer in ("_three_numbers", "_four_numbers"):
        monkeypatch.setattr(records, packer, lambda *numbers: b"")
    server = RunningServer(tmp_path)
    try:
        scene = Scene(server)
        for column in ("dek", "meta", "secret"):
            scene.edit_item(scene.victim, column, scene.item_column(scene.other, column))
        assert not scene.is_detected()
    finally:
        server.close()
