# SPDX-License-Identifier: Apache-2.0
"""From the settings to an open vault: its database, its root key provider, its store of contents."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mysafe.config import Settings
from mysafe.crypto.root_key.catalogue import PEOPLES, Means, NewProvider, make_provider, new_provider
from mysafe.crypto.root_key.handed import HandedRoot
from mysafe.crypto.root_key.key_file import find_key_file
from mysafe.crypto.root_key.passphrase import AskSecret
from mysafe.crypto.root_key.private_file import read_secret_line
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.crypto.root_key.shares import SharesWanted
from mysafe.domain.secret_text import SecretText
from mysafe.services import keys as key_ceremony
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.custody.history import Retention
from mysafe.services.files.shelf import Shelf
from mysafe.services.root import slots
from mysafe.services.root.slots import Slot
from mysafe.services.root.unsealing import Unsealing
from mysafe.services.vault import Vault
from mysafe.storage.blobs.directory import DirectoryStore
from mysafe.storage.blobs.store import BlobStore
from mysafe.storage.engine import Engine, StorageRefused
from mysafe.storage.postgres.secret_file import read_secret_file
from mysafe.storage.sqlite_connection import empty_journal
from mysafe.storage.sqlite_lane import SqliteEngine

Clock = Callable[[], float]


def database_path(settings: Settings) -> Path:
    """Return where the SQLite database of these settings lies; only for settings that have one."""
    if settings.database:
        return Path(settings.database.removeprefix("sqlite:///"))
    return settings.data / "vault.db"


def open_engine(settings: Settings) -> Engine:
    """Return the database of these settings, open. Raises StorageRefused."""
    if settings.is_on_postgresql:
        return postgresql(settings, is_new=False)
    return SqliteEngine.open(database_path(settings))


def postgresql(settings: Settings, *, is_new: bool) -> Engine:
    """Return the PostgreSQL database of these settings, open; a new one has no vault. Raises StorageRefused."""
    try:
        from mysafe.storage.postgres.engine import PostgresEngine  # noqa: PLC0415  # not everybody has what it needs
    except ImportError:
        raise StorageRefused("PostgreSQL needs a library that is not there: install mysafe[postgres]") from None
    file = settings.database_password_file
    password = None if file is None else read_secret_file(file)
    make = PostgresEngine.create if is_new else PostgresEngine.open
    return make(str(settings.database), password, connections=settings.database_connections)


def is_journal_emptied(settings: Settings, seconds: float = 30.0) -> bool:
    """Return whether nothing that was replaced is left in the journal of the database, after waiting for its readers.

    What PostgreSQL keeps in its own, and for how long, is set there. Raises StorageRefused.
    """
    return settings.is_on_postgresql or empty_journal(database_path(settings), seconds)


def open_vault(settings: Settings, *, clock: Clock = time.time, provider: RootKeyProvider | None = None) -> Vault:
    """Open an existing vault with a provider; without one, with that of the settings, where nobody is asked.

    Raises:
        StorageRefused, RootKeyRefused, KeysRefused: it cannot be opened safely; the text says why.
    """
    os.umask(0o077)
    provider = provider or root_provider(settings)
    engine = open_engine(settings)
    try:
        keychain = key_ceremony.Keychain(engine.look(partial(key_ceremony.open_root, provider=provider)).result())
    except BaseException:
        engine.close()
        raise
    rules = KeyRules(
        settings.access_keys_rsa_bits,
        is_secret_kept=settings.access_keys_reveal == "reauth",
        most_keys=settings.access_keys_per_user,
    )
    retention = Retention(settings.items_versions_kept_days, settings.items_erase_after_days)
    node = f"{os.uname().nodename}:{os.getpid()}"
    return Vault(engine, keychain, clock=clock, node=node, key_rules=rules, retention=retention)


def open_handed(settings: Settings, handed: HandedRoot) -> Vault:
    """Open a vault with the root key that another process handed over; errors as for `open_vault`.

    If the root key was changed since, the provider of the settings is asked, where it is not people.
    """
    try:
        return open_vault(settings, provider=handed)
    except key_ceremony.KeysRefused:
        if is_opened_by_people(settings):
            raise
    return open_vault(settings)


def read_slots(settings: Settings) -> list[Slot]:
    """Return the slots of the root key, without opening the vault. Raises StorageRefused."""
    engine = open_engine(settings)
    try:
        return engine.look(slots.list_slots).result()
    finally:
        engine.close()


def begin_unsealing(settings: Settings) -> Unsealing:
    """Return what takes the secrets of the slot of these settings. Raises StorageRefused, KeysRefused, SealBroken."""
    engine = open_engine(settings)
    try:
        slot = engine.look(partial(key_ceremony.find_slot, provider=settings.root_provider)).result()
    finally:
        engine.close()
    return Unsealing(slot, lambda provider: open_vault(settings, provider=provider))


def file_shelf(vault: Vault, settings: Settings) -> Shelf:
    """Return where the contents of files are kept. Raises StorageRefused."""
    return Shelf(vault.keys.vault_id, blob_store(settings), free_bytes=settings.files_free_bytes)


def checkpoint_file(settings: Settings) -> CheckpointFile | None:
    """Return the file of checkpoints of the audit log, None where there is none."""
    return None if settings.audit_checkpoint_file is None else CheckpointFile(settings.audit_checkpoint_file)


def blob_store(settings: Settings) -> BlobStore:
    """Return the store of the settings. Raises StorageRefused."""
    if settings.files_store is None or settings.files_s3_file is None:
        return DirectoryStore(settings.data / "blobs")
    try:
        from mysafe.storage.blobs.s3 import open_s3  # noqa: PLC0415  # not everybody has what it needs
    except ImportError:
        raise StorageRefused("files_store needs a library that is not there: install mysafe[s3]") from None
    return open_s3(settings.files_store, settings.files_s3_file)


def key_path(settings: Settings) -> Path:
    """Return the key file: as set, else from the systemd credentials directory, else beside the data directory."""
    default = settings.data.with_name(settings.data.name + ".key")
    return find_key_file(settings.key_file, default, os.environ)


def nobody(what: str) -> SecretText:
    """Say that there is nobody to ask. Raises RootKeyRefused."""
    raise RootKeyRefused(f"nobody can be asked for the {what} here")


def root_means(
    settings: Settings, ask: AskSecret = nobody, shares: tuple[int, int] | None = None, *, is_renewal: bool = False
) -> Means:
    """Return what root key providers are made of; a passphrase comes from its file, if there is one.

    A renewal is for when the passphrase may be known to others: then the file has only the old one.
    """
    in_file = {"passphrase"} if is_renewal else {"passphrase", "new passphrase"}

    def passphrase(what: str) -> SecretText:
        if settings.passphrase_file is not None and what in in_file:
            return read_secret_line(settings.passphrase_file, "file of the passphrase")
        return ask(what)

    return Means(key_path(settings), settings.root_provider_file, passphrase, SharesWanted(*shares) if shares else None)


def root_provider(settings: Settings, ask: AskSecret = nobody) -> RootKeyProvider:
    """Return the provider that opens the vault. Raises RootKeyRefused."""
    return make_provider(settings.root_provider, root_means(settings, ask))


def is_opened_by_people(settings: Settings) -> bool:
    """Return whether the vault opens only after somebody typed something."""
    has_file = settings.root_provider == "passphrase" and settings.passphrase_file is not None
    return settings.root_provider in PEOPLES and not has_file


def root_key_complaint(settings: Settings) -> str | None:
    """Return what is wrong with the provider of the root key, in one sentence, or None."""
    try:
        return root_provider(settings).health()
    except RootKeyRefused as refused:
        return str(refused)


def slot_provider(
    settings: Settings, name: str, ask: AskSecret = nobody, shares: tuple[int, int] | None = None
) -> NewProvider:
    """Return the provider of a new slot, and what its wrapping leaves for people to keep. Raises RootKeyRefused."""
    return new_provider(name, root_means(settings, ask, shares))


def slot_opener(settings: Settings, name: str, ask: AskSecret = nobody) -> RootKeyProvider:
    """Return the provider of a slot that there is, by its name. Raises RootKeyRefused."""
    return make_provider(name, root_means(settings, ask))


def resealing_provider(
    settings: Settings, name: str, ask: AskSecret = nobody, shares: tuple[int, int] | None = None
) -> NewProvider:
    """Return what makes a slot anew: new shares or a new code, the present key file or service.

    How many shares, and how many of them open, is said here: the slot says it too, but whoever writes in the database
    can make it less. Raises RootKeyRefused if there is no such provider.
    """
    return new_provider(name, root_means(settings, ask, shares, is_renewal=True))
