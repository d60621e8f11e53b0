# SPDX-License-Identifier: Apache-2.0
"""Start from the files a server left behind, as the server does, and say what is lost, half or corrupt."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
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
from tests.support.file_client import stored_files
from tests.support.writers import History, Written, content_of, notes_of

_DAMAGE: tuple[type[Exception], ...] = (apsw.Error, SealBroken, VaultError, *app.REFUSALS)
_KINDS = {"password": Kind.PASSWORD, "file": Kind.FILE}
_PATIENCE_SECONDS = 60
_AT_ONCE = 1000
"""So many reads may wait in the queue of an engine."""

Key = tuple[str, str]
"""Kind and identifier of an item."""


class Left(NamedTuple):
    """What is left of a vault, the tokens of "owner" and "friend", and what was written and acknowledged.

    `acknowledged` are marks: of a version that is not among them nobody was told yet when the server ended.
    """

    settings: Settings
    tokens: dict[str, str]
    written: Written
    acknowledged: set[str]

    def complaints(self) -> list[str]:
        """Return all that is wrong: lines that begin with "lost", "half" or "corrupt"."""
        try:
            vault = opening.open_vault(self.settings)
            with closing(vault):
                shelf = opening.file_shelf(vault, self.settings)
                if not vault.engine.is_shared:
                    Collector(vault, shelf).begin_alone()
                found = [*self._lost_or_half(vault, shelf)]
        except _DAMAGE as error:
            return [f"corrupt: {type(error).__name__} {error}"]
        return [*found, *self._damage()]

    def _damage(self) -> list[str]:
        if self.settings.is_on_postgresql:
            return []
        with closing(apsw.Connection(str(self.settings.data / "vault.db"))) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        return ([] if answer == ("ok",) else [f"corrupt: {answer[0]}"]) + [f"corrupt: row {row}" for row in orphans]

    def _lost_or_half(self, vault: Vault, shelf: Shelf) -> Iterator[str]:
        owner, friend = (self._identify(name) for name in ("owner", "friend"))
        listed = {key: mark for kind in _KINDS for key, mark in _listed(vault, owner, kind).items()}
        if listed != {key: mark for kind in _KINDS for key, mark in _listed(vault, friend, kind).items()}:
            yield "half: owner and friend see different items"
        yield from self._lost(listed)
        for key, mark in listed.items():
            if key not in self.written.histories and mark not in self.written.open:
                yield f"half: {key} at {mark} was refused, or never sent"
        yield from _half_passwords(vault, friend, listed)
        files = {key: mark for key, mark in listed.items() if key[0] == "file"}
        for (_, identifier), mark in files.items():
            if _content(vault, shelf, friend, int(identifier)) != content_of(mark):
                yield f"half: content of {mark}"
        if not vault.engine.is_shared and len(stored_files(self.settings.data)) != len(files):
            yield "half: contents without a file are left over"

    def _lost(self, listed: dict[Key, str]) -> Iterator[str]:
        yield from (f"lost: {identifier} was not found by its writer" for identifier in sorted(self.written.gone))
        for key, history in self.written.histories.items():
            possible, is_acknowledged = self._possible(history)
            if key in listed and listed[key] not in possible:
                yield f"lost: {key} is at {listed[key]} and not at one of {sorted(possible)}"
            if key not in listed and is_acknowledged:
                yield f"lost: {key}"

    def _possible(self, history: History) -> tuple[set[str], bool]:
        """Return the marks an item may be at, and whether it must be there at all."""
        known = [at for at, mark in enumerate(history.marks) if mark in self.acknowledged]
        last = max(known, default=-1)
        possible = {*history.marks[max(last, 0) : last + 2]}  # the next one may have been under way
        return possible | (history.open if last == len(history.marks) - 1 else set()), bool(known)

    def _identify(self, name: str) -> Identify:
        return bearer(SecretText(self.tokens[name]), Caller("127.0.0.1"))


def kinds_of(complaints: Iterable[str]) -> set[str]:
    """Return how what is wrong begins."""
    return {complaint.partition(":")[0] for complaint in complaints}


def _listed(vault: Vault, identify: Identify, kind: str) -> dict[Key, str]:
    work = partial(items.list_items, kind=_KINDS[kind], wanted=ListFilter())
    listed = vault.run(identify, work).result(_PATIENCE_SECONDS)
    return {(kind, str(int(one.item.ref.id))): one.item.meta.name for one in listed}


def _half_passwords(vault: Vault, identify: Identify, listed: dict[Key, str]) -> Iterator[str]:
    keys = [key for key in listed if key[0] == "password"]
    for some in (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)):
        works = [partial(items.read, ref=ItemRef(Kind.PASSWORD, ItemId(int(identifier)))) for _, identifier in some]
        answers = [vault.run(identify, work) for work in works]
        for key, answer in zip(some, answers, strict=True):
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
