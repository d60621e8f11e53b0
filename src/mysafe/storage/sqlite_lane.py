# SPDX-License-Identifier: Apache-2.0
"""The SQLite engine: one writer with group commit, and readers beside it.

The writer thread takes whatever is queued into one transaction. An answer is given after its commit is on disk:

    wait for the first unit
    BEGIN IMMEDIATE
    take whatever else is queued, at most 256 units, and run every one
    COMMIT                                            one fsync for all of them
    settle every unit: its value, or its own exception

A unit that fails before it wrote anything needs no undoing. If one fails after that, the whole group is rolled back
and run again with a savepoint for each unit, so that its neighbours commit without it. That is rare, and it spares
two statements for every unit of every other group.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

import apsw

from mysafe.domain.errors import Busy, DeadlinePassed, Unavailable
from mysafe.storage.engine import Engine, EngineFigures, LaneTally, Unit, figures_of
from mysafe.storage.hosting import Host, run_hosted
from mysafe.storage.migrations import migrate
from mysafe.storage.migrations.declared import check_declared
from mysafe.storage.sqlite_connection import (
    check_file,
    connect,
    create_file,
    is_failed_sync,
    is_journal_emptied,
    translated,
)
from mysafe.storage.sqlite_transaction import SqliteTransaction

_log = logging.getLogger("mysafe.storage")

LARGEST_GROUP = 256
LONGEST_QUEUE = 4096
READERS = 2


def stop_the_process() -> None:
    """End the process at once: an fsync failed, so nobody knows what is on disk. A restart reads it anew."""
    try:
        print("mysafe: an fsync of the database failed; stopping", file=sys.stderr, flush=True)  # noqa: T201  # last words
    finally:
        os._exit(70)  # also when nobody can take the words, as on a full disk


class _Spoiled(Exception):
    """The transaction of a group cannot go on, because a unit failed with `failure` and left something to undo.

    SQLite itself ends the transaction on some errors: a full disk for one, or a read that fails.
    """

    def __init__(self, failure: BaseException) -> None:
        super().__init__()
        self.failure = failure


Outcome = tuple[Unit, object, BaseException | None]


class SqliteEngine(Engine):
    """A SQLite database. Use `create` or `open`.

    Args:
        path: an existing, migrated database.
        on_fatal: called when an fsync failed; it must not return in production.
    """

    def __init__(self, path: Path, *, on_fatal: Callable[[], None] = stop_the_process) -> None:
        self._on_fatal = on_fatal
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._looks: SimpleQueue[Unit | None] = SimpleQueue()
        self._is_closed = False
        self._is_over = False  # the writer has seen the mark that ends its queue
        self._gate = threading.Lock()  # nothing comes into a queue behind the mark that ends it
        self._host: Host | None = None
        self._tally = LaneTally()
        writer = connect(path)
        readers = [connect(path, is_reader=True) for _ in range(READERS)]
        self._threads = [threading.Thread(target=self._write, args=(writer,), name="writer", daemon=True)]
        for reader in readers:
            self._threads.append(threading.Thread(target=self._read, args=(reader,), name="reader", daemon=True))
        for thread in self._threads:
            thread.start()

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new database and open it. Raises StorageRefused, also when there is a file already."""
        create_file(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a database; an older schema is migrated first.

        Raises:
            StorageRefused: it cannot be used, or holds something that this version does not make.
        """
        check_file(path)
        connection = connect(path)
        try:
            migrate(connection)
            check_declared(connection)
        finally:
            connection.close()
        return cls(path)

    def enqueue(self, unit: Unit) -> None:
        """Run a unit that may write; see `Engine.enqueue`."""
        self._put(self._queue, unit)

    def enqueue_look(self, unit: Unit) -> None:
        """Run a unit that only reads; see `Engine.enqueue_look`."""
        self._put(self._looks, unit)

    def run_units_on(self, host: Host | None) -> None:
        """Let the units that may write run on the host's thread from now on; None takes that back."""
        self._host = host

    def figures(self) -> EngineFigures:
        """Return how the engine does; see `Engine.figures`."""
        return figures_of(self._queue.qsize(), self._looks.qsize(), (self._tally,))

    def close(self) -> None:
        """Finish what is queued and close the database."""
        with self._gate:
            self._is_closed = True
            self._queue.put(None)
            for _ in range(READERS):
                self._looks.put(None)
        for thread in self._threads:
            thread.join()

    def _put(self, queue: SimpleQueue[Unit | None], unit: Unit) -> None:
        is_full = queue.qsize() >= LONGEST_QUEUE
        with self._gate:
            is_refused = is_full or self._is_closed
            if not is_refused:
                queue.put(unit)
        if is_refused:
            unit.settle(None, Busy())

    # -- the writer -------------------------------------------------------------------------------------------------

    def _write(self, connection: apsw.Connection) -> None:
        tx = SqliteTransaction(connection)
        while (unit := self._queue.get()) is not None:
            group: list[Unit] = []
            _join(group, unit)
            self._commit_group(connection, tx, group)
            if self._is_over:
                break
        try:
            tx.give_back()
        except apsw.Error:
            pass  # a gap in the numbers is no harm
        connection.close()

    def _commit_group(self, connection: apsw.Connection, tx: SqliteTransaction, group: list[Unit]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = run_hosted(self._host, lambda: self._run_group(connection, tx, group))
            if outcomes is None:
                _roll_back(connection, tx)
                connection.execute("BEGIN IMMEDIATE")
                outcomes = run_hosted(self._host, lambda: _run_group_carefully(connection, tx, group))
            began = time.monotonic()
            connection.execute("COMMIT")
            self._tally.committed(len(group), time.monotonic() - began)
            if tx.is_journal_unwanted:
                tx.is_journal_unwanted = not is_journal_emptied(connection)
        except _Spoiled as spoiled:
            self._fail_group(connection, tx, group, spoiled.failure)
            return
        except apsw.Error as error:
            self._fail_group(connection, tx, group, translated(error))
            if is_failed_sync(error):
                self._on_fatal()
            return
        try:
            (self._host or _at_once)(lambda: _resolve(outcomes))
        except RuntimeError:  # the host is gone
            _resolve(outcomes)

    def _run_group(self, connection: apsw.Connection, tx: SqliteTransaction, group: list[Unit]) -> list[Outcome] | None:
        """Return the outcomes of the units, None if one left something to undo."""
        tx.begin()
        self._take_waiting(group)
        try:
            return [_run_hopefully(connection, tx, unit) for unit in group]
        except _Spoiled:
            return None

    def _take_waiting(self, group: list[Unit]) -> None:
        """Let all units that wait join a group, as far as it may grow. It begins now, so the latest come along."""
        while len(group) < LARGEST_GROUP:
            try:
                unit = self._queue.get_nowait()
            except Empty:
                return
            if unit is None:
                self._is_over = True
                return
            _join(group, unit)

    def _fail_group(
        self, connection: apsw.Connection, tx: SqliteTransaction, group: list[Unit], failure: BaseException
    ) -> None:
        """Nothing of the group is on disk, and nobody was answered."""
        try:
            _roll_back(connection, tx)
        except apsw.Error as error:
            failure = translated(error)
        _resolve([(unit, None, failure) for unit in group])

    # -- the readers ------------------------------------------------------------------------------------------------

    def _read(self, connection: apsw.Connection) -> None:
        tx = SqliteTransaction(connection)
        while (unit := self._looks.get()) is not None:
            if not unit.is_wanted():
                continue
            try:
                outcome = _look(connection, tx, unit)
            except apsw.Error as error:
                outcome = unit, None, translated(error)
            _resolve([outcome])
        connection.close()


def _join(group: list[Unit], unit: Unit) -> None:
    """Add a unit to a group, unless nobody waits for it any more."""
    if unit.is_wanted():
        group.append(unit)


def _at_once(function: Callable[[], None]) -> None:
    function()


def _resolve(outcomes: list[Outcome]) -> None:
    for unit, value, failure in outcomes:
        try:
            unit.settle(value, failure)
        except Exception as error:  # noqa: BLE001  # the others are waiting
            _log.error("a unit could not be settled: %s", type(error).__name__)


def _look(connection: apsw.Connection, tx: SqliteTransaction, unit: Unit) -> Outcome:
    connection.execute("BEGIN")
    try:
        tx.begin()
        return unit, _begun(tx, unit), None
    except BaseException as failure:  # noqa: BLE001  # whatever the work raises is its caller's
        return unit, None, failure
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _begun(tx: SqliteTransaction, unit: Unit) -> object:
    if unit.deadline is not None and time.monotonic() > unit.deadline:
        raise DeadlinePassed
    return unit.run(tx)


def _run_hopefully(connection: apsw.Connection, tx: SqliteTransaction, unit: Unit) -> Outcome:
    """Run a unit without a savepoint. Raises _Spoiled if it fails and there is something to undo."""
    tx.has_written = False
    try:
        value = _begun(tx, unit)
    except BaseException as failure:  # noqa: BLE001  # whatever the work raises is its caller's
        if tx.has_written or not connection.in_transaction:
            raise _Spoiled(failure) from None
        return unit, None, _after_rollback(connection, tx, unit, failure)
    _check_that_it_lasts(connection)
    return unit, value, None


def _run_group_carefully(connection: apsw.Connection, tx: SqliteTransaction, group: list[Unit]) -> list[Outcome]:
    tx.begin()
    return [_run_carefully(connection, tx, unit) for unit in group]


def _roll_back(connection: apsw.Connection, tx: SqliteTransaction) -> None:
    """Undo a transaction, if SQLite has not done so already."""
    tx.rolled_back()
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _run_carefully(connection: apsw.Connection, tx: SqliteTransaction, unit: Unit) -> Outcome:
    """Run a unit inside a savepoint, and undo it alone if it fails. Raises _Spoiled if it cannot be undone alone."""
    connection.execute("SAVEPOINT unit")
    try:
        value = _begun(tx, unit)
    except BaseException as failure:  # noqa: BLE001  # whatever the work raises is its caller's
        if not connection.in_transaction:
            raise _Spoiled(failure) from None
        connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
        tx.rolled_back()
        return unit, None, _after_rollback(connection, tx, unit, failure)
    _check_that_it_lasts(connection)
    connection.execute("RELEASE unit")
    return unit, value, None


def _check_that_it_lasts(connection: apsw.Connection) -> None:
    """Raise _Spoiled if the transaction has ended, although the unit that noticed kept it to itself."""
    if not connection.in_transaction:
        raise _Spoiled(Unavailable())


def _after_rollback(
    connection: apsw.Connection, tx: SqliteTransaction, unit: Unit, failure: BaseException
) -> BaseException:
    """Let the unit write about its failure; return what its caller is told."""
    try:
        unit.refused(tx, failure)
    except BaseException as second:  # noqa: BLE001  # the failure could not be recorded: that is what counts now
        if not connection.in_transaction:
            raise _Spoiled(second) from None
        return second
    return failure
