# SPDX-License-Identifier: Apache-2.0
"""The vault: runs units of work, in one transaction each, and lives as long as the process."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeVar

from mysafe.domain.errors import VaultError
from mysafe.domain.principals import Actor
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.clocks import SteadyClock
from mysafe.services.custody.history import KEEP_ALL, Retention
from mysafe.services.keys import Keychain, VaultKeys
from mysafe.services.opened_rows import OpenedRows
from mysafe.services.principals import Principals
from mysafe.services.recording import Origin, Recorder
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.storage import audit_log
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.engine import Engine, Transaction

T = TypeVar("T")

MOST_PRINCIPALS = 8192
MOST_LISTED = 16_384
"""Most rows of principals, and of listed items, whose opened meta is remembered: about 1.5 KiB each."""

LOCAL = Origin()
"""The origin of a local command."""


class Identity(NamedTuple):
    """What a credential proved: the actor, and the error to refuse with if it is good for nothing now."""

    actor: Actor
    refusal: VaultError | None = None


Identify = Callable[[Principals], Identity]
"""Find out who calls, inside the unit's own transaction. Raises NotAuthenticated for an unknown credential."""

Settle = Callable[[Any, BaseException | None], None]
"""Hear how a call ended: its value, or its error."""

Work = Callable[[UnitOfWork], T]
"""A use case bound to its arguments. It touches nothing but the unit of work."""


class Vault:
    """Run use cases. `clock` returns Unix seconds; `node` names this process in the audit log.

    `key_rules` are how access keys are made and shown again; `retention` says how long old versions and inactive items
    are kept.
    """

    def __init__(
        self,
        engine: Engine,
        keychain: Keychain,
        *,
        clock: Callable[[], float] = time.time,
        node: str = "local",
        key_rules: KeyRules | None = None,
        retention: Retention = KEEP_ALL,
    ) -> None:
        self.engine = engine
        self.keychain = keychain
        self.clock = clock
        self.steady = SteadyClock()
        self.node = node
        self.key_rules = key_rules or KeyRules()
        self.opened = OpenedRows(MOST_PRINCIPALS)
        self.listed = OpenedRows(MOST_LISTED)
        self.retention = retention

    @property
    def keys(self) -> VaultKeys:
        """The working keys, as they are now."""
        return self.keychain.current

    def run(
        self, identify: Identify, work: Work[T], *, origin: Origin = LOCAL, deadline: float | None = None
    ) -> Future[T]:
        """Run a use case that changes or reveals something, in one transaction.

        Args:
            identify: finds the actor; what it refuses is recorded too.
            work: the use case.
            origin: where the call comes from.
            deadline: `time.monotonic()` after which the unit is not begun any more, or None.

        Returns:
            a future that is resolved once the transaction is on disk, or failed once it is rolled back.
        """
        future: Future[T] = Future()
        self.begin(identify, work, partial(_resolve, future), origin=origin, deadline=deadline)
        return future

    def begin(
        self, identify: Identify, work: Work[T], settle: Settle, *, origin: Origin, deadline: float | None
    ) -> None:
        """Do as `run` does, and tell the end to `settle`, on any thread. It must not raise."""
        self.engine.enqueue(_Unit(self, identify, work, origin, deadline, settle))

    def begin_look(
        self, identify: Identify, work: Work[T], settle: Settle, *, origin: Origin, deadline: float | None
    ) -> None:
        """Run a use case that reveals no secret, on a snapshot and beside the writer. Arguments as for `begin`.

        Its audit rows are committed through the writer before it is settled.
        """
        self.engine.enqueue_look(_Look(self, identify, work, origin, deadline, settle))

    def run_units_on(self, host: Callable[[Callable[[], None]], object] | None) -> None:
        """Let `run` work on the thread of an event loop, by its `call_soon_threadsafe`; None takes that back."""
        self.engine.run_units_on(host)

    def close(self) -> None:
        """Finish what is queued and close the database."""
        self.engine.close()


def _resolve(future: Future[T], value: T, error: BaseException | None) -> None:
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


class _Unit:
    """One call on its way through the engine."""

    __slots__ = ("_identify", "_origin", "_recorder", "_settle", "_vault", "_work", "deadline")

    def __init__(
        self,
        vault: Vault,
        identify: Identify,
        work: Work[Any],
        origin: Origin,
        deadline: float | None,
        settle: Settle,
    ) -> None:
        self._vault = vault
        self._identify = identify
        self._work = work
        self._origin = origin
        self._recorder: Recorder | None = None
        self._settle = settle
        self.deadline = deadline

    def is_wanted(self) -> bool:
        return True

    def run(self, tx: Transaction) -> object:
        return self._begin(tx, partial(audit_log.append, tx))

    def refused(self, tx: Transaction, error: BaseException) -> None:
        if self._recorder is not None:
            self._recorder.refused(error, partial(audit_log.append, tx))

    def settle(self, value: object, error: BaseException | None) -> None:
        self._settle(value, error)

    def _begin(self, tx: Transaction, write: Callable[[AuditRow], None]) -> object:
        vault = self._vault
        at = vault.clock()
        keys = vault.keychain.keys_in(tx)
        recorder = Recorder(keys, self._origin, vault.node, int(at * 1000), write)
        self._recorder = recorder
        principals = Principals(tx, keys, vault.opened, int(at), int(vault.steady.at(at)))
        identity = self._identify(principals)
        recorder.actor = identity.actor
        if identity.refusal is not None:
            raise identity.refusal
        value = self._work(UnitOfWork(tx, keys, principals, recorder, vault.listed, vault.retention))
        recorder.check_settled()
        return value


class _Look(_Unit):
    """A call that only looks. What it records is committed by a unit of its own before anybody hears the end."""

    __slots__ = ("_rows",)

    def run(self, tx: Transaction) -> object:
        self._rows: list[AuditRow] = []
        return self._begin(tx, self._rows.append)

    def settle(self, value: object, error: BaseException | None) -> None:
        if error is not None:
            self._rows = []
            if self._recorder is not None:
                self._recorder.refused(error, self._rows.append)
        if self._rows:
            self._vault.engine.enqueue(_Record(self._rows, value, error, self._settle))
        else:
            self._settle(value, error)


class _Record:
    """Commit the audit rows of a look, then tell its end."""

    __slots__ = ("_error", "_rows", "_settle", "_value", "deadline")

    def __init__(self, rows: list[AuditRow], value: object, error: BaseException | None, settle: Settle) -> None:
        self._rows = rows
        self._value = value
        self._error = error
        self._settle = settle
        self.deadline: float | None = None

    def is_wanted(self) -> bool:
        return True

    def run(self, tx: Transaction) -> object:
        for row in self._rows:
            audit_log.append(tx, row)
        return self._value

    def refused(self, tx: Transaction, error: BaseException) -> None:
        """Leave it: the caller is told."""

    def settle(self, value: object, error: BaseException | None) -> None:
        self._settle(value, error or self._error)
