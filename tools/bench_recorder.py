# SPDX-License-Identifier: Apache-2.0
"""The product on PostgreSQL, and what it asks of the database is written down; for tools/bench_postgres.py.

    python tools/bench_recorder.py FILE COMMAND…       FILE gets one JSON line for each round trip

A line is a list of statements, each as its text and its values: null, or whether it is binary and its bytes in hex.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence

from psycopg.pq.abc import PGresult

from mysafe.cli import main
from mysafe.storage.postgres.connection import Call, Connection
from mysafe.storage.postgres.texts import encoded, text_of_statement


def record_to(path: str) -> None:
    """Write down every round trip from now on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    real_exchange = Connection.exchange

    def exchange(self: Connection, calls: Sequence[Call]) -> list[PGresult]:
        line = json.dumps([threading.get_ident(), [_written(call) for call in calls]])
        os.write(file, line.encode() + b"\n")
        return real_exchange(self, calls)

    Connection.exchange = exchange  # type: ignore[method-assign]  # it writes down and does the same


def _written(call: Call) -> list[object]:
    text = text_of_statement(call.statement)
    values, formats = encoded(call.values, text.order)
    pairs = zip(values, formats, strict=True)
    return [text.sql.decode(), [None if value is None else [form, value.hex()] for value, form in pairs]]


if __name__ == "__main__":
    record_to(sys.argv[1])
    sys.exit(main.main(sys.argv[2:]))
