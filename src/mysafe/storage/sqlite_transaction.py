# SPDX-License-Identifier: Apache-2.0
"""A transaction on one SQLite connection."""

from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

import apsw

from mysafe.domain.errors import Unavailable
from mysafe.storage.sqlite_connection import translated
from mysafe.storage.statements import Row, Statement, Value

R = TypeVar("R")

IDS_AT_ONCE = 64
"""A sequence is taken in blocks of this many numbers; what is left of a block after a crash is a gap."""

MOST_REMEMBERED = 8192

_UNKNOWN = object()

_TAKE_BLOCK = (
    "INSERT INTO sequences (name, next) VALUES (?1, max(1, ?2) + ?3)"
    " ON CONFLICT (name) DO UPDATE SET next = max(next, ?2) + ?3 RETURNING next"
)

_GIVE_BACK = "UPDATE sequences SET next = ? WHERE name = ? AND next = ?"


class SqliteTransaction:
    """Run statements on one connection, used by one thread. `has_written` says whether a change was tried.

    `is_journal_unwanted` says that something was deleted that must not stay in the journal; a rollback leaves it so.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._run: Callable[..., apsw.Cursor] = connection.execute
        self._run_many: Callable[..., apsw.Cursor] = connection.executemany
        self._remembered: dict[tuple[str, Value], object] = {}
        self._blocks: dict[str, tuple[int, int]] = {}
        self._floors: dict[str, int] = {}
        self._new_blocks: set[str] = set()  # taken in this transaction
        self._data_version: object = None
        self.has_written = False
        self.is_journal_unwanted = False

    def rows(self, statement: Statement, *values: Value) -> list[Row]:
        """Return all rows of a query."""
        try:
            return self._run(statement.text, values).fetchall()  # type: ignore[return-value]  # no floats in our tables
        except apsw.Error as error:
            raise self._failed(error) from error

    def row(self, statement: Statement, *values: Value) -> Row | None:
        """Return the first row of a query, or None."""
        try:
            return self._run(statement.text, values).fetchone()
        except apsw.Error as error:
            raise self._failed(error) from error

    def remembered(self, statement: Statement, value: Value, build: Callable[[Row], R]) -> R | None:
        """Return what `build` makes of a row, from memory if neither we nor another connection changed anything."""
        key = statement.text, value
        known = self._remembered.get(key, _UNKNOWN)
        if known is _UNKNOWN:
            row = self.row(statement, value)
            known = None if row is None else build(row)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = known
        return known  # type: ignore[return-value]  # a statement is used with one kind of `build`

    def expect(self, statement: Statement, value: Value, build: Callable[[Row], R], wanted: R) -> bool:
        """Return whether `remembered` returns something that is equal to what is wanted."""
        return self.remembered(statement, value, build) == wanted

    def execute(self, statement: Statement, *values: Value) -> int:
        """Run a change and return the number of rows changed."""
        self.has_written = True
        try:
            self._run(statement.text, values)
        except apsw.Error as error:
            raise self._failed(error) from error
        if statement.changes_remembered:
            self._remembered.clear()
        return self._connection.changes()

    def write(self, statement: Statement, *values: Value) -> None:
        """Run a change whose number of rows does not matter."""
        self.has_written = True
        try:
            self._run(statement.text, values)
        except apsw.Error as error:
            raise self._failed(error) from error
        if statement.changes_remembered:
            self._remembered.clear()

    def execute_many(self, statement: Statement, rows: Iterable[Row]) -> None:
        """Run a change once for each row of values."""
        self.has_written = True
        try:
            self._run_many(statement.text, rows)
        except apsw.Error as error:
            raise self._failed(error) from error
        if statement.changes_remembered:
            self._remembered.clear()

    def next_id(self, sequence: str) -> int:
        """Return the next number of a sequence."""
        number, end = self._blocks.get(sequence, (0, 0))
        if number == end:
            self.has_written = True
            try:
                rows = self._run(_TAKE_BLOCK, (sequence, self._floors.get(sequence, 1), IDS_AT_ONCE)).fetchall()
            except apsw.Error as error:
                raise self._failed(error) from error
            end = int(str(rows[0][0]))
            number = end - IDS_AT_ONCE
            self._new_blocks.add(sequence)
        self._blocks[sequence] = (number + 1, end)
        self._floors[sequence] = end
        return number

    def empty_journal_afterwards(self) -> None:
        """Ask that the journal is emptied after the commit."""
        self.is_journal_unwanted = True

    def give_back(self) -> None:
        """Return the numbers that were taken and never given out, if nobody took a block since."""
        for sequence, (number, end) in self._blocks.items():
            self._connection.execute(_GIVE_BACK, (number, sequence, end))

    def begin(self) -> None:
        """Forget what is remembered if another connection committed since; call it inside a new transaction.

        SQLite's data_version changes exactly then. Inside a transaction nobody else can change what we read.
        """
        self._run, self._run_many = self._connection.execute, self._connection.executemany
        self._new_blocks.clear()
        version = self._run("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self._remembered.clear()

    def rolled_back(self) -> None:
        """Forget what a rollback may have undone. Numbers that were given out are never given again."""
        self._remembered.clear()
        for sequence in self._new_blocks:
            self._blocks.pop(sequence, None)
        self._new_blocks.clear()

    def _failed(self, error: apsw.Error) -> Exception:
        """Return a driver's error in our words. If it ended the transaction, nothing runs any more until `begin`."""
        if not self._connection.in_transaction:
            self._run = self._run_many = _refuse
        return translated(error)


def _refuse(*_: object) -> NoReturn:
    """Stand in for the driver: a statement after the end of a transaction would be committed by itself."""
    raise Unavailable
