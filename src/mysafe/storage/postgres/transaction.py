# SPDX-License-Identifier: Apache-2.0
"""A transaction on one PostgreSQL connection. What need not be answered at once is sent with what must be."""

import threading
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple, TypeVar

from psycopg.pq.abc import PGresult

from mysafe.domain.errors import DatabaseUnreachable, Unavailable
from mysafe.storage.postgres.connection import Broken, Call, Connection, Failed, rows_in, translated
from mysafe.storage.statements import Row, Statement, Value

R = TypeVar("R")

IDS_AT_ONCE = 64
"""What a sequence of the schema is increased by: each number it gives begins a block."""

MOST_HABITS = 8192

WRITING = Statement("BEGIN ISOLATION LEVEL SERIALIZABLE")
LOOKING = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
"""A look sees one state that was committed as it is, which is all it needs; and it can never fail to serialize."""

APART = (
    Statement("SET LOCAL lock_timeout = '200ms'"),
    Statement("LOCK TABLE keyring IN ACCESS EXCLUSIVE MODE"),
)
"""What follows the beginning of a unit that nobody must overtake: every unit reads the keyring first. It waits for
those under way, but not so long that those who wait behind it are sent away."""

_CLASH = "23505"
"""SQLSTATE of a value that should be unique and is not."""

_LOCKED = "55P03"
"""SQLSTATE of a lock that was waited for too long."""

_COMMIT = Statement("COMMIT")
_ROLLBACK = Statement("ROLLBACK")

Key = tuple[str, Value]


class Fate(Enum):
    """What a failure means for the work of the transaction."""

    AGAIN = "others were faster: run it again"
    LOST = "the connection is gone, and nothing is committed"
    IN_DOUBT = "the connection went while it committed"
    GONE = "nobody answers"
    STUCK = "it waited too long for somebody else"
    REFUSED = "the database said no"


class Failure(NamedTuple):
    """How a transaction ended that can only be rolled back."""

    fate: Fate
    error: Exception


class _Expected(NamedTuple):
    """A row that was assumed: how it is asked for, and what must come."""

    key: Key
    call: Call
    build: Callable[[Row], object]
    wanted: object


class Numbers:
    """The ids of this process: what is left of blocks that are known to be taken, for all connections together.

    The server writes with a commit, and not before, that a block is taken. If it or its standby goes on without that,
    it gives the same block to somebody else. So a block stays with the connection that asked for it, whose commits
    come after it in any case, until one of them is acknowledged.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, list[int]] = {}

    def next(self, sequence: str) -> int | None:
        """Return the next number of a sequence, None if a block must be taken."""
        with self._lock:
            left = self._left.get(sequence)
            return left.pop() if left else None

    def share(self, sequence: str, numbers: list[int]) -> None:
        """Take what is left of a block, the largest first."""
        with self._lock:
            self._left[sequence] = [*numbers, *self._left.get(sequence, [])]


class PostgresTransaction:
    """Run statements on one connection, used by one thread.

    `has_written` says whether a change was tried, `failure` how the transaction ended too early, None if it did not.

    Args:
        numbers: gives ids.
        habits: which rows were read because of which other ones; shared by all connections. It only says what to
            read in advance: every row is read in the transaction that uses it.
    """

    def __init__(self, connection: Connection, numbers: Numbers, habits: dict[Key, dict[Key, Statement]]) -> None:
        self._connection = connection
        self._numbers = numbers
        self._habits = habits
        self._own: dict[str, list[int]] = {}
        self._waiting: list[Call] = []
        self._beginning = 0
        self._is_begun = False
        self._has_changed = False
        self._remembered: dict[Key, object] = {}
        self._ahead: dict[Key, Row | None] = {}
        self._reason: Key | None = None
        self._expected: list[_Expected] = []
        self._is_doubtful = False  # what was assumed last was wrong: now it is asked first
        self.has_written = False
        self.failure: Failure | None = None

    # -- what a unit may do --------------------------------------------------------------------------------------------

    def rows(self, statement: Statement, *values: Value) -> list[Row]:
        """Return all rows of a query."""
        return rows_in(self._send(Call(statement, values)))

    def row(self, statement: Statement, *values: Value) -> Row | None:
        """Return the first row of a query, or None."""
        rows = self.rows(statement, *values)
        return rows[0] if rows else None

    def remembered(self, statement: Statement, value: Value, build: Callable[[Row], R]) -> R | None:
        """Return what `build` makes of a row, from memory if this same transaction has read it before.

        Nothing outlives the transaction: other servers may change any row at any time.
        """
        key = (statement.text, value)
        known = self._remembered.get(key)
        if known is None:
            row = self._read_ahead(key, statement)
            if row is None:
                return None
            known = self._remembered[key] = self._because_of(key, build, row)
        return known  # type: ignore[return-value]  # a statement is used with one kind of `build`

    def expect(self, statement: Statement, value: Value, build: Callable[[Row], R], wanted: R) -> bool:
        """Return whether `remembered` returns something that is equal to what is wanted; or assume it, once."""
        key = (statement.text, value)
        if self._is_doubtful or key in self._ahead or key in self._remembered:
            return self.remembered(statement, value, build) == wanted
        self._check()
        if all(one.key != key for one in self._expected):
            call = Call(statement, (value,))
            self._waiting.append(call)
            self._expected.append(_Expected(key, call, build, wanted))
        return True

    def execute(self, statement: Statement, *values: Value) -> int:
        """Run a change and return the number of rows changed."""
        self._note_change(statement)
        return self._send(Call(statement, values)).command_tuples or 0

    def write(self, statement: Statement, *values: Value) -> None:
        """Send a change with whatever comes next."""
        self._note_change(statement)
        self._check()
        self._waiting.append(Call(statement, values))

    def execute_many(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Send a change for each row of values with whatever comes next."""
        for row in rows:
            self.write(statement, *row)

    def next_id(self, sequence: str) -> int:
        """Return the next number of a sequence. It is never given again, whatever becomes of the transaction.

        Whoever else needs one meanwhile does not wait for a block that is being taken: he takes his own.
        """
        if own := self._own.get(sequence):
            return own.pop()
        number = self._numbers.next(sequence)
        if number is None:
            number = self._take_block(sequence)
            self._own[sequence] = [*reversed(range(number + 1, number + IDS_AT_ONCE))]
        return number

    def empty_journal_afterwards(self) -> None:
        """Do nothing: what the server's journal keeps, and for how long, is set there."""

    # -- what a lane does ----------------------------------------------------------------------------------------------

    def begin(self, *how: Statement) -> None:
        """Begin: `how` is sent with the first statement."""
        self._waiting = [Call(one) for one in how]
        self._beginning = len(how)
        self._is_begun = False
        self._remembered.clear()
        self._ahead.clear()
        self._expected.clear()
        self.has_written = self._has_changed = False
        self.failure = None

    def commit(self) -> None:
        """Send what waits and commit; it is on disk when this returns. Otherwise `failure` is set and it raises."""
        if not self._is_begun and len(self._waiting) <= self._beginning:
            return  # only the beginning waits: nothing was asked, so there is nothing to end
        try:
            if self._expected:
                self._exchanged([])  # before anything is committed that came of it
            self._send(Call(_COMMIT))
            self._is_doubtful = False
            if self._connection.is_warned:  # an operator ended the wait for the standby: nobody knows what it has
                self.failure = Failure(Fate.LOST, DatabaseUnreachable())
                raise self.failure.error
        except Exception:
            if self.failure is not None and self.failure.fate is Fate.LOST:
                self.failure = Failure(Fate.IN_DOUBT, self.failure.error)
            raise

    def share_numbers(self) -> None:
        """Let all connections use what is left of the blocks taken here, now that a commit has written them."""
        if self._has_changed:
            for sequence, numbers in self._own.items():
                self._numbers.share(sequence, numbers)
            self._own.clear()

    def roll_back(self) -> None:
        """Undo everything; without a connection that happens by itself."""
        is_needed = self._is_begun and (self.failure is None or self.failure.fate not in {Fate.LOST, Fate.IN_DOUBT})
        self._waiting, self._is_begun = [], False
        self._expected.clear()
        self._remembered.clear()
        self._ahead.clear()
        if is_needed:
            self.failure = None
            self._send(Call(_ROLLBACK))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _send(self, call: Call) -> PGresult:
        """Send what waits and a statement, and return the result of the latter."""
        self._check()
        return self._exchanged([call])[-1]

    def _exchanged(self, calls: list[Call]) -> list[PGresult]:
        """Send what waits and some statements, and return all their results."""
        late, self._waiting = self._waiting, []
        self._is_begun = True
        try:
            results = self._connection.exchange([*late, *calls])
        except Broken:
            error: Exception = DatabaseUnreachable()
            self.failure = Failure(Fate.LOST, error)
        except Failed as failed:
            error = translated(failed.state)
            is_late = any(failed.statement is call.statement for call in late)
            if is_late and failed.statement.failure is not None:
                error = failed.statement.failure()
            # What is sent later clashes with nothing: if it did, somebody else was faster, and committed the same.
            is_faster = (is_late and failed.state == _CLASH) or _waited_for_one_apart(failed)
            self.failure = Failure(Fate.AGAIN if is_faster else _fate(failed.state), error)
        else:
            self._compare(late, results)
            return results
        raise error

    def _compare(self, late: list[Call], results: list[PGresult]) -> None:
        """Compare what was assumed with what came. Raises Unavailable, with which the transaction has failed."""
        expected, self._expected = self._expected, []
        for one in expected:
            place = next(number for number, call in enumerate(late) if call is one.call)
            rows = rows_in(results[place])
            self._ahead[one.key] = rows[0] if rows else None
            if not rows or one.build(rows[0]) != one.wanted:
                self._is_doubtful = True
                self.failure = Failure(Fate.AGAIN, Unavailable())
                raise self.failure.error

    def _check(self) -> None:
        if self.failure is not None:
            raise Unavailable  # the transaction has ended: whatever is sent now would stand by itself

    def _note_change(self, statement: Statement) -> None:
        self.has_written = self._has_changed = True
        if statement.changes_remembered:
            self._remembered.clear()
            self._ahead.clear()

    def _take_block(self, sequence: str) -> int:
        # Not a parameter: the planner takes a name in quotes for the sequence itself, and the names are our own.
        rows = self.rows(Statement(f"SELECT nextval('{sequence}_ids')"))
        return int(str(rows[0][0]))

    def _because_of(self, key: Key, build: Callable[[Row], R], row: Row) -> R:
        """Return what `build` makes of a row; what it reads on the way is read along the next time."""
        before, self._reason = self._reason, self._reason or key
        try:
            return build(row)
        finally:
            self._reason = before

    def _read_ahead(self, key: Key, statement: Statement) -> Row | None:
        """Return a row, and read along what was needed after it the last time."""
        if self._reason is not None:
            self._learn(self._reason, key, statement)
        if key in self._ahead:
            return self._ahead[key]
        wanted = {key: statement}
        for other, its in self._habits.get(key, {}).items():
            if other not in self._ahead and other not in self._remembered:
                wanted[other] = its
        self._check()
        results = self._exchanged([Call(its, (of,)) for (_, of), its in wanted.items()])[-len(wanted) :]
        for one, result in zip(wanted, results, strict=True):
            rows = rows_in(result)
            self._ahead[one] = rows[0] if rows else None
        return self._ahead[key]

    def _learn(self, reason: Key, key: Key, statement: Statement) -> None:
        habits = self._habits
        if key not in habits.get(reason, {}):
            if len(habits) >= MOST_HABITS:
                habits.clear()
            habits[reason] = {**habits.get(reason, {}), key: statement}


def _waited_for_one_apart(failed: Failed) -> bool:
    """Return whether a statement waited in vain for a unit that runs apart: for the keyring nobody waits otherwise."""
    return failed.state == _LOCKED and "FROM keyring" in failed.statement.text.replace("\n", "")


def _fate(state: str) -> Fate:
    if state in {"40001", "40P01"}:
        return Fate.AGAIN
    return Fate.STUCK if state in {_LOCKED, "57014"} else Fate.REFUSED
