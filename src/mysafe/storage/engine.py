# SPDX-License-Identifier: Apache-2.0
"""What every database engine offers. Futures are plain: the command line waits, the server awaits."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Protocol, TypeVar

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

    def execute(self, statement: Statement, *values: Value) -> int:
        """Run a change and return the number of rows changed."""

    def execute_many(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Run a change once for each row of values."""

    def next_id(self, sequence: str) -> int:
        """Return a number that this sequence never gave before, larger than all that this process got."""


class Engine(Protocol):
    """A database. It may be used from any thread."""

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

    def look(self, work: Callable[[Transaction], T], *, deadline: float | None = None) -> "Future[T]":
        """Run work that only reads, on one snapshot and beside the writer."""

    def run_units_on(self, host: Host | None) -> None:
        """Let the units that may write run on the host's thread, and resolve their futures there; None: on ours."""

    def close(self) -> None:
        """Finish what is queued and close the database."""
