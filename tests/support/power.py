# SPDX-License-Identifier: Apache-2.0
"""T-POWER: record a server at work, cut the power at random, start from what is left, and judge it."""

import random
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw

from mysafe import app, opening
from mysafe.config import Settings
from mysafe.crypto.aead import SealBroken
from mysafe.domain.errors import VaultError
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.domain.items import ListFilter, PasswordSecret
from mysafe.domain.secret_text import SecretText
from mysafe.services import items
from mysafe.services.authentication import Caller, bearer
from mysafe.services.files import downloads
from mysafe.services.files.collector import Collector
from mysafe.services.files.shelf import Shelf
from mysafe.services.vault import Identify, Vault
from tests.support.disk import Disk, Mode
from tests.support.file_client import stored_files
from tests.support.process import Installation
from tests.support.syscalls import Call, read_record, recording
from tests.support.writers import WRITERS, History, Writers, content_of, notes_of

_MARK = re.compile(rb"mark-\d+-\d+;")
_DAMAGE: tuple[type[Exception], ...] = (apsw.Error, SealBroken, VaultError, *app.REFUSALS)
_KINDS = {"password": Kind.PASSWORD, "file": Kind.FILE}
_PATIENCE_SECONDS = 60

SERVE = [sys.executable, "-m", "tests.support.recorded_server"]

PER_MOMENT = 4
"""As many states are made of one moment: one in each mode."""


class Place:
    """An installation, and tokens that stay good whenever the power is cut."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.installation = Installation(directory, SERVE, is_on_sqlite=True)
        keys = {}
        for name in ("owner", "friend"):
            self.installation.command("user", "add", name)
            keys[name] = self.installation.new_key(name)
        try:
            self.installation.start()
            self.tokens = {name: self.installation.token(key) for name, key in keys.items()}
            self.installation.stop()
        finally:
            self.installation.close()
        shutil.copytree(self.installation.data, directory / "before")

    def reset(self) -> None:
        """Put the files back as they were before the first recording."""
        shutil.rmtree(self.installation.data)
        shutil.copytree(self.directory / "before", self.installation.data)

    def record(self, versions: int, **environment: str) -> "Recording":
        """Let a server work under strace until about so many versions are written."""
        self.reset()
        record = self.directory / "record"
        self.installation.environment = environment
        self.installation._serve = [*recording(record), *SERVE]
        try:
            self.installation.start()
            writers = Writers(self.installation, self.tokens["owner"], versions // WRITERS)
            writers.run()
            self.installation.stop()
        finally:
            self.installation.close()
        _await_end(record)
        return Recording(self, list(read_record(record)), writers.histories)


class Recording:
    """What a server did, and all that is needed to judge what a power cut leaves of it."""

    def __init__(self, place: Place, calls: list[Call], histories: dict[tuple[str, str], History]) -> None:
        self._place = place
        self._histories = histories
        self.calls = calls

    def count(self, name: str) -> int:
        """Return how many calls of a name there are."""
        return sum(call.name == name and call.result is None for call in self.calls)

    def states(self, count: int, chance: random.Random) -> "Iterator[State]":
        """Yield what is left after `count` power cuts, PER_MOMENT at each of as many random moments."""
        moments = sorted(chance.sample(range(len(self.calls)), count // PER_MOMENT))
        self._place.reset()
        disk = Disk(self._place.installation.data)
        seen = 0
        for moment in moments:
            for call in self.calls[seen:moment]:
                disk.see(call)
            seen = moment
            for mode in Mode:
                yield self._state(disk, mode, moment, chance)

    def _state(self, disk: Disk, mode: Mode, moment: int, chance: random.Random) -> "State":
        place = self._place
        left = place.directory / "left"
        shutil.rmtree(left, ignore_errors=True)
        left.mkdir(mode=0o700)
        disk.write_what_is_left(left, mode, chance)
        acknowledged = {mark.decode() for sent in disk.sent for mark in _MARK.findall(sent)}
        whole = place.installation.settings
        settings = replace(whole, data=left, key_file=opening.key_path(whole))
        return State(f"{mode}, call {moment}", settings, place.tokens, self._histories, acknowledged, disk.unsynced())


class State(NamedTuple):
    """What is left after a power cut, what had been acknowledged, and how many changes were not synced."""

    what: str
    settings: Settings
    tokens: dict[str, str]
    histories: dict[tuple[str, str], History]
    acknowledged: set[str]
    unsynced: int

    def complaints(self) -> list[str]:
        """Start from it as the server does, and return all that is wrong."""
        try:
            vault = opening.open_vault(self.settings)
            with closing(vault):
                shelf = opening.file_shelf(vault, self.settings)
                Collector(vault, shelf).close()
                found = [*self._lost_or_half(vault, shelf)]
        except _DAMAGE as error:
            return [f"corrupt: {type(error).__name__} {error}"]
        return [*found, *self._damage()]

    def _damage(self) -> list[str]:
        with closing(apsw.Connection(str(self.settings.data / "vault.db"))) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        return ([] if answer == ("ok",) else [f"corrupt: {answer[0]}"]) + [f"corrupt: row {row}" for row in orphans]

    def _lost_or_half(self, vault: Vault, shelf: Shelf) -> Iterator[str]:
        owner, friend = (self._identify(name) for name in ("owner", "friend"))
        listed = {key: mark for kind in _KINDS for key, mark in _listed(vault, owner, kind).items()}
        if listed != {key: mark for kind in _KINDS for key, mark in _listed(vault, friend, kind).items()}:
            yield "half: owner and friend see different items"
        for key, history in self.histories.items():
            last = max((at for at, mark in enumerate(history.marks) if mark in self.acknowledged), default=-1)
            possible = history.marks[max(last, 0) : last + 2]  # the next one may have been under way
            if key in listed and listed[key] not in possible:
                yield f"lost: {key} is at {listed[key]} and not at one of {possible}"
            if key not in listed and last >= 0:
                yield f"lost: {key}"
        yield from (f"half: {key} was never sent" for key in listed if key not in self.histories)
        yield from _half_passwords(vault, friend, listed)
        files = {key: mark for key, mark in listed.items() if key[0] == "file"}
        for (_, identifier), mark in files.items():
            if _content(vault, shelf, friend, int(identifier)) != content_of(mark):
                yield f"half: content of {mark}"
        if len(stored_files(self.settings.data)) != len(files):
            yield "half: contents without a file are left over"

    def _identify(self, name: str) -> Identify:
        return bearer(SecretText(self.tokens[name]), Caller("127.0.0.1"))


def _listed(vault: Vault, identify: Identify, kind: str) -> dict[tuple[str, str], str]:
    work = partial(items.list_items, kind=_KINDS[kind], wanted=ListFilter())
    listed = vault.run(identify, work).result(_PATIENCE_SECONDS)
    return {(kind, str(int(one.item.ref.id))): one.item.meta.name for one in listed}


def _half_passwords(vault: Vault, identify: Identify, listed: dict[tuple[str, str], str]) -> Iterator[str]:
    asked = {
        key: vault.run(identify, partial(items.read, ref=ItemRef(Kind.PASSWORD, ItemId(int(key[1])))))
        for key in listed
        if key[0] == "password"
    }
    for key, answer in asked.items():
        view, mark = answer.result(_PATIENCE_SECONDS), listed[key]
        secret = view.secret
        assert isinstance(secret, PasswordSecret)
        seen = (view.item.meta.username, secret.password.reveal(), secret.notes.reveal())
        if seen != (mark, f"secret of {mark}", notes_of(mark)):
            yield f"half: {mark}"


def _content(vault: Vault, shelf: Shelf, identify: Identify, identifier: int) -> bytes:
    work = partial(downloads.open_content, ref=ItemRef(Kind.FILE, ItemId(identifier)))
    content = vault.run(identify, work).result(_PATIENCE_SECONDS)
    reading, whole = shelf.read(content), b""
    with closing(reading):
        while fetched := reading.fetch(len(whole), content.size_bytes):
            whole += b"".join(bytes(part) for part in reading.open(fetched))
    return whole


def _await_end(record: Path) -> None:
    """Wait until strace, which outlives the server by a moment, has written down the server's end."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with record.open("rb") as file:
            file.seek(max(record.stat().st_size - 200, 0))
            if file.read().rstrip().endswith(b"+++ exited with 0 +++"):
                return
        assert time.monotonic() < until, "strace does not come to an end"
        time.sleep(0.05)
