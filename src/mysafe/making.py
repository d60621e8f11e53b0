# SPDX-License-Identifier: Apache-2.0
"""Make a new vault: data directory, root key, slots, and a database that gets its name at the very end."""

import fcntl
import glob
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mysafe.config import Settings
from mysafe.crypto.root_key.catalogue import NewProvider, new_provider
from mysafe.crypto.root_key.passphrase import AskSecret
from mysafe.crypto.root_key.provider import RootKeyProvider
from mysafe.domain.secret_text import SecretText
from mysafe.opening import Clock, database_path, nobody, postgresql, root_means
from mysafe.services import keys as key_ceremony
from mysafe.services.authentication import local_operator
from mysafe.services.root import kit
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage.engine import Engine
from mysafe.storage.sqlite_lane import SqliteEngine

VAULT_ID_BYTES = 16


class InitRefused(Exception):
    """A vault cannot be made here. The text is one sentence for the operator."""


def initialise(
    settings: Settings,
    *,
    clock: Clock = time.time,
    ask: AskSecret = nobody,
    shares: tuple[int, int] | None = None,
    recovery_kit: Path | None = None,
) -> list[SecretText]:
    """Make a new vault: data directory, root key and an empty database; return shares that nobody has yet.

    An interrupted run leaves no half vault: a SQLite database gets its name at the very end, and on PostgreSQL the
    vault is one transaction. An existing key file is used again, never overwritten: it may open another vault.

    Args:
        settings: where, and the provider that opens the vault.
        clock: Unix seconds.
        ask: asks the operator for a new passphrase.
        shares: how many are made, where the provider or the recovery kit consists of shares.
        recovery_kit: a new file for another way to open the vault: shares if that is said and the provider itself does
            not consist of them, a code without. If the provider does, its own shares are written there.

    Raises:
        InitRefused: the data directory is not empty, or there is a database already.
        RootKeyRefused, StorageRefused: the key or the database cannot be made, or the kit not written.
    """
    if recovery_kit is not None:
        kit.check_place(recovery_kit, settings.data)
    os.umask(0o077)
    data = settings.data.absolute()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone_in(data, InitRefused(f"another command is making a vault in {data}")):
        means = root_means(settings, ask, shares)
        if any(path for path in data.iterdir() if not _is_leftover(path)):
            raise InitRefused(f"{data} is not empty: a vault is only made in an empty or new directory")
        data.chmod(0o700)
        made = [new_provider(settings.root_provider, means)]
        if recovery_kit is not None and settings.root_provider != "shamir":
            made.append(new_provider("shamir" if shares else "recovery", means))
        if settings.is_on_postgresql:
            _fill(postgresql(settings, is_new=True), made, clock, recovery_kit, data)
        else:
            _make_file(database_path(settings).absolute(), made, clock, recovery_kit, data)
        sync_directory(data.parent)
        return [] if recovery_kit is not None else list(made[0].printed())


@contextmanager
def alone_in(data: Path, otherwise: Exception) -> Iterator[None]:
    """Keep out every other `init` or `serve` of this directory; raise `otherwise` if one is at work."""
    with _locked(os.open(data, os.O_RDONLY | os.O_DIRECTORY), otherwise):
        yield


@contextmanager
def alone_with(database: Path, otherwise: Exception) -> Iterator[None]:
    """Keep out every other `serve` of a SQLite file, by whatever name; commands on it go on working beside.

    It must outlast every connection to the file: when any descriptor of it is closed, SQLite loses its own locks.
    Raises `otherwise` if another one is at work.
    """
    if not database.is_file():
        yield  # whoever opens it says what is missing
        return
    with _locked(os.open(database, os.O_RDONLY), otherwise):
        yield


@contextmanager
def _locked(descriptor: int, otherwise: Exception) -> Iterator[None]:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise otherwise from None
        yield
    finally:
        os.close(descriptor)


def _is_leftover(path: Path) -> bool:
    return path.name.startswith(".") and ".new" in path.name


def _make_file(database: Path, made: list[NewProvider], clock: Clock, kit_file: Path | None, data: Path) -> None:
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_leftovers(database)
    if database.exists():
        raise InitRefused(f"{database} exists already: a vault is only made in a new database")
    scratch = database.with_name(f".{database.name}.{os.getpid()}.new")
    try:
        _fill(SqliteEngine.create(scratch), made, clock, kit_file, data)
        os.replace(scratch, database)
    finally:
        _remove_leftovers(database)
    sync_directory(database.parent)


def _remove_leftovers(database: Path) -> None:
    """Remove what an interrupted run left: a database that never got its name, and the files SQLite kept beside it."""
    for leftover in database.parent.glob(f".{glob.escape(database.name)}.*.new*"):
        leftover.unlink(missing_ok=True)


def _fill(engine: Engine, made: list[NewProvider], clock: Clock, kit_file: Path | None, data: Path) -> None:
    """Make a vault in a new database, and close it; before that, what people must keep is written."""
    providers: list[RootKeyProvider] = [one.provider for one in made]
    try:
        vault_id = os.urandom(VAULT_ID_BYTES)
        ceremony = partial(key_ceremony.create_keys, providers=providers, vault_id=vault_id, now=int(clock()))
        vault = Vault(engine, key_ceremony.Keychain(engine.submit(ceremony).result()), clock=clock)
        vault.run(local_operator, _record_creation).result()
        if kit_file is not None:
            kit.write(kit_file, providers[-1].name, made[-1].printed(), data)
    finally:
        engine.close()


def _record_creation(uow: UnitOfWork) -> None:
    uow.registry.record_creation()


def sync_directory(path: Path) -> None:
    """See the names in a directory on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
