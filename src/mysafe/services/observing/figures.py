# SPDX-License-Identifier: Apache-2.0
"""The numbers of an open vault, and whether its database answers. None is about a user or an item."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as TookTooLong
from typing import NamedTuple, TypeVar

from mysafe.domain.errors import VaultError
from mysafe.domain.histogram import Histogram
from mysafe.services.vault import Vault
from mysafe.storage import audit_log, vault_state
from mysafe.storage.blobs.rows import BlobRows
from mysafe.storage.engine import Transaction

T = TypeVar("T")


class Stored(NamedTuple):
    """What the database holds: the number of the newest audit row, and the bytes of all contents of files on disk."""

    audit_rows: int
    blob_bytes: int


class VaultFigures(NamedTuple):
    """How a vault does in this process. `stored` is None if the database did not say in time."""

    keyring_epoch: int
    keyring_version: int
    waiting_units: int
    waiting_looks: int
    group_sizes: Histogram
    commit_seconds: Histogram
    stored: Stored | None


def figures(vault: Vault, seconds: float) -> VaultFigures:
    """Return the figures of a vault. It waits for the database, but at most so many seconds."""
    keys, engine = vault.keys, vault.engine.figures()
    stored = _within(seconds, vault.engine.look(_read))
    return VaultFigures(keys.cipher.epoch, keys.version, *engine, stored)


def begin_probe(vault: Vault, settle: Callable[[bool], None]) -> None:
    """Ask the database for the vault's row, and tell whether it answered: on any thread, perhaps at once."""
    future = vault.engine.look(lambda tx: vault_state.read_vault(tx) is not None)
    future.add_done_callback(lambda done: settle(done.exception() is None and done.result()))


def _read(tx: Transaction) -> Stored:
    return Stored(audit_log.last_id(tx), BlobRows(tx, 0).usage(0).total_bytes)


def _within(seconds: float, future: "Future[T]") -> T | None:
    try:
        return future.result(seconds)
    except (TookTooLong, CancelledError, VaultError):
        future.cancel()  # then nobody waits for it any more
        return None
