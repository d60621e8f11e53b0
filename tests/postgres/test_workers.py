# SPDX-License-Identifier: Apache-2.0
"""`mysafe serve --workers N`: several processes that accept from one socket, and a foreman that keeps them going."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mysafe.config import Settings
from mysafe.domain.secret_text import SecretText
from mysafe.opening import open_vault, resealing_provider, slot_opener
from mysafe.services.rotation import root_change
from mysafe.services.rotation.root_change import NewSlots
from tests.support import databases
from tests.support.children import children_of, end_all, is_alive
from tests.support.process import Installation, free_port

pytestmark = pytest.mark.postgres

WORKERS = "2"
PASSPHRASE = "correct horse battery staple"
CALLS = 30


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it does not happen"
        threading.Event().wait(0.02)


class Served:
    """An installation that several workers serve."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.installation = Installation(directory, environment={"MYSAFE_WORKERS": WORKERS, **environment})

    def start(self) -> None:
        self.installation.start()
        until(lambda: len(self.workers()) == int(WORKERS) and f"{WORKERS} workers serve" in self.log())

    def workers(self) -> set[int]:
        return children_of(self.installation.pid)

    def statuses(self) -> set[int]:
        """Return how readiness is answered on many connections, one after the other."""
        return {self.installation.call("GET", "/health/ready")[0] for _ in range(CALLS)}

    def log(self) -> str:
        return self.installation.log.read_text(encoding="utf-8")

    def close(self) -> None:
        workers = self.workers() if self.installation._process else set()
        self.installation.close()
        end_all(workers)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("served"), MYSAFE_DRAIN_SECONDS="600")
    one.start()
    yield one
    one.close()


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Served]:
    """A vault that a passphrase opens; the file with it is there only while it is made."""
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE + "\n", encoding="utf-8")
    one = Served(tmp_path, MYSAFE_ROOT_PROVIDER="passphrase", MYSAFE_PASSPHRASE_FILE=str(file))
    del one.installation.environment["MYSAFE_PASSPHRASE_FILE"]
    yield one
    one.close()


def test_a_worker_that_is_killed_is_replaced_while_the_others_serve(served: Served) -> None:
    before = served.workers()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    assert served.statuses() == {200}
    until(lambda: len(served.workers() - {victim}) == int(WORKERS))
    assert served.statuses() == {200}
    assert before - {victim} < served.workers()
    assert f"the worker {victim} ended by itself with status -9" in served.log()


def test_a_vault_is_sealed_and_opened_at_once_whatever_a_load_balancer_needs(served: Served) -> None:
    before, began = served.workers(), time.monotonic()
    assert served.installation.command("seal") == "the vault is sealed\n"
    assert served.statuses() == {503}
    assert served.installation.command("unseal") == "the vault is open\n"
    assert served.statuses() == {200}
    assert time.monotonic() - began < 25, "the workers went on serving"
    assert not before & served.workers()


def test_all_workers_see_what_one_of_them_did(served: Served) -> None:
    installation = served.installation
    installation.command("user", "add", "ana")
    token = installation.token(installation.new_key("ana"))
    for number in range(CALLS):
        body = {"name": "n", "username": "u", "password": f"{number}"}
        assert installation.call("POST", "/api/mysafe/password", body, token)[0] == 201
        _, answer = installation.call("GET", "/api/mysafe/password", None, token)
        lines = answer["password_on_list"]
        assert isinstance(lines, list)
        assert len(lines) == number + 1


def test_one_worker_leads_and_no_line_of_the_log_is_torn(served: Served) -> None:
    until(lambda: "this process leads" in served.log())
    lines = [json.loads(line) for line in served.log().splitlines()]
    assert len(lines) > 3 * int(WORKERS)
    assert all(line.keys() >= {"at", "level", "logger", "message"} for line in lines)


def test_a_passphrase_is_asked_for_once_and_outlives_a_worker(sealed: Served) -> None:
    sealed.start()
    assert sealed.statuses() == {503}
    status, _, err = sealed.installation.attempt("unseal", stdin="another passphrase\n")
    assert (status, "wrong passphrase" in err) == (1, True)
    assert sealed.installation.command("unseal", stdin=f"{PASSPHRASE}\n") == "the vault is open\n"
    assert sealed.statuses() == {200}
    victims = sealed.workers()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    until(lambda: len(sealed.workers() - victims) == int(WORKERS))
    assert sealed.statuses() == {200}

    assert sealed.installation.command("seal") == "the vault is sealed\n"
    assert sealed.statuses() == {503}
    assert sealed.installation.stop() == 0
    assert not (sealed.installation.data / "control.sock").exists()
    assert PASSPHRASE not in sealed.log()
    with databases.beside(sealed.installation.settings) as database:
        ((count,),) = database.execute("SELECT count(*) FROM audit WHERE action LIKE 'vault.%seal'")
    assert count == 3  # what was refused, the opening and the closing, each once


def change_passphrase(known: Settings, file: Path) -> None:
    """Change the root key, and the passphrase that opens its slot."""
    settings = replace(known, root_provider="passphrase", passphrase_file=file)
    vault = open_vault(settings)
    try:
        provider = partial(resealing_provider, settings, ask=lambda what: SecretText(f"new {PASSPHRASE}"))
        wanted = NewSlots(partial(slot_opener, settings), provider, None, are_renewed=True, are_dropped=False)
        root_change.store(vault, root_change.prepare(vault, wanted))
    finally:
        vault.close()


def test_a_vault_is_sealed_also_after_its_root_key_was_changed(sealed: Served, tmp_path: Path) -> None:
    sealed.start()
    assert sealed.installation.command("unseal", stdin=f"{PASSPHRASE}\n") == "the vault is open\n"
    change_passphrase(sealed.installation.settings, tmp_path / "passphrase")
    assert sealed.installation.command("seal") == "the vault is sealed\n"
    assert sealed.statuses() == {503}
    assert sealed.installation.attempt("unseal", stdin=f"{PASSPHRASE}\n")[0] == 1
    assert sealed.installation.command("unseal", stdin=f"new {PASSPHRASE}\n") == "the vault is open\n"
    assert sealed.statuses() == {200}
    with databases.beside(sealed.installation.settings) as database:
        ((count,),) = database.execute("SELECT count(*) FROM audit WHERE action LIKE 'vault.%seal'")
    assert count == 4  # both openings, what was refused, and the sealing that could not be recorded when it happened


def test_a_log_that_was_changed_is_named_to_whoever_unseals_and_the_vault_stays_sealed(
    sealed: Served, tmp_path: Path
) -> None:
    sealed.installation.environment["MYSAFE_AUDIT_CHECKPOINT_FILE"] = str(tmp_path / "checkpoints")
    sealed.start()
    assert sealed.installation.command("unseal", stdin=f"{PASSPHRASE}\n") == "the vault is open\n"
    assert sealed.installation.stop() == 0  # which signs the tree
    with databases.beside(sealed.installation.settings) as database:
        database.execute("UPDATE audit SET at_ms = 1 WHERE id = 1")
    sealed.start()
    for _ in range(2):
        status, _, err = sealed.installation.attempt("unseal", stdin=f"{PASSPHRASE}\n")
        assert (status, "rollback or fork detected" in err) == (1, True), err
    assert sealed.statuses() == {503}
    assert sealed.installation.stop() == 0


def test_the_server_ends_with_all_its_workers(tmp_path: Path) -> None:
    one = Served(tmp_path)
    one.start()
    workers = one.workers()
    os.kill(one.installation.pid, signal.SIGTERM)
    try:
        assert one.installation.wait() == 0
        assert not any(map(is_alive, workers))
        assert "Traceback" not in one.log()
    finally:
        one.close()
        end_all(workers)


def test_workers_end_when_the_foreman_was_killed(tmp_path: Path) -> None:
    one = Served(tmp_path)
    one.start()
    workers = one.workers()
    one.installation.kill()
    try:
        until(lambda: not any(map(is_alive, workers)))
    finally:
        end_all(workers)


def copies_in(pid: int, secret: bytes) -> int:
    """Return how often a secret is found in what a process may write to."""
    count = 0
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for place, mode, *_ in (line.split() for line in maps.splitlines()):
            if mode.startswith("rw"):
                start, end = (int(one, 16) for one in place.split("-"))
                memory.seek(start)
                count += memory.read(end - start).count(secret)
    return count


def root_key_of(served: Served) -> bytes:
    vault = open_vault(served.installation.settings)
    try:
        return vault.keychain.handed("key-file").unwrap(b"", b"")
    finally:
        vault.close()


def test_a_worker_of_a_sealed_vault_does_not_have_the_root_key(served: Served) -> None:
    key, before = root_key_of(served), served.workers()
    assert all(copies_in(pid, key) for pid in before), "the control: while the vault is open, the key is found"
    served.installation.command("seal")
    try:
        assert served.statuses() == {503}
        assert not before & served.workers()
        assert [copies_in(pid, key) for pid in served.workers()] == [0] * int(WORKERS)
        victim = min(served.workers())
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(served.workers() - {victim}) == int(WORKERS))
        assert served.statuses() == {503}
        assert [copies_in(pid, key) for pid in served.workers()] == [0] * int(WORKERS)
    finally:
        served.installation.command("unseal")


def refusal(installation: Installation, port: int) -> str:
    """Return what a server says that does not start: one sentence."""
    status, _, err = installation.attempt("serve", "--port", str(port), "--workers", WORKERS)
    assert status == 1
    (sentence,) = (line for line in err.splitlines() if not line.startswith("{"))
    return sentence


def test_a_server_that_cannot_start_says_why_once(tmp_path: Path, served: Served) -> None:
    installation = Installation(tmp_path)
    taken = served.installation.port
    assert f"port {taken}: Address already in use" in refusal(installation, taken)
    key = installation.data.with_name("data.key")
    content = key.read_bytes()
    key.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert "does not open this vault" in refusal(installation, free_port())


def test_a_vault_on_sqlite_has_one_process(tmp_path: Path) -> None:
    installation = Installation(tmp_path, is_on_sqlite=True)
    assert "a SQLite vault is served by one process: set workers to 1" in refusal(installation, free_port())
