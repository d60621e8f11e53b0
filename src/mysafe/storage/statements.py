# SPDX-License-Identifier: Apache-2.0
"""Statements: written in SQLAlchemy Core, compiled once, executed by the driver as text.

SQLAlchemy's execution path costs five to ten times the driver's; its compiler runs at import only.
"""

from typing import NamedTuple

from sqlalchemy import ClauseElement, Table, bindparam, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

Value = bytes | int | str | None
Row = tuple[Value, ...]

DIALECT = sqlite.dialect(paramstyle="qmark")


class Statement(NamedTuple):
    """SQL text for SQLite, with positional parameters, and what another database compiles its own from.

    `changes_remembered` marks writes to rows a transaction may remember. `failure` is the error that a caller of
    `Transaction.write` hears if the statement fails after that returned, None for the database's own.
    """

    text: str
    changes_remembered: bool = False
    source: ClauseElement | None = None
    parameters: tuple[str, ...] = ()
    failure: type[Exception] | None = None


def compile_statement(
    statement: ClauseElement,
    parameters: tuple[str, ...],
    *,
    changes_remembered: bool = False,
) -> Statement:
    """Return a statement as text whose values are given in the order of `parameters`.

    Raises:
        ValueError: the compiled statement has other parameters, or another order.
    """
    compiled = statement.compile(dialect=DIALECT)
    if not isinstance(compiled, SQLCompiler) or tuple(compiled.positiontup or []) != parameters:
        raise ValueError(f"parameters are {getattr(compiled, 'positiontup', None)}, not {parameters}")
    return Statement(str(compiled), changes_remembered, statement, parameters)


def insert_all(table: Table, *, changes_remembered: bool = False) -> Statement:
    """Return an insert whose values are those of all columns, in the table's order."""
    names = tuple(column.name for column in table.columns)
    statement = insert(table).values({name: bindparam(name) for name in names})
    return compile_statement(statement, names, changes_remembered=changes_remembered)
