# SPDX-License-Identifier: Apache-2.0
"""An item is erased for good by its owner: no byte of it stays in the database (R-ITEM-02, R-ITEM-08)."""

from pathlib import Path

import pytest

from mysafe import opening
from mysafe.domain.actions import Action
from mysafe.services.accounts import users
from mysafe.services.authentication import local_operator
from tests.contract.api.manage.scene import API_SECRET, NOTE, PASSWORD, Person, Scene, database
from tests.contract.api.manage.test_history import code
from tests.support.server import RunningServer

DAY = 86_400


def sealed_parts(server: RunningServer, identifier: str) -> list[bytes]:
    """Return all sealed bytes of a note, old versions included."""
    with database(server) as connection:
        return [
            bytes(part)
            for table in ("items", "item_versions")
            for row in connection.execute(f"SELECT dek, meta, secret FROM {table} WHERE id = ?", (int(identifier),))
            for part in row
        ]


def found_in_files(server: RunningServer, parts: list[bytes]) -> int:
    """Return how many of these are in the database file or its journal."""
    content = b"".join((server.settings.data / name).read_bytes() for name in ("vault.db", "vault.db-wal"))
    # A long part lies on several pages; its beginning is enough, and its end as well.
    return sum(part[:40] in content or part[-40:] in content for part in parts)


def inactive_note(owner: Person) -> str:
    """Return a note of five versions that fills pages of its own."""
    identifier = owner.create("note", {**NOTE, "note": "x" * 900})
    for number in range(3):
        owner.update("note", identifier, {"note": f"{number}" * 900})
    owner.switch("note", "inactive", identifier)
    return identifier


@pytest.mark.sqlite("it searches the files of the database")
@pytest.mark.parametrize("way", ["erase", "control: nothing", "control: a deletion that overwrites nothing"])
def test_no_sealed_byte_of_an_erased_item_is_in_the_files(fresh_scene: Scene, way: str) -> None:
    server, owner = fresh_scene.server, fresh_scene.person()
    identifier = inactive_note(owner)
    parts = sealed_parts(server, identifier)
    assert len(parts) == 5 * 3
    assert found_in_files(server, parts) == len(parts)
    if way == "erase":
        answer = owner.ask("POST", f"/items/note/{identifier}/erase")
        assert answer.json() == {"kind": "note", "identifier": identifier, "versions": 5}
        assert found_in_files(server, parts) == 0
        return
    with database(server) as connection:
        if "deletion" in way:
            connection.execute("PRAGMA secure_delete = OFF")
            for table in ("items", "item_versions"):
                connection.execute(f"DELETE FROM {table} WHERE id = ?", (int(identifier),))
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
    assert found_in_files(server, parts) > 0


@pytest.mark.sqlite("it searches the files of the database")
def test_while_somebody_reads_an_older_state_the_bytes_stay_and_go_with_a_later_commit(fresh_scene: Scene) -> None:
    server, owner = fresh_scene.server, fresh_scene.person()
    identifier = inactive_note(owner)
    parts = sealed_parts(server, identifier)
    with database(server) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items")
        assert owner.ask("POST", f"/items/note/{identifier}/erase").status_code == 200
        assert found_in_files(server, parts) > 0
        reader.execute("COMMIT")
    assert owner.read("note", identifier).status_code == 400  # it is recorded, so there is a commit
    assert found_in_files(server, parts) == 0


def test_an_erased_item_is_gone_for_everybody_and_its_index_with_it(scene: Scene) -> None:
    owner, friend = scene.person(), scene.person()
    identifier = owner.create("password", {**PASSWORD, "users_allowed": [{"username": friend.name}]})
    owner.update("password", identifier, {"password": "new"})
    owner.switch("password", "inactive", identifier)
    count = "SELECT count(*) FROM grants_idx WHERE kind = 'password' AND item_id = ?"
    with database(scene.server) as connection:
        assert connection.execute(count, (int(identifier),)) == [(1,)]
        answer = owner.ask("POST", f"/items/password/{identifier}/erase")
        assert answer.status_code == 200
        assert connection.execute(count, (int(identifier),)) == [(0,)]
    for person in (owner, friend):
        assert "1005" in person.read("password", identifier).text
        assert code(person.ask("GET", f"/items/password/{identifier}/versions/1")) == (404, "not_found")
    assert code(owner.ask("POST", f"/items/password/{identifier}/erase")) == (404, "not_found")
    (entry,) = scene.entries(answer)
    assert (entry.action, entry.result, entry.new_version) == (Action.ITEM_ERASE, "allowed", 3)
    assert (entry.record_kind, entry.record_id, len(entry.envelope_sha256)) == ("password", int(identifier), 32)


def test_the_other_items_stay_whole(scene: Scene) -> None:
    owner = scene.person()
    erased, other = owner.create("note", NOTE), owner.create("note", {**NOTE, "note": "other"})
    same_number = owner.create("password", PASSWORD)
    while int(same_number) < int(erased):
        same_number = owner.create("password", PASSWORD)
    owner.update("note", other, {"note": "newer"})
    owner.switch("note", "inactive", erased)
    assert owner.ask("POST", f"/items/note/{erased}/erase").status_code == 200
    assert owner.entity("note", other)["note"] == "newer"
    assert [one["version"] for one in owner.versions("note", other)] == [2, 1]
    assert owner.entity("password", same_number)["password"] == "old secret"


def test_an_active_item_is_not_erased(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("note", NOTE)
    answer = owner.ask("POST", f"/items/note/{identifier}/erase")
    assert code(answer) == (409, "wrong_state")
    (entry,) = scene.entries(answer)
    assert (entry.action, entry.result) == (Action.ITEM_ERASE, "conflict")
    assert owner.entity("note", identifier)["note"] == "old content"


def test_an_erased_identifier_code_is_free_again(scene: Scene) -> None:
    owner = scene.person()
    identifier = owner.create("secretapi", API_SECRET)
    owner.switch("secretapi", "inactive", identifier)
    assert owner.ask("POST", f"/items/secretapi/{identifier}/erase").status_code == 200
    assert int(owner.create("secretapi", API_SECRET)) > int(identifier)


def test_an_item_must_have_been_inactive_and_unchanged_for_as_long_as_is_set(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, items_erase_after_days=30)
    try:
        with server.client() as client:
            scene = Scene(server, client)
            name = server.new_actor()
            owner = scene.of(name)
            identifier = owner.create("note", NOTE)
            server.advance_clock(31 * DAY)
            owner = scene.of(name)
            owner.switch("note", "inactive", identifier)
            path = f"/items/note/{identifier}/erase"
            assert code(owner.ask("POST", path)) == (409, "wrong_state")  # its age does not count
            server.advance_clock(20 * DAY)
            owner = scene.of(name)
            owner.update("note", identifier, {"note": "changed while inactive"})
            server.advance_clock(29 * DAY)
            owner = scene.of(name)
            assert code(owner.ask("POST", path)) == (409, "wrong_state")
            server.advance_clock(DAY + 60)
            assert scene.of(name).ask("POST", path).status_code == 200
    finally:
        server.close()


def test_the_number_of_an_erased_item_is_never_given_again(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    try:
        with server.client() as client:
            owner = Scene(server, client).person()
            identifier = owner.create("note", NOTE)
            owner.switch("note", "inactive", identifier)
            assert owner.ask("POST", f"/items/note/{identifier}/erase").status_code == 200
            assert int(owner.create("note", NOTE)) > int(identifier)
            last = owner.create("note", NOTE)
            owner.switch("note", "inactive", last)
            assert owner.ask("POST", f"/items/note/{last}/erase").status_code == 200
    finally:
        server.close()
    vault = opening.open_vault(server.settings)  # a restart does not forget it
    try:
        assert vault.engine.submit(lambda tx: tx.next_id("note")).result(timeout=20) > int(last)
        vault.run(local_operator, lambda uow: users.set_active(uow, owner.name, is_active=False)).result(timeout=20)
    finally:
        vault.close()
