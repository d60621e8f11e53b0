# SPDX-License-Identifier: Apache-2.0
"""T-ROTATE: keys rotate while clients create, read and update. No request fails, and afterwards everything opens.

ROTATED (environment, default 500) says how many items there are. The controls replace without comparing, and follow no
keyring; both must be found out.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, update

from mysafe import opening
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.records import RecordAddress
from mysafe.services.rotation import epochs
from mysafe.services.rotation.epochs import Progress
from mysafe.services.vault import Vault
from mysafe.storage import schema
from mysafe.storage.rotation.wrapped_keys import ALL_WRAPPED, WrappedKey
from mysafe.storage.statements import compile_statement
from tests.support.load import Load
from tests.support.process import COMMAND, Installation, exchange
from tests.support.server import RunningServer, authorization

ROTATED = int(os.environ.get("ROTATED", "500"))
RATE = 50.0
KILLS_BY_CHANCE = 4
MOST_STATUSES = 60
ITEM = {"name": "n", "username": "u", "password": "before"}


class Run:
    """A served installation with items, and what their secrets are."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        installation.command("user", "add", "owner")
        installation.command("group", "add", "Team", "--member", "owner")
        self.key = installation.new_key("owner")
        installation.start()
        self.token = installation.token(self.key)
        self.contents: dict[str, str] = {}
        fillers = [threading.Thread(target=self._fill, args=(ROTATED // 4,)) for _ in range(4)]
        for filler in fillers:
            filler.start()
        for filler in fillers:
            filler.join()
        assert len(self.contents) >= ROTATED // 4 * 4

    def load(self) -> Load:
        return Load(self.installation.port, self.token, self.contents, RATE)

    def _fill(self, count: int) -> None:
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=20)
        for _ in range(count):
            _, answer = exchange(connection, "POST", "/api/mysafe/password", ITEM, self.token)
            entity = answer["password_entity"]
            assert isinstance(entity, dict)
            self.contents[str(entity["identifier"])] = "before"
        connection.close()

    def epochs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.installation.command("keys", "--json").splitlines()]

    def wrong_reads(self) -> list[str]:
        """Read every item and return those whose secret is not the acknowledged one."""
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=20)
        wrong = []
        for identifier, secret in self.contents.items():
            status, answer = exchange(connection, "GET", f"/api/mysafe/password/{identifier}", None, self.token)
            entity = answer.get("password_entity")
            if status != 200 or not isinstance(entity, dict) or entity["password"] != secret:
                wrong.append(f"{identifier}: {status}")
        connection.close()
        return wrong

    def keys_that_do_not_open(self) -> list[WrappedKey]:
        vault = opening.open_vault(self.installation.settings)
        try:
            return unopened(vault)
        finally:
            vault.close()


def unopened(vault: Vault) -> list[WrappedKey]:
    """Return every wrapped data key of all tables that the keyring does not open."""
    wrong, cipher = [], vault.keys.cipher
    for keys in ALL_WRAPPED:
        last: WrappedKey | None = None
        while found := vault.engine.look(partial(keys.others, epoch=0, after=last)).result():
            last = found[-1]
            for one in found:
                try:
                    cipher.rewrap(RecordAddress(keys.sealed_as, one.kind, one.id, 0, one.version), one.dek)
                except SealBroken:
                    wrong.append(one)
    return wrong


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    installation = Installation(tmp_path)
    try:
        yield Run(installation)
    finally:
        installation.close()


def check_that_only_one_epoch_is_left(run: Run) -> None:
    assert run.wrong_reads() == []
    assert run.keys_that_do_not_open() == []
    *gone, last = run.epochs()
    assert gone
    assert {epoch["state"] for epoch in gone} == {"destroyed"}
    assert [epoch["rows"] for epoch in gone] == [{}] * len(gone)
    assert last["state"] == "active"
    assert last["rows"]["items"] == len(run.contents)
    assert last["rows"].keys() == {"items", "item_versions", "users", "groups", "access_keys", "tokens"}


@pytest.mark.timeout(900)
def test_keys_rotate_under_load_and_no_request_fails(run: Run) -> None:
    load = run.load()
    load.start()
    for _ in range(2):
        run.installation.command("rotate-keys")
    run.installation.command("rotate-keys", "--root")
    run.installation.command("rotate-keys")
    load.stop()
    assert load.failures == []
    assert load.done >= RATE
    check_that_only_one_epoch_is_left(run)
    run.installation.stop()
    run.installation.start()
    assert run.wrong_reads() == []


@pytest.mark.timeout(900)
def test_a_rotation_that_is_killed_goes_on_from_there_and_no_request_fails(run: Run) -> None:
    load = run.load()
    load.start()
    kills = sum(killed_before(run, 2) for _ in range(3 + len(ALL_WRAPPED)))  # each gets one transaction further
    assert kills >= len(ALL_WRAPPED)
    for _ in range(KILLS_BY_CHANCE):
        kills += killed_after(run, random.uniform(0.2, 2.0))  # when, not what
        run.epochs()
    run.installation.command("rotate-keys")
    load.stop()
    assert load.failures == []
    assert kills >= 10
    check_that_only_one_epoch_is_left(run)


def killed_before(run: Run, number: int) -> bool:
    """Run the command, to be killed before one of its transactions; return whether it came to that."""
    command = [sys.executable, "-m", "tests.support.dying_rotation", str(number)]
    done = subprocess.run(command, env=run.installation.variables(), capture_output=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


def killed_after(run: Run, seconds: float) -> bool:
    """Run the command and kill it after a while; return whether it still ran."""
    with subprocess.Popen([*COMMAND, "rotate-keys"], env=run.installation.variables()) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait() != 0


# -- user writes win ---------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path)
    yield running
    running.close()


def rotate_beside(server: RunningServer) -> None:
    vault = opening.open_vault(server.settings)
    try:
        epochs.rotate(vault, lambda progress: None)
    finally:
        vault.close()


def read_after_a_write_in_between(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[WrappedKey]]:
    """Update an item after the rotation has read it and before it writes; return how it is read then."""
    token = server.new_token(server.new_actor())
    item = server.create(token, "password", ITEM)
    real, is_written = epochs.patiently, False

    def write_first(vault: Vault, work: Any) -> Any:
        nonlocal is_written
        if getattr(work, "func", None) is epochs._store and not is_written:
            is_written = True
            with server.client() as client:
                path = f"/api/mysafe/password/update/{item}"
                body = {**ITEM, "password": "meanwhile"}
                assert client.put(path, json=body, headers=authorization(token)).status_code == 200
        return real(vault, work)

    monkeypatch.setattr(epochs, "patiently", write_first)
    rotate_beside(server)
    assert is_written
    server.engine.engine.look(server.vault.keychain.load).result()
    answer = server.read(token, item)
    return answer.status_code, unopened(server.vault)


def test_a_write_that_comes_between_wins(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_after_a_write_in_between(server, monkeypatch) == (200, [])


def test_a_rotation_that_does_not_compare_loses_the_write_and_is_found_out(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = schema.items.c
    blind = (
        update(schema.items)
        .where(columns.kind == bindparam("of_kind"), columns.id == bindparam("of_id"))
        .values(epoch=bindparam("new_epoch"), dek=bindparam("new_dek"))
    )
    statement = compile_statement(blind, ("new_epoch", "new_dek", "of_kind", "of_id"), changes_remembered=True)

    def replace(tx: Any, found: WrappedKey, epoch: int, dek: bytes) -> bool:
        return bool(tx.execute(statement, epoch, dek, found.kind, found.id))

    monkeypatch.setattr(ALL_WRAPPED[0], "replace", replace)
    status, broken = read_after_a_write_in_between(server, monkeypatch)
    assert status == 500
    assert len(broken) == 1


# -- a process follows the keyring -------------------------------------------------------------------------------------


def statuses_while_it_rotates(server: RunningServer) -> set[int]:
    """Read and create at each step of two rotations by another process; return all statuses."""
    token = server.new_token(server.new_actor())
    item = server.create(token, "password", ITEM)
    statuses: list[int] = []

    def call(progress: Progress) -> None:
        if len(statuses) > MOST_STATUSES:
            return  # a process that writes under the old key at each step would keep a rotation busy for ever
        with server.client() as client:
            made = client.post("/api/mysafe/password", json=ITEM, headers=authorization(token))
        statuses.extend((made.status_code, server.read(token, item).status_code))

    vault = opening.open_vault(server.settings)
    try:
        for _ in range(2):
            epochs.rotate(vault, call)
    finally:
        vault.close()
    statuses, during = [], statuses
    call(Progress("afterwards"))
    return {*during, *statuses}


def test_a_process_without_a_pulse_follows_the_keyring_from_call_to_call(server: RunningServer) -> None:
    assert statuses_while_it_rotates(server) == {200, 201}
    server.engine.engine.look(server.vault.keychain.load).result()
    assert unopened(server.vault) == []


def test_a_process_that_keeps_its_keys_is_found_out(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    keychain = server.vault.keychain
    monkeypatch.setattr(keychain, "keys_in", lambda tx: keychain.current)
    assert 500 in statuses_while_it_rotates(server)
