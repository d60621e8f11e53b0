# SPDX-License-Identifier: Apache-2.0
"""Statements in PostgreSQL's words, and values in those of its protocol."""

from functools import cache
from typing import NamedTuple

from psycopg.pq.abc import PGresult
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.compiler import SQLCompiler

from mysafe.storage.statements import Row, Statement, Value

DIALECT = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types

_BYTES, _BIG, _SMALL, _PLAIN = 17, 20, 21, 23
_BINARY, _TEXT = 1, 0


class Text(NamedTuple):
    """A statement as PostgreSQL takes it, and for each of its parameters which of the given values it is."""

    sql: bytes
    order: tuple[int, ...]


@cache
def text_of(source: object, text: str, parameters: tuple[str, ...]) -> Text:
    """Return the text of a statement; what `Statement` says about it are the arguments.

    A parameter that is used twice comes once here. One without a source is text for every database, but for how
    PostgreSQL writes a place for a value.
    """
    if source is None:
        first, *others = text.split("?")
        numbered = "".join(f"${number}{part}" for number, part in enumerate(others, 1))
        return Text((first + numbered).encode(), tuple(range(len(others))))
    compiled = source.compile(dialect=DIALECT)  # type: ignore[attr-defined]  # a ClauseElement
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("not a statement with parameters")
    order = tuple(parameters.index(name) for name in compiled.positiontup or ())
    return Text(str(compiled).encode(), order)


def text_of_statement(statement: Statement) -> Text:
    """Return the text of a statement."""
    return text_of(statement.source, statement.text, statement.parameters)


def encoded(values: tuple[Value, ...], order: tuple[int, ...]) -> tuple[list[bytes | None], list[int]]:
    """Return values in the order of a text, as the protocol takes them, and how each is written."""
    data: list[bytes | None] = []
    formats = []
    for place in order:
        value = values[place]
        if isinstance(value, int):
            data.append(b"%d" % value)
            formats.append(_TEXT)
        else:
            # Texts too go as bytes with a length: their other form would end at a NUL.
            data.append(value.encode() if isinstance(value, str) else value)
            formats.append(_BINARY)
    return data, formats


def rows_of(result: PGresult) -> list[Row]:
    """Return the rows of a result that was asked for in binary form."""
    columns = range(result.nfields)
    kinds = [result.ftype(column) for column in columns]
    return [
        tuple(_decoded(kinds[column], result.get_value(row, column)) for column in columns)
        for row in range(result.ntuples)
    ]


def _decoded(kind: int, data: bytes | None) -> Value:
    if kind == _BYTES or data is None:
        return data
    if kind in {_BIG, _SMALL, _PLAIN}:
        return int.from_bytes(data, signed=True)
    return data.decode()
