# SPDX-License-Identifier: Apache-2.0
"""The bare driver: the statements of a call, in the same round trips, and nothing else.

No HTTP, no JSON, no cryptography, no queue: each connection has a thread that sends one transaction after the other
through `psycopg.pq`, reads what comes back, and counts those that were committed.
"""

import itertools
import json
import random
import select
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

ANSWER_MILLISECONDS = 15_000
OVERTAKEN = b"40001"

Value = tuple[int, bytes] | None
"""How it is written, and its bytes."""


class Asked(NamedTuple):
    """A statement and its values."""

    sql: bytes
    values: tuple[Value, ...]


Transaction = list[list[Asked]]
"""Round trips, each some statements."""


@dataclass
class Tally:
    """What the threads did, together."""

    committed: int = 0
    overtaken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, committed: int, overtaken: int) -> None:
        """Count what one thread did."""
        with self.lock:
            self.committed += committed
            self.overtaken += overtaken


def read_transactions(lines: Iterable[str]) -> list[Transaction]:
    """Return the transactions of what tools/bench_recorder.py wrote, each of one thread from BEGIN to COMMIT."""
    under_way: dict[int, Transaction] = {}
    found: list[Transaction] = []
    for line in lines:
        thread, calls = json.loads(line)
        trip = [Asked(sql.encode(), tuple(v and (v[0], bytes.fromhex(v[1])) for v in values)) for sql, values in calls]
        if trip[0].sql.startswith(b"BEGIN"):
            under_way[thread] = []
        under_way.setdefault(thread, []).append(trip)
        if trip[-1].sql == b"COMMIT":
            found.append(under_way.pop(thread))
    return found


def with_id(transaction: Transaction, known: int, other: int) -> Transaction:
    """Return a transaction about another item: wherever the id of the known one stands, the other stands."""
    old, new = b"%d" % known, b"%d" % other

    def exchanged(value: Value) -> Value:
        return (value[0], new) if value is not None and value == (0, old) else value

    return [[Asked(one.sql, tuple(map(exchanged, one.values))) for one in trip] for trip in transaction]


def ids_from(first: int) -> Callable[[], int]:
    """Return what gives new ids."""
    numbers = itertools.count(first)
    return lambda: next(numbers)


def ids_among(known: list[int]) -> Callable[[], int]:
    """Return what gives one of some ids."""
    return lambda: random.choice(known)  # noqa: S311  # which item is read is no secret


class Bare:
    """Some connections, and a session on each as the product prepares it."""

    def __init__(self, text: str, connections: int, session: Asked) -> None:
        self._links = [_Link(text, session) for _ in range(connections)]

    def rate(self, transaction: Transaction, known: int, next_id: Callable[[], int], seconds: float) -> float:
        """Return how often a transaction is committed a second, each time about the item `next_id` gives."""
        tally = Tally()
        began = time.monotonic()
        run = (transaction, known, next_id, began + seconds, tally)
        threads = [threading.Thread(target=link.repeat, args=run) for link in self._links]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tally.committed / (time.monotonic() - began)

    def close(self) -> None:
        """Close the connections."""
        for link in self._links:
            link.close()


class _Link:
    """A connection and the statements it has prepared."""

    def __init__(self, text: str, session: Asked) -> None:
        self._link: PGconn = pq.PGconn.connect(text.encode())
        if self._link.status != pq.ConnStatus.OK:
            raise SystemExit("the bare driver does not reach the database")
        self._link.nonblocking = 1
        self._link.enter_pipeline_mode()
        self._poll = select.poll()
        self._poll.register(self._link.socket, select.POLLIN)
        self._names: dict[bytes, bytes] = {}
        self._trip([session])

    def close(self) -> None:
        self._link.finish()

    def repeat(
        self, transaction: Transaction, known: int, next_id: Callable[[], int], until: float, tally: Tally
    ) -> None:
        # What differs is found once; a transaction is then made ready by putting the id into its places.
        ready = [[(one.sql, *_split(one, known)) for one in trip] for trip in transaction]
        committed = overtaken = 0
        while time.monotonic() < until:
            number = b"%d" % next_id()
            for trip in ready:
                for _, values, _, places in trip:
                    for place in places:
                        values[place] = number
                if not self._trip_of([(sql, values, formats) for sql, values, formats, _ in trip]):
                    overtaken += 1
                    self._trip([Asked(b"ROLLBACK", ())])
                    break
            else:
                committed += 1
        tally.add(committed, overtaken)

    def _trip(self, asked: list[Asked]) -> bool:
        return self._trip_of([(one.sql, *_split(one, -1)[:2]) for one in asked])

    def _trip_of(self, asked: list[tuple[bytes, list[bytes | None], list[int]]]) -> bool:
        """Send statements and read what comes back; return whether all went well."""
        for sql, values, formats in asked:
            name = self._names.get(sql)
            if name is None:
                name = self._names[sql] = b"b%d" % len(self._names)
                self._link.send_prepare(name, sql)
            self._link.send_query_prepared(name, values, formats, 1)
        self._link.pipeline_sync()
        while self._link.flush():
            pass
        is_good = True
        while True:
            if not self._poll.poll(ANSWER_MILLISECONDS):
                raise SystemExit("the database does not answer the bare driver")
            self._link.consume_input()
            while not self._link.is_busy():
                result = self._link.get_result()
                if result is None:
                    continue
                if result.status == pq.ExecStatus.PIPELINE_SYNC:
                    return is_good
                is_good = _read(result) and is_good


def _split(asked: Asked, known: int) -> tuple[list[bytes | None], list[int], list[int]]:
    """Return values, how they are written, and at which places the known id stands."""
    id_of_item = (0, b"%d" % known)
    places = [place for place, value in enumerate(asked.values) if value == id_of_item]
    return [v and v[1] for v in asked.values], [v[0] if v else 0 for v in asked.values], places


def _read(result: PGresult) -> bool:
    if result.status == pq.ExecStatus.FATAL_ERROR:
        if result.error_field(pq.DiagnosticField.SQLSTATE) != OVERTAKEN:
            raise SystemExit(f"the bare driver is refused: {result.error_message.decode(errors='replace')}")
        return False
    if result.status == pq.ExecStatus.PIPELINE_ABORTED:
        return False
    for row in range(result.ntuples):
        for column in range(result.nfields):
            result.get_value(row, column)
    return True


def lines_after(path: Path, place: int) -> list[str]:
    """Return what was written to a file after a place."""
    with path.open("rb") as file:
        file.seek(place)
        return file.read().decode().splitlines()
