# SPDX-License-Identifier: Apache-2.0
"""Rotate the epoch that wraps data keys, beside the servers of the vault (decision 0021).

stage  →  every server has loaded it  →  activate  →  rewrap all rows  →  destroy the one before

Where a rotation stands is written in the keyring and nowhere else, so it goes on from there after an interruption.
Each step is one transaction; two rotations at once do each other's work.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.keyring import EpochState, Keyring
from mysafe.crypto.records import RecordAddress
from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy
from mysafe.services.authentication import local_operator
from mysafe.services.rotation.pulse import LIVE_SECONDS
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.services.writes.keyring import Rewrapped
from mysafe.storage.engine import Transaction
from mysafe.storage.rotation import nodes
from mysafe.storage.rotation.wrapped_keys import ALL_WRAPPED, WrappedKey, WrappedKeys

T = TypeVar("T")

MOST_TRIES = 50
TRY_SECONDS = 0.2
"""How often, and how long apart, a step is tried while others keep the database busy."""

MOST_PASSES = 10
"""How often all rows are gone through. The second time finds what an update moved to the versions meanwhile."""

WAIT_SECONDS = 120.0
"""How long a rotation waits for the servers to load a keyring."""

SHARED_BATCH = 20
"""How many rows are stored in one transaction where each of them is locked for itself."""

_LOOK_SECONDS = 0.2
_SHORTEST_PAUSE_SECONDS = 0.02


class RotationRefused(Exception):
    """A rotation cannot go on now. The text is one sentence for the operator."""


class Progress(NamedTuple):
    """How far a rotation is: what it does, and how many rows of how many are rewrapped."""

    doing: str
    done: int = 0
    total: int = 0


class Rotation(NamedTuple):
    """What a rotation did. `is_resumed` says that it was begun by an earlier run."""

    epoch: int
    destroyed: tuple[int, ...]
    rewrapped: int
    is_resumed: bool


Report = Callable[[Progress], None]


def rotate(vault: Vault, report: Report, *, wait_seconds: float = WAIT_SECONDS) -> Rotation:
    """Rotate the epoch, or finish a rotation that was interrupted, and say what was done.

    Args:
        vault: open, in a process that does not serve it.
        report: hears the progress.
        wait_seconds: how long to wait for the servers that live.

    Raises:
        RotationRefused: a server does not load the new keyring or goes on with the old one, or rows do not open. The
            next run goes on from here.
        Busy, SealBroken: others keep the database busy; the keyring was changed outside the vault.
    """
    keyring = vault.engine.look(vault.keychain.keyring_in).result()
    is_resumed = _is_under_way(keyring)
    if not is_resumed:
        keyring = patiently(vault, lambda uow: _stage(vault, uow))
    if keyring.numbers_in(EpochState.STAGED):
        report(Progress("waiting for the servers to load the new key"))
        wait_for_servers(vault, keyring.version, wait_seconds)
        keyring = patiently(vault, lambda uow: _activate(vault, uow))
    rewrapped, destroyed = 0, None
    for _ in range(MOST_PASSES):
        rewrapped += _rewrap_all(vault, keyring.active_epoch, report)
        report(Progress("waiting for the servers to use the new key"))
        wait_for_servers(vault, keyring.version, wait_seconds)
        if not _is_used(vault, keyring.active_epoch, wait_seconds):
            destroyed = patiently(vault, lambda uow: _destroy(vault, uow, keyring.active_epoch))
        if destroyed is not None:
            break
    else:
        raise RotationRefused("a server still writes under the old key, which is kept: restart the servers, and go on")
    return Rotation(keyring.active_epoch, destroyed, rewrapped, is_resumed)


def wait_for_servers(vault: Vault, version: int, seconds: float) -> None:
    """Return when every server that lives has loaded a version of the keyring. Raises RotationRefused."""
    until = time.monotonic() + seconds
    while True:
        living = vault.engine.look(partial(nodes.since, at=int(vault.clock()) - LIVE_SECONDS)).result()
        behind = [node for node in living if node.keyring_version < version]
        if not behind:
            return
        if time.monotonic() > until:
            raise RotationRefused(
                f"the server {behind[0].node} has not loaded the new keyring: its log says why."
                " Seal and unseal it, or restart it, and run this command again; it goes on from here"
            )
        time.sleep(_LOOK_SECONDS)


def patiently(vault: Vault, work: Callable[[UnitOfWork], T]) -> T:
    """Return what a step returns, which is tried again while others keep the database busy. Raises Busy."""
    for _ in range(MOST_TRIES):
        try:
            return vault.run(local_operator, work).result()
        except Busy:
            time.sleep(TRY_SECONDS)
    return vault.run(local_operator, work).result()


def _is_under_way(keyring: Keyring) -> bool:
    return any(keyring.numbers_in(state) for state in (EpochState.STAGED, EpochState.DECRYPT_ONLY))


def _stage(vault: Vault, uow: UnitOfWork) -> Keyring:
    writes = uow.registry.keyring
    keyring = vault.keychain.keyring_in(writes.tx)
    if _is_under_way(keyring):
        return keyring  # another run was faster
    after = keyring.staged()
    writes.store(vault.keychain.sealed(after), Action.KEY_STAGE, after.numbers_in(EpochState.STAGED))
    writes.note_epochs(*after.numbers_in(EpochState.STAGED))
    return after


def _activate(vault: Vault, uow: UnitOfWork) -> Keyring:
    writes = uow.registry.keyring
    keyring = vault.keychain.keyring_in(writes.tx)
    if not keyring.numbers_in(EpochState.STAGED):
        return keyring  # as above
    after = keyring.activated()
    writes.store(vault.keychain.sealed(after), Action.KEY_ACTIVATE, [after.active_epoch])
    writes.note_epochs(after.active_epoch, keyring.active_epoch)
    return after


def _is_used(vault: Vault, epoch: int, seconds: float) -> bool:
    """Return whether a row needs another epoch than the active one, or may still be written that does.

    Where several write at the same time, what begins now sees which epoch is active; what began before may not, and is
    waited for. So nothing can come after the count. Raises RotationRefused if that takes too long.
    """
    if not vault.engine.wait_for_earlier(seconds):
        raise RotationRefused(
            "a transaction in the database has not ended for a long time: end it, and run this command again;"
            " it goes on from here"
        )
    return _count_others(vault, epoch) > 0


def _count_others(vault: Vault, epoch: int) -> int:
    return vault.engine.look(lambda tx: sum(keys.count_others(tx, epoch) for keys in ALL_WRAPPED)).result()


def _destroy(vault: Vault, uow: UnitOfWork, epoch: int) -> tuple[int, ...] | None:
    """Destroy the epochs that only open; return their numbers, None if a row still needs one.

    `epoch` is the active one, for which it was counted that no row needs another.
    """
    writes = uow.registry.keyring
    keyring = vault.keychain.keyring_in(writes.tx)
    retired = keyring.numbers_in(EpochState.DECRYPT_ONLY)
    if not retired:
        return ()
    if keyring.active_epoch != epoch:
        return ()  # another run was faster, and activated the next one: what is retired is its business
    # Where others write at the same time, a transaction that counts everything and changes what they have read could
    # never be committed; there it is known already.
    if not vault.engine.is_shared and writes.count_others(epoch):
        return None
    writes.store(vault.keychain.sealed(keyring.without_retired()), Action.KEY_DESTROY, retired)
    writes.note_epochs(*retired)
    return retired


def _rewrap_all(vault: Vault, epoch: int, report: Report) -> int:
    """Rewrap the keys of all tables once; return how many. Raises RotationRefused if one does not open, at the end."""
    total = _count_others(vault, epoch)
    done, broken = 0, []
    for keys in ALL_WRAPPED:
        last: WrappedKey | None = None
        while (batch := vault.engine.look(partial(_next_batch, vault, keys, last)).result()).last is not None:
            last = batch.last
            broken += batch.broken
            for part in _parts(vault, batch):
                began = time.monotonic()
                done += patiently(vault, partial(_store, keys=keys, batch=part))
                report(Progress("rewrapping", done, max(done, total)))
                # The lock is the servers' for as long as it was ours.
                time.sleep(max(_SHORTEST_PAUSE_SECONDS, time.monotonic() - began))
    if broken:
        raise RotationRefused(
            f"{len(broken)} rows do not open, the first is {broken[0]}: they were changed outside the vault."
            " The old key is kept for them; repair or remove them, and run this command again"
        )
    return done


class _Batch(NamedTuple):
    epoch: int
    rewrapped: list[Rewrapped]
    broken: list[str]
    last: WrappedKey | None


def _next_batch(vault: Vault, keys: WrappedKeys, after: WrappedKey | None, tx: Transaction) -> _Batch:
    """Return the next keys of a table that are of other epochs, with what they become. Nothing is locked for that."""
    cipher = vault.keychain.keys_in(tx).cipher
    found = keys.others(tx, cipher.epoch, after)
    batch = _Batch(cipher.epoch, [], [], found[-1] if found else None)
    for one in found:
        try:
            dek = cipher.rewrap(RecordAddress(keys.sealed_as, one.kind, one.id, 0, one.version), one.dek)
            batch.rewrapped.append(Rewrapped(one, dek))
        except SealBroken:
            batch.broken.append(f"{keys.name} {one.kind} {one.id} version {one.version}")
    return batch


def _parts(vault: Vault, batch: _Batch) -> list[_Batch]:
    """Return a batch as what is stored in one transaction each: rows that are locked keep who changes them waiting."""
    size = SHARED_BATCH if vault.engine.is_shared else len(batch.rewrapped) or 1
    starts = range(0, len(batch.rewrapped), size)
    return [batch._replace(rewrapped=batch.rewrapped[start : start + size]) for start in starts]


def _store(uow: UnitOfWork, keys: WrappedKeys, batch: _Batch) -> int:
    return uow.registry.keyring.rewrap(keys, batch.epoch, batch.rewrapped)
