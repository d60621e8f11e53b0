# SPDX-License-Identifier: Apache-2.0
"""The command `mysafe migrate-database`."""

import sys

from mysafe import migration
from mysafe.cli.terminal import Command, Options
from mysafe.config import Loaded, parse_database

BAR = 40
"""Characters of the progress bar."""


def _migrate(options: Options, loaded: Loaded) -> int:
    source, target = (parse_database(f"--{name}", getattr(options, key)) for name, key in _PLACES)
    moved = migration.migrate_database(loaded.settings, source, target, _progress)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"copied {moved.rows} rows, and opened {moved.records} records in the new database")
    print("set `database` to it before the next start; the old one is as it was")
    return 0


_PLACES = (("from", "source"), ("to", "target"))


def _progress(table: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        filled = BAR * done // max(total, 1)
        bar = "#" * filled + "." * (BAR - filled)
        print(f"\r{bar} {done}/{total} {table:20}", end="", file=sys.stderr, flush=True)


COMMANDS: dict[str, Command] = {"migrate-database": _migrate}
