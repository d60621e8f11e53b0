# SPDX-License-Identifier: Apache-2.0
"""The vault: runs units of work, in one transaction each, and lives as long as the process."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from mysafe.domain.errors import VaultError
from mysafe.domain.principals import Actor
from mysafe.services.keys import VaultKeys
from mysafe.services.principals import OpenedRecords, Principals
from mysafe.services.recording import Origin, Recorder
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.storage import audit_log
from mysafe.storage.audit_log import AuditRow
from mysafe.storage.engine import Engine, Transaction

T = TypeVar("T")

LOCAL = Origin()
"""The origin of a local command."""


class Identity(NamedTuple):
    """What a credential proved: the actor, and the error to refuse with if it is good for nothing now."""

    actor: Actor
    refusal: VaultError | None = None


Identify = Callable[[Principals], Identity]
"""Find out who calls, inside the unit's own transaction. Raises NotAuthenticated for an unknown credential."""

Work = Callable[[UnitOfWork], T]
"""A use case bound to its arguments. It touches nothing but the unit of work."""


class Vault:
    """Run use cases. `clock` returns Unix seconds; `node` names this process in the audit log."""

    def __init__(
        self, engine: Engine, keys: VaultKeys, *, clock: Callable[[], float] = time.time, node: str = "local"
    ) -> None:
        self.engine = engine
        self.keys = keys
        self.clock = clock
        self.node = node
        self.opened = OpenedRecords()

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
        unit = _Unit(self, identify, work, origin)
        return self.engine.submit(unit.run, after_rollback=unit.refused, deadline=deadline)

    def look(
        self, identify: Identify, work: Work[T], *, origin: Origin = LOCAL, deadline: float | None = None
    ) -> Future[T]:
        """Run a use case that reveals no secret, on a snapshot and beside the writer. Arguments as for `run`.

        Its audit rows are committed through the writer before the future is resolved.
        """
        unit = _Unit(self, identify, work, origin)
        answer: Future[T] = Future()
        looked = self.engine.look(unit.look, deadline=deadline)
        looked.add_done_callback(lambda done: self._commit_look(unit, done, answer))
        return answer

    def run_units_on(self, host: Callable[[Callable[[], None]], object] | None) -> None:
        """Let `run` work on the thread of an event loop, by its `call_soon_threadsafe`; None takes that back."""
        self.engine.run_units_on(host)

    def close(self) -> None:
        """Finish what is queued and close the database."""
        self.engine.close()

    def _commit_look(self, unit: "_Unit[T]", looked: Future[T], answer: Future[T]) -> None:
        error = looked.exception()
        if error is not None:
            unit.refuse_later(error)
        if not unit.rows:
            _settle(answer, looked, None)
            return
        try:
            recorded = self.engine.submit(unit.write_rows)
        except VaultError as refused:
            answer.set_exception(refused)
            return
        recorded.add_done_callback(lambda done: _settle(answer, looked, done.exception()))


def _settle(answer: Future[T], looked: Future[T], failure: BaseException | None) -> None:
    failure = failure or looked.exception()
    if failure is None:
        answer.set_result(looked.result())
    else:
        answer.set_exception(failure)


class _Unit(Generic[T]):
    """One call on its way through the engine."""

    __slots__ = ("_identify", "_origin", "_recorder", "_vault", "_work", "rows")

    def __init__(self, vault: Vault, identify: Identify, work: Work[T], origin: Origin) -> None:
        self._vault = vault
        self._identify = identify
        self._work = work
        self._origin = origin
        self._recorder: Recorder | None = None
        self.rows: list[AuditRow] = []

    def run(self, tx: Transaction) -> T:
        return self._begin(tx, lambda row: audit_log.append(tx, row))

    def look(self, tx: Transaction) -> T:
        return self._begin(tx, self.rows.append)

    def refused(self, tx: Transaction, error: BaseException) -> None:
        if self._recorder is not None:
            self._recorder.refused(error, lambda row: audit_log.append(tx, row))

    def refuse_later(self, error: BaseException) -> None:
        self.rows = []
        if self._recorder is not None:
            self._recorder.refused(error, self.rows.append)

    def write_rows(self, tx: Transaction) -> None:
        for row in self.rows:
            audit_log.append(tx, row)

    def _begin(self, tx: Transaction, write: Callable[[AuditRow], None]) -> T:
        vault = self._vault
        at = vault.clock()
        now = int(at)
        recorder = Recorder(vault.keys, self._origin, vault.node, int(at * 1000), write)
        self._recorder = recorder
        principals = Principals(tx, vault.keys, vault.opened, now)
        identity = self._identify(principals)
        recorder.actor = identity.actor
        if identity.refusal is not None:
            raise identity.refusal
        value = self._work(UnitOfWork(tx, vault.keys, principals, recorder))
        recorder.check_settled()
        return value
