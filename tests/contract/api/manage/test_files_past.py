# SPDX-License-Identifier: Apache-2.0
"""Versions, erasure and transfer of files: the content goes with its item (R-ITEM-06, R-ITEM-08, R-FILE-04)."""

from pathlib import Path

from mysafe import opening
from mysafe.services.files.collector import collect
from tests.contract.api.manage.scene import Person, Scene
from tests.contract.api.manage.test_transfers import Leaving
from tests.support.file_client import FILES, download, upload
from tests.support.server import authorization


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
