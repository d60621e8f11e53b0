# SPDX-License-Identifier: Apache-2.0
"""Sealing a running server: what is under way ends, what comes is refused, and the keys are gone from the process."""

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from mysafe import app, making, opening
from mysafe.config import Settings, load_settings
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.keyring import Keyring
from mysafe.crypto.root_key.private_file import write_private
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.domain.actions import Action
from mysafe.domain.errors import NoSpace, Sealed
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.errors import answer_to
from mysafe.server.sealing.gate import Gate
from mysafe.services import audit_trail
from mysafe.services.authentication import local_operator
from mysafe.services.keys import KeysRefused, VaultKeys
from mysafe.services.rotation import root_change
from mysafe.services.rotation.root_change import NewSlots
from mysafe.services.writes.root import RootWrites
from mysafe.storage.engine import StorageRefused
from tests.unit.crypto.root_key.scene import PASSPHRASE


class SlowApi:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on: asyncio.Event | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.calls: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.entered.set()
        assert self.go_on is not None
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def begin(self) -> None:
        self.loop, self.go_on = asyncio.get_running_loop(), asyncio.Event()
        self.calls.append("begin")

    def end(self) -> None:
        self.calls.append("end")

    async def is_fit(self) -> bool:
        return True

    def finish(self) -> None:
        assert self.loop is not None
        assert self.go_on is not None
        self.loop.call_soon_threadsafe(self.go_on.set)


class Running:
    """A gate behind a real web server."""

    def __init__(self, settings: Settings) -> None:
        self.gate = Gate(lambda method, path: answer_to(Sealed(), Compatibility()))
        self._server = app.web_server(self.gate, settings)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> httpx.Client:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"data": tmp_path / "data", "port": 0}, {}, None)


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    server = Running(settings)
    yield server
    server.close()


def test_what_is_under_way_ends_before_the_vault_is_sealed(running: Running) -> None:
    api, answers, closed = SlowApi(), list[int](), list[bool]()
    running.gate.open(api)
    with running.start() as client:
        call = threading.Thread(target=lambda: answers.append(client.get("/api").status_code))
        call.start()
        assert api.entered.wait(20)
        sealing = threading.Thread(target=lambda: closed.append(running.gate.close(20)))
        sealing.start()
        while running.gate.is_open:
            time.sleep(0.01)
        assert client.get("/api").status_code == 503
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        assert closed == [], "it waits for the call"
        api.finish()
        call.join(20)
        sealing.join(20)
    assert (answers, closed, api.calls) == ([200], [True], ["begin", "end"])


def test_a_call_that_does_not_end_does_not_keep_the_vault_open(running: Running) -> None:
    api = SlowApi()
    running.gate.open(api)
    with running.start() as client:
        call = threading.Thread(target=lambda: client.get("/api"))
        call.start()
        assert api.entered.wait(20)
        assert running.gate.close(0.05) is False
        assert client.get("/api").status_code == 503
        api.finish()
        call.join(20)


def alive(kind: type) -> int:
    return sum(isinstance(one, kind) for one in gc.get_objects())


def test_the_keys_leave_the_process_when_it_is_sealed(settings: Settings) -> None:
    making.initialise(settings)
    gc.collect()
    before = alive(VaultKeys), alive(Keyring)
    gate = app.sealed_gate(settings)
    keeper = app.custodian(settings, gate)
    keeper.start()
    gc.freeze()  # as the server does once it has started
    assert alive(VaultKeys) + gc.get_freeze_count() > before[0]
    opened = [one for one in _frozen_too() if isinstance(one, VaultKeys)]
    assert len(opened) > before[0], "the control: while it is open, the keys are found"
    del opened
    assert keeper.handle({"do": "seal"})["is_open"] is False
    assert (alive(VaultKeys), alive(Keyring)) == before
    assert keeper.handle({"do": "unseal"})["is_open"] is True
    keeper.close()


def _frozen_too() -> list[object]:
    gc.unfreeze()
    found = gc.get_objects()
    gc.freeze()
    return found


def test_what_the_socket_asks_for_is_answered_whatever_it_is(settings: Settings) -> None:
    making.initialise(settings)
    keeper = app.custodian(settings, app.sealed_gate(settings))
    keeper.start()
    questions: list[Any] = [{}, {"do": "open"}, {"do": 5}, {"do": None}, {"do": ["seal"]}]
    for question in questions:
        assert keeper.handle(question) == {"is_open": True, "error": "this server does not know what was asked for"}
    assert keeper.handle({"do": "status"}) == {"is_open": True, "error": None}
    (settings.data.parent / "data.key").unlink()
    keeper.handle({"do": "seal"})
    answer = keeper.handle({"do": "unseal"})
    assert answer["is_open"] is False
    assert "key file" in answer["error"]
    keeper.close()


def test_a_full_disk_does_not_keep_the_vault_open_and_what_happened_is_recorded_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.initialise(settings)
    keeper = app.custodian(settings, app.sealed_gate(settings))
    keeper.start()

    def refuse(self: RootWrites, action: Action, refusals: object = ()) -> None:
        raise NoSpace

    with monkeypatch.context() as patch:
        patch.setattr(RootWrites, "record_sealing", refuse)
        assert keeper.handle({"do": "seal"}) == {
            "is_open": False,
            "error": None,
            "provider": "",
            "given": 0,
            "needed": 0,
        }
    assert keeper.handle({"do": "unseal"})["is_open"] is True
    keeper.close()
    vault = opening.open_vault(settings)
    try:
        entries = vault.run(local_operator, partial(audit_trail.tail, limit=20)).result()
    finally:
        vault.close()
    assert any("was sealed, which could not be recorded: NoSpace" in entry.details.reason for entry in entries)


REASONS = [KeysRefused("x"), RootKeyRefused("x"), SealBroken(), StorageRefused("x"), OSError("x")]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
def test_nothing_that_stops_the_recording_keeps_the_vault_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    making.initialise(settings)
    keeper = app.custodian(settings, app.sealed_gate(settings))
    keeper.start()

    def refuse(self: object, action: Action, refusals: object = ()) -> None:
        raise reason

    monkeypatch.setattr(RootWrites, "record_sealing", refuse)
    answer = keeper.handle({"do": "seal"})
    assert (answer["is_open"], answer["error"]) == (False, None)
    keeper.close()


def test_a_sealed_server_opens_with_what_belongs_to_a_root_key_that_is_newer(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    write_private(file, f"{PASSPHRASE}\n".encode(), "file")
    known = load_settings(
        {"data": tmp_path / "data", "port": 0, "root_provider": "passphrase", "passphrase_file": file}, {}, None
    )
    making.initialise(known)
    keeper = app.custodian(replace(known, passphrase_file=None), app.sealed_gate(known))
    keeper.start()
    assert "wrong passphrase" in keeper.handle({"do": "unseal", "secret": "not the passphrase at all"})["error"]
    vault = opening.open_vault(known)
    try:
        provider = partial(opening.resealing_provider, known, ask=lambda what: SecretText(f"new {PASSPHRASE}"))
        wanted = NewSlots(partial(opening.slot_opener, known), provider, None, are_renewed=True, are_dropped=False)
        root_change.store(vault, root_change.prepare(vault, wanted))
    finally:
        vault.close()
    assert keeper.handle({"do": "unseal", "secret": PASSPHRASE})["is_open"] is False
    assert keeper.handle({"do": "unseal", "secret": f"new {PASSPHRASE}"})["is_open"] is True
    keeper.close()
