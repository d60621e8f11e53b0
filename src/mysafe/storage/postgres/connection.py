# SPDX-License-Identifier: Apache-2.0
"""A connection: statements go out in one go, and their results come back in one go.

This speaks to the library below psycopg's cursors, through `psycopg.pq`: a cursor waits for every statement, and what
a request costs is above all how often it waits.
"""

import select
from collections.abc import Sequence
from typing import NamedTuple

import psycopg
from psycopg import conninfo, pq
from psycopg.pq.abc import PGconn, PGresult

from mysafe.domain.errors import Busy, DatabaseUnreachable, NoSpace, Unavailable
from mysafe.storage.engine import StorageRefused, UniqueClash
from mysafe.storage.postgres.history import Past, Point, complaint_about
from mysafe.storage.postgres.server_state import SERVER, STANDBY, ServerState
from mysafe.storage.postgres.texts import encoded, rows_of, text_of_statement
from mysafe.storage.statements import Row, Statement, Value

STATEMENT_MILLISECONDS = 10_000
LOCK_MILLISECONDS = 400
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


_SCHEMA = b"SET search_path = public"
"""Where our tables are. Whoever may make another schema must not be able to put other tables before them."""

_BAD = frozenset({pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED})

_ENDINGS = (b"08", b"57P")
"""How the states begin after which a connection is over."""


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


class _Prepared(NamedTuple):
    """A statement the server knows by name, and which of the given values its parameters are."""

    name: bytes
    order: tuple[int, ...]


def connect(text: str, past: Past | None = None, *, answer_seconds: float = ANSWER_SECONDS) -> "Connection":
    """Return a connection to a server that may be used, ready for units.

    Args:
        text: what the driver needs.
        past: how far the database had come before; None if nothing is known yet.
        answer_seconds: after so long without an answer the server is gone.

    Raises:
        DatabaseUnreachable: nobody answers, or not to us.
        StorageRefused: the server is not durable, too old, a standby, or behind what was seen before.
    """
    past = past or Past()
    known = past.furthest
    connection = Connection(open_link(text), answer_seconds)
    try:
        *_, result = connection.exchange([Call(_SESSION), Call(SERVER)])
    except (Broken, Failed):
        connection.close()
        raise DatabaseUnreachable from None
    server = ServerState._make(rows_of(result)[0])
    complaint = server.complaint() or complaint_about(server.point, known)
    if complaint is not None:
        connection.close()
        raise StorageRefused(complaint)
    connection.began_at = server.point
    past.note(server.point)
    return connection


def why_unreachable(text: str) -> str:
    """Return why no server of an address could be used, in a sentence: it is asked again, and may be a standby now."""
    try:
        open_link(conninfo.make_conninfo(text, target_session_attrs="any")).finish()
    except DatabaseUnreachable:
        return "the database server cannot be reached, or does not let this user in"
    return STANDBY


def open_link(text: str) -> PGconn:
    """Return the library's connection. Raises DatabaseUnreachable; what the library says may quote the address."""
    link = pq.PGconn.connect(text.encode())
    is_open = link.status == pq.ConnStatus.OK
    if not is_open or link.exec_(_SCHEMA).status != pq.ExecStatus.COMMAND_OK:
        link.finish()
        raise DatabaseUnreachable
    return link


class Connection:
    """A connection for one thread.

    `began_at` is how far the server had come when it was made; `is_warned` says whether the server did what the last
    exchange asked for, but with a warning.
    """

    began_at: Point

    def __init__(self, link: PGconn, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._link = link
        self._answer_seconds = answer_seconds
        self.is_warned = False
        self._prepared: dict[str, _Prepared] = {}
        self._names = 0
        self._poll = select.poll()
        self._poll.register(link.socket, select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(link.socket, select.POLLIN | select.POLLOUT)
        link.notice_handler = self._hear
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
        self.is_warned = False
        try:
            return self._exchange(calls)
        except psycopg.Error:
            raise Broken from None

    def _exchange(self, calls: Sequence[Call]) -> list[PGresult]:
        link = self._link
        asked: list[tuple[Call, _Prepared | None]] = []  # what each result will be about
        for call in calls:
            known = self._prepared.get(call.statement.text)
            if known is None:
                known = self._prepare(call.statement)
                asked.append((call, known))
            data, formats = encoded(call.values, known.order)
            link.send_query_prepared(known.name, data, formats, _BINARY)
            asked.append((call, None))
        link.pipeline_sync()
        results = self._collect()
        for (call, prepared), result in zip(asked, results, strict=True):
            if result.status in _BAD and prepared is not None:
                del self._prepared[call.statement.text]
        for (call, _), result in zip(asked, results, strict=True):
            if result.status in _BAD:
                raise self._error_of(result, call)
        return [result for (_, prepared), result in zip(asked, results, strict=True) if prepared is None]

    def _hear(self, notice: PGresult) -> None:
        self.is_warned |= notice.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) == b"WARNING"

    def _prepare(self, statement: Statement) -> "_Prepared":
        text = text_of_statement(statement)
        self._names += 1  # a name is not used again: one that failed may be known to the server or not
        prepared = self._prepared[statement.text] = _Prepared(b"s%d" % self._names, text.order)
        self._link.send_prepare(prepared.name, text.sql)
        return prepared

    def _collect(self) -> list[PGresult]:
        """Return what the server answers, until it has answered everything."""
        link = self._link
        results: list[PGresult] = []
        is_sent = link.flush() == 0
        while not self._has_taken_all(results):
            if not (self._poll if is_sent else self._poll_both).poll(self._answer_seconds * 1000):
                raise Broken
            link.consume_input()
            is_sent = is_sent or link.flush() == 0
        return results

    def _has_taken_all(self, results: list[PGresult]) -> bool:
        """Take the results that have arrived; return whether they were the last."""
        link = self._link
        while not link.is_busy():
            result = link.get_result()
            if result is None and link.status != pq.ConnStatus.OK:
                raise Broken
            if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
                return True
            if result is not None:  # None is the end of one statement's answer
                results.append(result)
        return False

    def _error_of(self, result: PGresult, call: Call) -> Exception:
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        if state is None or self._link.status != pq.ConnStatus.OK or state.startswith(_ENDINGS):
            return Broken()
        return Failed(state.decode(), call.statement)


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
