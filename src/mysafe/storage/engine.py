# SPDX-License-Identifier: Apache-2.0
"""What every database engine offers. It runs units: the server hears their end, the command line waits for a future."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from mysafe.domain.histogram import Histogram
from mysafe.storage.hosting import Host
from mysafe.storage.statements import Row, Statement, Value

T = TypeVar("T")
R = TypeVar("R")


class StorageRefused(Exception):
    """The database cannot be opened safely. The text is one sentence for the operator."""


class UniqueClash(Exception):
    """A row breaks a constraint of the schema, usually that a value is unique."""


class Transaction(Protocol):
    """An open transaction. Values stand in the order the statement was compiled with.

    Every method raises a `mysafe.domain.errors.Unavailable` when the database fails, and UniqueClash when a
    constraint does.
    """

    def rows(self, statement: Statement, *values: Value) -> list[Row]:
        """Return all rows of a query."""

    def row(self, statement: Statement, *values: Value) -> Row | None:
        """Return the first row of a query, or None."""

    def remembered(self, statement: Statement, value: Value, build: Callable[[Row], R]) -> R | None:
        """Return what `build` makes of the row of a query with one parameter, or None.

        It may come from memory when nobody can have changed the row since; so a statement has one `build`.
        """

    def expect(self, statement: Statement, value: Value, build: Callable[[Row], R], wanted: R) -> bool:
        """Return whether `remembered` returns something that is equal to what is wanted.

        Where that has to be asked over a network, True may only be assumed, and is asked with whatever comes next:
        if it was wrong, nothing of this transaction is committed, and its units are run again with a sure answer.
        """

    def execute(self, statement: Statement, *values: Value) -> int:
        """Run a change and return the number of rows changed."""

    def write(self, statement: Statement, *values: Value) -> None:
        """Run a change whose number of rows does not matter.

        It may be sent later, with the next statement or the commit, and then its error comes from there.
        """

    def execute_many(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Run a change once for each row of values; as `write`, it may be sent later."""

    def next_id(self, sequence: str) -> int:
        """Return a number that this sequence never gave before, nor will again, whatever becomes of the transaction."""

    def empty_journal_afterwards(self) -> None:
        """Ask that what this transaction deletes does not stay in the database's journal either, after the commit."""


class Unit(Protocol):
    """What an engine runs in a transaction. `deadline` is `time.monotonic()` after which it is not begun, or None."""

    deadline: float | None

    def is_wanted(self) -> bool:
        """Return whether anybody still waits; asked once, before the work begins. After it nobody can call it off."""

    def run(self, tx: Transaction) -> object:
        """Do the work and return its value. It touches nothing else, and may be run again after a rollback."""

    def refused(self, tx: Transaction, error: BaseException) -> None:
        """Write about a failure, after what the work wrote is undone. If this fails, its error is the unit's."""

    def settle(self, value: object, error: BaseException | None) -> None:
        """Hear the end: the value once it is on disk, or the error. Called once, on any thread; it raises nothing."""


class Leadership(Protocol):
    """Whether this process does what only one server of a vault does at a time."""

    def is_held(self) -> bool:
        """Return whether it is ours now. It costs nothing."""

    def close(self) -> None:
        """Leave it to others."""


class Alone:
    """The leadership of a process that is the only one."""

    def is_held(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Do nothing: there are no others."""


GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Bounds of how many units were committed together."""

COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Bounds of how long a commit took until it was on disk."""


class LaneTally:
    """What one writing thread committed."""

    __slots__ = ("seconds", "sizes")

    def __init__(self) -> None:
        self.sizes = Histogram(GROUP_SIZES)
        self.seconds = Histogram(COMMIT_SECONDS)

    def committed(self, units: int, seconds: float) -> None:
        """Count a commit of so many units, which took so long."""
        self.sizes.add(units)
        self.seconds.add(seconds)


class EngineFigures(NamedTuple):
    """How an engine does: units that wait to write or to look, and all commits since it was opened."""

    waiting_units: int
    waiting_looks: int
    group_sizes: Histogram
    commit_seconds: Histogram


def figures_of(waiting_units: int, waiting_looks: int, tallies: Sequence[LaneTally]) -> EngineFigures:
    """Return the figures of an engine whose threads counted in `tallies`."""
    return EngineFigures(
        waiting_units,
        waiting_looks,
        Histogram.sum_of(GROUP_SIZES, [tally.sizes for tally in tallies]),
        Histogram.sum_of(COMMIT_SECONDS, [tally.seconds for tally in tallies]),
    )


class Engine(ABC):
    """A database. It may be used from any thread. `is_shared` tells whether other servers may serve its vault too."""

    is_shared: ClassVar[bool] = False

    @abstractmethod
    def enqueue(self, unit: Unit) -> None:
        """Run a unit that may write, and settle it after its commit is on disk; with Busy if too much is queued."""

    @abstractmethod
    def enqueue_look(self, unit: Unit) -> None:
        """Run a unit that only reads, on one snapshot and beside the writer, and settle it; Busy as for `enqueue`."""

    @abstractmethod
    def run_units_on(self, host: Host | None) -> None:
        """Let the units that may write run on the host's thread, and settle them there; None: on ours."""

    def wait_for_earlier(self, seconds: float) -> bool:
        """Return True when every transaction that has begun by now is over, False if some are not in so many seconds.

        Where a transaction that writes is alone, there is nothing to wait for. Raises DatabaseUnreachable.
        """
        return True

    def leadership(self) -> Leadership:
        """Return what tells whether this process leads; it tries to from now on, until that is closed."""
        return Alone()

    @abstractmethod
    def close(self) -> None:
        """Finish what is queued and close the database."""

    def figures(self) -> EngineFigures:
        """Return how the engine does. From any thread; it asks nobody, and so it never waits."""
        return figures_of(0, 0, ())

    def submit(
        self,
        work: Callable[[Transaction], T],
        *,
        after_rollback: Callable[[Transaction, BaseException], None] | None = None,
        deadline: float | None = None,
    ) -> "Future[T]":
        """Run work that may write; the future is resolved after its commit is on disk.

        Args:
            work: touches nothing but the transaction, and may be run again after a rollback.
            after_rollback: run when the work failed and its writes are undone; what it writes is committed. If it
                fails, its error replaces the work's.
            deadline: `time.monotonic()` after which the work is not begun any more, or None.
        """
        future: Future[T] = Future()
        self.enqueue(_FutureUnit(work, after_rollback, deadline, future))
        return future

    def look(self, work: Callable[[Transaction], T], *, deadline: float | None = None) -> "Future[T]":
        """Run work that only reads, on one snapshot and beside the writer. Arguments as for `submit`."""
        future: Future[T] = Future()
        self.enqueue_look(_FutureUnit(work, None, deadline, future))
        return future


class _FutureUnit:
    """A unit whose end is heard through a future."""

    __slots__ = ("_after_rollback", "_future", "_work", "deadline")

    def __init__(
        self,
        work: Callable[[Transaction], T],
        after_rollback: Callable[[Transaction, BaseException], None] | None,
        deadline: float | None,
        future: "Future[T]",
    ) -> None:
        self._work = work
        self._after_rollback = after_rollback
        self._future: Future[object] = future  # type: ignore[assignment]  # it gets what the work returns
        self.deadline = deadline

    def is_wanted(self) -> bool:
        """Return whether the future was not cancelled."""
        return self._future.set_running_or_notify_cancel()

    def run(self, tx: Transaction) -> object:
        """Do the work."""
        return self._work(tx)

    def refused(self, tx: Transaction, error: BaseException) -> None:
        """Let the caller write about a failure."""
        if self._after_rollback is not None:
            self._after_rollback(tx, error)

    def settle(self, value: object, error: BaseException | None) -> None:
        """Resolve the future."""
        if error is None:
            self._future.set_result(value)
        else:
            self._future.set_exception(error)
