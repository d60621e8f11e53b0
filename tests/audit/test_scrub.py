# SPDX-License-Identifier: Apache-2.0
"""The scrub finds what was done to records beside the server: put back, removed, put there, altered.

The control is an untouched vault in which everything that can be done was done, and must be green.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mysafe.services.audit_tree import scrubbing
from mysafe.services.rotation import epochs
from tests.support.databases import beside
from tests.support.server import RunningServer, authorization

COLUMNS = "kind, id, owner_id, version, epoch, created_at, updated_at, ident_bidx, dek, meta, secret"


class Records:
    """A vault with items that were changed, erased, shared and read, and SQL beside it."""

    def __init__(self, directory: Path) -> None:
        self.server = RunningServer(directory)
        self.token = self.server.new_token(self.server.new_actor())
        self.items = [self._create() for _ in range(3)]
        self.first = self.row(self.items[0])
        for identifier in self.items:
            self._update(identifier)

    def _create(self) -> str:
        return self.server.create(self.token, "password", {"name": "n", "username": "u", "password": "p"})

    def _update(self, identifier: str) -> None:
        with self.server.client() as client:
            path, headers = f"/api/mysafe/password/update/{identifier}", authorization(self.token)
            assert client.put(path, json={"password": "new"}, headers=headers).status_code == 200
        assert self.server.read(self.token, identifier).status_code == 200

    def erase(self, identifier: str) -> None:
        self.server.deactivate(self.token, "password", identifier)
        with self.server.client() as client:
            path = f"/api/manage/items/password/{identifier}/erase"
            assert client.post(path, headers=authorization(self.token)).status_code == 200

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with beside(self.server.settings) as connection:
            return connection.execute(statement, values)

    def row(self, identifier: str) -> tuple[object, ...]:
        return self.sql(f"SELECT {COLUMNS} FROM items WHERE id = ?", int(identifier))[0]

    def put(self, row: tuple[object, ...]) -> None:
        self.sql("DELETE FROM items WHERE id = ?", row[1])
        self.sql(f"INSERT INTO items ({COLUMNS}) VALUES ({', '.join('?' * len(row))})", *row)

    def faults(self) -> tuple[str, ...]:
        return scrubbing.scrub(self.server.vault).faults


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path)
    yield made
    made.server.close()


def test_a_vault_that_was_only_used_is_green(records: Records) -> None:
    records.server.ensure_group("Team", [])
    records.erase(records.items[2])
    epochs.rotate(records.server.vault, lambda progress: None, wait_seconds=5)
    found = scrubbing.scrub(records.server.vault)
    assert (found.faults, found.fault_count) == ((), 0)
    assert found.records > 20


def _put_back(records: Records) -> None:
    records.put(records.first)


def _put_back_after_erasing(records: Records) -> None:
    records.server.deactivate(records.token, "password", records.items[0])
    row = records.row(records.items[0])
    records.erase(records.items[0])
    records.put(row)


def _remove(records: Records) -> None:
    records.sql("DELETE FROM items WHERE id = ?", int(records.items[0]))


def _remove_user(records: Records) -> None:
    records.sql("DELETE FROM users")


def _put_there(records: Records) -> None:
    kind, _, *others = records.row(records.items[0])
    records.put((kind, 9999, *others))


def _alter(records: Records) -> None:
    records.sql("UPDATE items SET secret = ? WHERE id = ?", bytes(200), int(records.items[0]))


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (_put_back, "password {item} has version 1, and had 2: it was put back"),
        (_put_back_after_erasing, "password {item} was erased, and is there again"),
        (_remove, "password {item} is gone: it had version 2"),
        (_remove_user, "users 1 is gone: it had version 1"),
        (_put_there, "password 9999 is not in the audit log: it was put there"),
        (_alter, "items password {item} does not open"),
    ],
)
def test_what_was_done_to_a_record_beside_the_server_is_named(
    do: Callable[[Records], None], words: str, records: Records
) -> None:
    assert records.faults() == ()
    do(records)
    assert records.faults()[0] == words.format(item=records.items[0])
    assert not any("missing" in fault for fault in records.faults())
    assert scrubbing.scrub(records.server.vault).fault_count == len(records.faults())


def test_a_keyring_that_was_put_back_is_named(records: Records) -> None:
    before = records.sql("SELECT version, active_epoch, sealed, created_at FROM keyring")
    epochs.rotate(records.server.vault, lambda progress: None, wait_seconds=5)
    records.sql("DELETE FROM keyring")
    records.sql("INSERT INTO keyring (version, active_epoch, sealed, created_at) VALUES (?, ?, ?, ?)", *before[0])
    assert any(fault.startswith("the keyring has version 1, and had 4") for fault in records.faults())


@pytest.mark.sqlite("PostgreSQL takes no text that is none")
def test_a_text_that_is_none_is_found_and_breaks_nothing(records: Records) -> None:
    records.sql("UPDATE audit SET node = CAST(x'ff' AS TEXT) WHERE id = 5")
    assert records.faults() == ("a text of the database is no UTF-8: what is in it cannot be compared",)


def test_a_scrub_that_does_not_compare_misses_an_item_that_was_put_back_after_it_was_erased(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_back_after_erasing(records)
    assert len(records.faults()) == 1
    monkeypatch.setattr(scrubbing, "_differences", lambda tx, recorded: iter(()))
    assert records.faults() == ()
