# SPDX-License-Identifier: Apache-2.0
"""Versions, erasure and transfer of files: the content goes with its item (R-ITEM-06, R-ITEM-08, R-FILE-04)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mysafe import opening
from mysafe.services.files.collector import collect
from mysafe.storage.blobs.rows import BlobRows
from tests.contract.api.manage.scene import Person, Scene
from tests.contract.api.manage.test_transfers import Leaving
from tests.support.file_client import FILES, download, upload
from tests.support.server import RunningServer, authorization


def blobs(scene: Scene) -> set[Path]:
    return {path for path in (scene.server.settings.data / "blobs").rglob("*") if path.is_file()}


def replace(person: Person, identifier: str, content: bytes, file_name: str) -> None:
    with person.server.client() as client:
        answer = client.post(
            f"{FILES}/update/{identifier}",
            headers=authorization(person.token),
            files={"file": (file_name, content)},
        )
    assert answer.status_code == 200, answer.text


def test_a_restored_version_of_a_file_brings_its_content_back(scene: Scene) -> None:
    person = scene.person()
    identifier = upload(scene.server, person.token, b"first content", file_name="first.txt")
    replace(person, identifier, b"second", "second.txt")
    newest, oldest = person.versions("file", identifier)
    assert set(newest["changed"]) == {"file_name", "media_type", "size", "content"}
    assert oldest["version"] == 1
    answer = person.ask("POST", f"/items/file/{identifier}/versions/1/restore")
    assert answer.status_code == 200, answer.text
    assert download(scene.server, person.token, identifier).content == b"first content"
    found = person.entity("file", identifier)
    assert (found["file_name"], found["size"]) == ("first.txt", len(b"first content"))


def test_the_contents_of_an_erased_file_are_collected_and_those_of_others_stay(scene: Scene) -> None:
    person, server = scene.person(), scene.server
    before = blobs(scene)
    kept = upload(server, person.token, b"of another file")
    identifier = upload(server, person.token, b"first")
    replace(person, identifier, b"second", "b.txt")
    assert len(blobs(scene) - before) == 3
    person.switch("file", "inactive", identifier)
    assert collect(server.vault, opening.file_shelf(server.vault, server.settings), age_seconds=-1) == 0
    assert person.ask("POST", f"/items/file/{identifier}/erase").status_code == 200
    assert collect(server.vault, opening.file_shelf(server.vault, server.settings), age_seconds=-1) == 2
    assert len(blobs(scene) - before) == 1
    assert download(server, person.token, kept).content == b"of another file"
    assert download(server, person.token, identifier).status_code == 400


def test_a_file_that_changes_hands_counts_for_its_new_owner(scene: Scene) -> None:
    leaving = Leaving(scene)
    server = leaving.scene.server
    identifier = upload(server, leaving.leaver.token, b"of a leaver")

    def stored(name: str) -> int:
        def usage(uow: object) -> int:
            user = uow.principals.user_by_name(name)  # type: ignore[attr-defined]
            return int(uow.registry.blobs.usage(user.id).owner_bytes)  # type: ignore[attr-defined]

        return server.operate(usage)

    assert (stored(leaving.leaver.name) > 0, stored(leaving.heir.name)) == (True, 0)
    number = leaving.requested()
    assert leaving.approve(number).status_code == 200
    assert download(server, leaving.heir.token, identifier).content == b"of a leaver"
    assert (stored(leaving.leaver.name), stored(leaving.heir.name) > 0) == (0, True)


@pytest.fixture
def kept_a_day(tmp_path: Path) -> Iterator[Scene]:
    """A server that keeps replaced versions for a day."""
    running = RunningServer(tmp_path, items_versions_kept_days=1)
    with running.client() as client:
        yield Scene(running, client)
    running.close()


def rename(person: Person, identifier: str, name: str) -> None:
    """Make a new version with the same content."""
    assert person.update("file", identifier, {"name": name}).status_code == 200


def later(scene: Scene, person: Person) -> int:
    """Let two days pass, and a token; change what is changed by the caller then."""
    scene.server.advance_clock(2 * 86_400)
    person.token = scene.server.new_token(person.name)
    return len(blobs(scene))


def collected(scene: Scene) -> int:
    server = scene.server
    return collect(server.vault, opening.file_shelf(server.vault, server.settings), age_seconds=-1)


def test_contents_that_only_removed_versions_had_are_removed_with_them(kept_a_day: Scene) -> None:
    person = kept_a_day.person()
    identifier = upload(kept_a_day.server, person.token, b"first")
    replace(person, identifier, b"second", "b.txt")
    rename(person, identifier, "another name")
    assert (collected(kept_a_day), later(kept_a_day, person)) == (0, 2)
    rename(person, identifier, "a third name")
    # Versions 1 and 2 were replaced two days ago; 3 has just been, and has the second content, as 4 has.
    assert [one["version"] for one in person.versions("file", identifier)] == [4, 3]
    assert collected(kept_a_day) == 1
    assert download(kept_a_day.server, person.token, identifier).content == b"second"
    later(kept_a_day, person)
    rename(person, identifier, "a fourth name")
    assert collected(kept_a_day) == 0
    assert download(kept_a_day.server, person.token, identifier).content == b"second"


def test_a_content_that_was_brought_back_stays_when_the_version_it_came_from_goes(kept_a_day: Scene) -> None:
    person = kept_a_day.person()
    identifier = upload(kept_a_day.server, person.token, b"first")
    replace(person, identifier, b"second", "b.txt")
    assert person.ask("POST", f"/items/file/{identifier}/versions/1/restore").status_code == 200
    later(kept_a_day, person)
    rename(person, identifier, "another name")
    assert [one["version"] for one in person.versions("file", identifier)] == [4, 3]
    assert collected(kept_a_day) == 1  # the second content
    assert download(kept_a_day.server, person.token, identifier).content == b"first"


def test_without_a_note_of_who_has_it_a_content_in_use_would_be_lost(
    kept_a_day: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlobRows, "hold", lambda *arguments: None)
    person = kept_a_day.person()
    identifier = upload(kept_a_day.server, person.token, b"first")
    rename(person, identifier, "another name")
    later(kept_a_day, person)
    rename(person, identifier, "a third name")
    assert collected(kept_a_day) == 1
    assert download(kept_a_day.server, person.token, identifier).status_code == 500


def test_a_content_that_changed_hands_outlives_the_versions_of_its_former_owner(kept_a_day: Scene) -> None:
    leaving = Leaving(kept_a_day)
    identifier = upload(kept_a_day.server, leaving.leaver.token, b"of a leaver")
    assert leaving.approve(leaving.requested()).status_code == 200
    later(kept_a_day, leaving.heir)
    replace(leaving.heir, identifier, b"second", "b.txt")
    assert [one["version"] for one in leaving.heir.versions("file", identifier)] == [3, 2]
    assert collected(kept_a_day) == 0
    assert leaving.heir.ask("POST", f"/items/file/{identifier}/versions/2/restore").status_code == 200
    assert download(kept_a_day.server, leaving.heir.token, identifier).content == b"of a leaver"
