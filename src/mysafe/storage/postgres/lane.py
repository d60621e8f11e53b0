# SPDX-License-Identifier: Apache-2.0
"""A lane: one thread, one connection. It runs units, and answers after their commit is on disk.

    take what waits, at most its share                   several units share a transaction and its commit
    BEGIN ISOLATION LEVEL SERIALIZABLE
    run every one
    COMMIT
    settle every unit: its value, or its own exception

A unit that fails before it wrote anything needs no undoing. If one fails after that, or the database refuses the
transaction, all is rolled back and every unit is run again in a transaction of its own.
"""

import logging
import random
import threading
import time
from typing import NamedTuple

from mysafe.domain.errors import Busy, DatabaseUnreachable, DeadlinePassed
from mysafe.storage.engine import LaneTally, StorageRefused, Transaction, UniqueClash, Unit
from mysafe.storage.postgres.connection import Broken, Call, Connection, Failed, connect
from mysafe.storage.postgres.history import Past
from mysafe.storage.postgres.transaction import (
    APART,
    LOOKING,
    WRITING,
    Failure,
    Fate,
    Key,
    Numbers,
    PostgresTransaction,
)
from mysafe.storage.postgres.waiting import PATIENCE_SECONDS, Waiting
from mysafe.storage.statements import Statement

_log = logging.getLogger("mysafe.storage")

TRIES = 6
"""A unit is run once, and again at most five times when others were faster."""

TRIES_AMONG_OTHERS = 2
"""After so many, it is run while nobody else does anything: another process may overtake it each time otherwise."""

LONGEST_PAUSE_SECONDS = 0.04

APART_SECONDS = 0.25
"""How long a lane that gets no connection leaves the work to those that have one, before it asks again."""

STUCK_SECONDS = 0.7
"""How long units that wait behind a lock of somebody else may keep those of their group."""

_FINAL = frozenset({Fate.IN_DOUBT, Fate.GONE})

_MY_TURN = Statement("SELECT pg_advisory_lock(7954033)::text")
_MY_TURN_ENDS = Statement("SELECT pg_advisory_unlock(7954033)::text")
"""The lock of units that were overtaken. It belongs to the connection, and goes with it."""

Outcome = tuple[Unit, object, BaseException | None]


class Shared(NamedTuple):
    """What the lanes of an engine have together.

    Ids, habits, the gate of an overtaken unit, what they saw, and which of them have a connection or wait for one.
    """

    numbers: Numbers
    habits: dict[Key, dict[Key, Statement]]
    gate: threading.Lock
    past: Past
    connected: "set[Lane]"


class _Spoiled(Exception):
    """A transaction cannot be committed. `unit` is the one that noticed, None if it was the commit itself."""

    def __init__(self, error: BaseException, failure: Failure | None, unit: Unit | None) -> None:
        super().__init__()
        self.error = error
        self.fate = None if failure is None else failure.fate
        self.unit = unit


class _Refusal:
    """What a failed unit has to write about its failure, as a unit."""

    deadline: float | None = None

    def __init__(self, unit: Unit, error: BaseException) -> None:
        self._unit = unit
        self._error = error

    def is_wanted(self) -> bool:
        return True

    def run(self, tx: Transaction) -> object:
        self._unit.refused(tx, self._error)
        return None

    def refused(self, tx: Transaction, error: BaseException) -> None:
        pass

    def settle(self, value: object, error: BaseException | None) -> None:
        pass


class Lane:
    """Serve a queue on one connection, which is made when it is needed and made anew when it is lost."""

    def __init__(self, waiting: Waiting, text: str, shared: Shared) -> None:
        self._waiting = waiting
        self._text = text
        self._shared = shared
        self._connection: Connection | None = None
        self._tx: PostgresTransaction | None = None
        self.tally = LaneTally()
        self._thread = threading.Thread(target=self._serve, name="lane", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the queue is closed and empty."""
        self._thread.join()

    def _serve(self) -> None:
        while self._can_serve() and (taken := self._waiting.take()) is not None:
            units, is_look = taken
            units = [unit for unit in units if unit.is_wanted()]
            how = LOOKING if is_look else WRITING
            try:
                self._run(units, how)
            except Exception as error:  # noqa: BLE001  # the lane must live on
                _log.error("a lane failed: %s", type(error).__name__)
                self._drop()
                _resolve([(unit, None, error) for unit in units])
        self._drop()

    # -- transactions --------------------------------------------------------------------------------------------------

    def _run(self, units: list[Unit], how: Statement) -> None:
        began = time.monotonic()
        stuck: Unit | None = None
        if len(units) > 1:
            outcomes, stuck = self._together(units, how)
            if outcomes is not None:
                _resolve(outcomes)
                return
        for unit in units:
            # Somebody else's transaction is in the way. Whoever met it has waited, and the last of the group must not
            # wait for all others that meet it too.
            is_late = stuck is not None and (unit is stuck or time.monotonic() - began > STUCK_SECONDS)
            _resolve([(unit, None, Busy()) if is_late else self._alone(unit, how)])

    def _together(self, units: list[Unit], how: Statement) -> tuple[list[Outcome] | None, Unit | None]:
        """Return the outcomes of units in one transaction, None if each must have one of its own.

        And the unit that waited for a lock in vain, if there is one.
        """
        self._pass_gate(how)
        try:
            return self._attempt(units, how), None
        except _Spoiled as spoiled:
            # Where it is unknown whether it is committed, to run it again might do everything twice.
            if spoiled.fate in _FINAL:
                return [(unit, None, spoiled.error) for unit in units], None
            return None, spoiled.unit if spoiled.fate is Fate.STUCK else None

    def _alone(self, unit: Unit, how: Statement) -> Outcome:
        """Return the outcome of a unit in a transaction of its own, run again as often as that may help."""
        self._pass_gate(how)
        outcome, last = self._tried(unit, how)
        if outcome is not None:
            return outcome
        # It was overtaken. From now on nothing new is begun here, so those that are under way are the last to overtake
        # it. Other servers hold their own gates while their units wait for this one's turn to end.
        is_held = self._shared.gate.acquire(timeout=PATIENCE_SECONDS)
        self._tell(_MY_TURN)
        try:
            for turn in range(1, TRIES):
                outcome, last = self._tried(unit, how, is_apart=how is WRITING and turn >= TRIES_AMONG_OTHERS)
                if outcome is not None:
                    return outcome
                time.sleep(random.uniform(0.5, 1) * LONGEST_PAUSE_SECONDS * turn / TRIES)  # noqa: S311  # not a secret
        finally:
            self._tell(_MY_TURN_ENDS)
            if is_held:
                self._shared.gate.release()
        return unit, None, last if isinstance(last, UniqueClash) else Busy()

    def _tell(self, statement: Statement) -> None:
        """Run a statement outside of any transaction. If it fails, the unit goes on without."""
        try:
            if self._connection is not None:
                self._connection.exchange([Call(statement)])
        except Failed:
            pass
        except Broken:
            self._drop()

    def _pass_gate(self, how: Statement) -> None:
        """Wait while a unit that was overtaken is at work. A look overtakes nobody."""
        gate = self._shared.gate
        if how is not LOOKING and gate.acquire(timeout=PATIENCE_SECONDS):
            gate.release()

    def _tried(
        self, unit: Unit, how: Statement, *, is_apart: bool = False
    ) -> tuple[Outcome | None, BaseException | None]:
        """Return the outcome of a unit, None if it has to be run again; and what went wrong then."""
        try:
            return self._attempt([unit], how, is_apart=is_apart)[0], None
        except _Spoiled as spoiled:
            if spoiled.fate in {Fate.AGAIN, Fate.LOST} or (is_apart and spoiled.fate is Fate.STUCK):
                return None, spoiled.error
            if spoiled.fate in _FINAL or how is LOOKING:
                return (unit, None, spoiled.error), None
            return (unit, None, self._recorded(unit, spoiled.error)), None

    def _recorded(self, unit: Unit, error: BaseException) -> BaseException:
        """Let a unit write about its failure in a transaction of its own; return what its caller is told."""
        if isinstance(unit, _Refusal):
            return error
        refusal = _Refusal(unit, error)
        for _ in range(TRIES):
            outcome, _ = self._tried(refusal, WRITING)
            if outcome is not None:
                return outcome[2] or error
        return Busy()

    def _attempt(self, units: list[Unit], how: Statement, *, is_apart: bool = False) -> list[Outcome]:
        """Run units in one transaction and commit it. Raises _Spoiled, after a rollback."""
        tx = self._ready()
        try:
            tx.begin(how, *(APART if is_apart else ()))
            outcomes = [_run_one(tx, unit, is_look=how is LOOKING) for unit in units]
            began = time.monotonic()
            _commit(tx)
            tx.share_numbers()
        except _Spoiled:
            self._roll_back(tx)
            raise
        if how is WRITING:
            self.tally.committed(len(units), time.monotonic() - began)
        return outcomes

    def _roll_back(self, tx: PostgresTransaction) -> None:
        try:
            tx.roll_back()
        except Exception:  # noqa: BLE001  # then the connection is of no use
            self._drop()
            return
        if tx.failure is not None and tx.failure.fate in {Fate.LOST, Fate.IN_DOUBT}:
            self._drop()

    # -- the connection ------------------------------------------------------------------------------------------------

    def _ready(self) -> PostgresTransaction:
        if self._connection is not None and self._shared.past.is_over(self._connection.began_at):
            self._drop()  # two servers answer, and another lane has found the newer primary
        if self._tx is None:
            try:
                self._connection = connect(self._text, self._shared.past)
            except (DatabaseUnreachable, StorageRefused) as error:
                if isinstance(error, StorageRefused):
                    _log.error("the database cannot be used any more: %s", error)
                raise _Spoiled(DatabaseUnreachable(), Failure(Fate.GONE, error), None) from None
            self._tx = PostgresTransaction(self._connection, self._shared.numbers, self._shared.habits)
            self._shared.connected.add(self)
        return self._tx

    def _can_serve(self) -> bool:
        """Connect when one more is wanted; return False when all is over.

        A server may have no room for one more. A lane that cannot connect must not take work from those that could:
        it would only fail it faster than they do it. Where there are none, whoever waits is told at once.
        """
        while self._tx is None:
            if not self._waiting.is_wanted():
                return False
            self._shared.connected.add(self)
            try:
                self._ready()
            except _Spoiled:
                self._shared.connected.discard(self)
                if not self._shared.connected:
                    break
                self._waiting.pause(APART_SECONDS)
        return True

    def _drop(self) -> None:
        self._shared.connected.discard(self)
        if self._connection is not None:
            self._connection.close()
        self._connection = self._tx = None


def _run_one(tx: PostgresTransaction, unit: Unit, *, is_look: bool) -> Outcome:
    """Run a unit. Raises _Spoiled if it fails and there is something to undo."""
    tx.has_written = False
    try:
        if unit.deadline is not None and time.monotonic() > unit.deadline:
            raise DeadlinePassed
        value = unit.run(tx)
    except BaseException as error:  # noqa: BLE001  # whatever the work raises is its caller's
        if tx.has_written or tx.failure is not None:
            raise _Spoiled(error, tx.failure, unit) from None
        return unit, None, error if is_look else _after_failure(tx, unit, error)
    if tx.failure is not None:  # although the unit that noticed kept it to itself
        raise _Spoiled(tx.failure.error, tx.failure, unit)
    return unit, value, None


def _after_failure(tx: PostgresTransaction, unit: Unit, error: BaseException) -> BaseException:
    """Let a unit write about its failure; return what its caller is told."""
    try:
        unit.refused(tx, error)
    except BaseException as second:  # noqa: BLE001  # the failure could not be recorded: that is what counts now
        if tx.failure is not None:
            raise _Spoiled(second, tx.failure, unit) from None
        return second
    return error


def _commit(tx: PostgresTransaction) -> None:
    try:
        tx.commit()
    except Exception as error:  # noqa: BLE001  # of whatever kind, nothing is acknowledged
        raise _Spoiled(error, tx.failure, None) from None


def _resolve(outcomes: list[Outcome]) -> None:
    for unit, value, error in outcomes:
        try:
            unit.settle(value, error)
        except Exception as failure:  # noqa: BLE001  # the others are waiting
            _log.error("a unit could not be settled: %s", type(failure).__name__)
