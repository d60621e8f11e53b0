# SPDX-License-Identifier: Apache-2.0
"""A connection: statements go out in one go, and their results come back in one go.

This speaks to the library below psycopg's cursors, through `psycopg.pq`: a cursor waits for every statement, and what
a request costs is above all how often it waits.
"""

import select
from collections.abc import Sequence
from typing import NamedTuple

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

from mysafe.domain.errors import Busy, DatabaseUnreachable, NoSpace, Unavailable
from mysafe.storage.engine import StorageRefused, UniqueClash
from mysafe.storage.postgres.server_state import SERVER, ServerState
from mysafe.storage.postgres.texts import encoded, rows_of, text_of_statement
from mysafe.storage.statements import Row, Statement, Value

STATEMENT_MILLISECONDS = 10_000
LOCK_MILLISECONDS = 1000
IDLE_MILLISECONDS = 30_000
"""How long a statement may take, wait for a lock, and leave its transaction idle."""

ANSWER_SECONDS = 15.0
"""After this, the server is gone: it would have ended the statement itself."""

_BINARY = 1

_PREPARE_SESSION = (
    "SELECT set_config('statement_timeout', '{}', false), set_config('lock_timeout', '{}', false),"
    " set_config('idle_in_transaction_session_timeout', '{}', false), set_config('enable_seqscan', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false)"
)
# A table that is read as a whole conflicts with everybody who writes to it; an index is read by the page. And the
# plans are all by key: making one anew for each execution costs more than the statement.
_SESSION = Statement(_PREPARE_SESSION.format(STATEMENT_MILLISECONDS, LOCK_MILLISECONDS, IDLE_MILLISECONDS))


class Broken(Exception):
    """The connection is gone; nobody knows how far the server came."""


class Failed(Exception):
    """The server refused a statement; the transaction cannot go on. `state` is the SQLSTATE."""

    def __init__(self, state: str, statement: Statement) -> None:
        super().__init__(state)
        self.state = state
        self.statement = statement


class Call(NamedTuple):
    """A statement and its values."""

    statement: Statement
    values: tuple[Value, ...] = ()


def connect(text: str) -> "Connection":
    """Return a connection to a server that may be used, ready for units.

    Raises:
        DatabaseUnreachable: nobody answers, or not to us.
        StorageRefused: the server is not durable, too old or a standby.
    """
    connection = Connection(open_link(text))
    try:
        *_, result = connection.exchange([Call(_SESSION), Call(SERVER)])
    except (Broken, Failed):
        connection.close()
        raise DatabaseUnreachable from None
    complaint = ServerState._make(rows_of(result)[0]).complaint()
    if complaint is not None:
        connection.close()
        raise StorageRefused(complaint)
    return connection


def open_link(text: str) -> PGconn:
    """Return the library's connection. Raises DatabaseUnreachable; what the library says may quote the address."""
    link = pq.PGconn.connect(text.encode())
    if link.status != pq.ConnStatus.OK:
        link.finish()
        raise DatabaseUnreachable
    return link


class Connection:
    """A connection for one thread."""

    def __init__(self, link: PGconn) -> None:
        self._link = link
        self._prepared: dict[str, tuple[bytes, tuple[int, ...]]] = {}
        self._poll = select.poll()
        self._poll.register(link.socket, select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(link.socket, select.POLLIN | select.POLLOUT)
        link.nonblocking = 1
        link.enter_pipeline_mode()

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._link.finish()

    def exchange(self, calls: Sequence[Call]) -> list[PGresult]:
        """Send statements, and return the result of each: one round trip.

        Raises:
            Failed: the server refused one; those after it were not run.
            Broken: the connection is gone.
        """
        try:
            return self._exchange(calls)
        except psycopg.Error:
            raise Broken from None

    def _exchange(self, calls: Sequence[Call]) -> list[PGresult]:
        link, prepared = self._link, self._prepared
        new: list[tuple[int, str, tuple[bytes, tuple[int, ...]]]] = []
        sent = 0
        for statement, values in calls:
            known = prepared.get(statement.text)
            if known is None:
                text = text_of_statement(statement)
                known = prepared[statement.text] = (b"s%d" % len(prepared), text.order)
                link.send_prepare(known[0], text.sql)
                new.append((sent, statement.text, known))
                sent += 1
            data, formats = encoded(values, known[1])
            link.send_query_prepared(known[0], data, formats, _BINARY)
            sent += 1
        link.pipeline_sync()
        results = self._collect()
        self._forget_unprepared(new, results)
        places = {place for place, _, _ in new}
        return self._checked(calls, [one for place, one in enumerate(results) if place not in places])

    def _collect(self) -> list[PGresult]:
        """Return what the server answers, until it has answered everything."""
        link = self._link
        results: list[PGresult] = []
        is_sent = link.flush() == 0
        while True:
            while not link.is_busy():
                result = link.get_result()
                if result is None:
                    if link.status != pq.ConnStatus.OK:
                        raise Broken
                    continue  # the end of one statement's answer
                if result.status == pq.ExecStatus.PIPELINE_SYNC:
                    return results
                results.append(result)
            if not (self._poll if is_sent else self._poll_both).poll(ANSWER_SECONDS * 1000):
                raise Broken
            link.consume_input()
            is_sent = is_sent or link.flush() == 0

    def _forget_unprepared(
        self, new: list[tuple[int, str, tuple[bytes, tuple[int, ...]]]], results: list[PGresult]
    ) -> None:
        for place, text, known in new:
            if results[place].status != pq.ExecStatus.COMMAND_OK:
                del self._prepared[text]
                # Its number may be given again, and the server may know it: never use a name twice.
                self._prepared[f"\0{known[0]!r}"] = known

    def _checked(self, calls: Sequence[Call], results: list[PGresult]) -> list[PGresult]:
        for call, result in zip(calls, results, strict=True):
            if result.status == pq.ExecStatus.FATAL_ERROR:
                state = result.error_field(pq.DiagnosticField.SQLSTATE)
                if state is None or self._link.status != pq.ConnStatus.OK or state[:3] in {b"57P", b"08P", b"080"}:
                    raise Broken
                raise Failed(state.decode(), call.statement)
            if result.status == pq.ExecStatus.PIPELINE_ABORTED:
                raise Failed("25P02", call.statement)  # one that was being prepared failed
        return results


def rows_in(result: PGresult) -> list[Row]:
    """Return the rows of a result."""
    return rows_of(result)


def translated(state: str) -> Exception:
    """Return the error of a SQLSTATE in the words of the domain. What the server says in text stays behind."""
    match state[:2]:
        case "23":
            return UniqueClash()
        case "40" | "55" | "57":
            return Busy()
        case "25":
            return Unavailable()
        case "53":
            return NoSpace() if state == "53100" else Busy()
        case _:
            return DatabaseUnreachable()
