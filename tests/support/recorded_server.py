# SPDX-License-Identifier: Apache-2.0
"""The product, but a test may trace it: it does not hide from its user. Never part of the product.

With SYNCHRONOUS=NORMAL or OFF, or with BLOBS=unsynced, it is the negative control of T-POWER: SQLite, or the store of
contents, does not wait for the disk. With FSYNC=trusted it is that of T-ROFS: it goes on after an fsync has failed.
"""

import os
import sys

from mysafe import app, hardening
from mysafe.config import load_settings
from mysafe.storage import sqlite_connection, sqlite_lane
from mysafe.storage.blobs import directory

NUMBERS = {"OFF": 0, "NORMAL": 1, "FULL": 2}


def main() -> int:
    hardening.harden = lambda: None  # or nobody but root could trace it
    wanted = os.environ.get("SYNCHRONOUS", "FULL")
    pragmas = (pragma.replace("synchronous = FULL", f"synchronous = {wanted}") for pragma in sqlite_connection._PRAGMAS)
    sqlite_connection._PRAGMAS = tuple(pragmas)  # type: ignore[assignment]  # this is the fault
    sqlite_connection.SYNCHRONOUS_FULL = NUMBERS[wanted]
    if os.environ.get("BLOBS") == "unsynced":
        directory.os = _CarelessOs()  # type: ignore[assignment, attr-defined]  # this is the fault
    if os.environ.get("FSYNC") == "trusted":
        sqlite_lane.SqliteEngine.__init__.__kwdefaults__ = {"on_fatal": lambda: None}  # this is the fault
    return app.serve(load_settings({"port": int(sys.argv[2])}, os.environ, None))


class _CarelessOs:
    """The module `os`, whose fsync does nothing."""

    def __getattr__(self, name: str) -> object:
        return (lambda descriptor: None) if name == "fsync" else getattr(os, name)


if __name__ == "__main__":
    raise SystemExit(main())
