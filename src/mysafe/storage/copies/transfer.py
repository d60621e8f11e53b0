# SPDX-License-Identifier: Apache-2.0
"""Copy every row of a vault into another database, of the same kind or of another one.

The source is read on one snapshot. The row of the vault itself comes last: a copy that was broken off holds no vault,
and the next one begins by clearing it.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice

from sqlalchemy import delete

from mysafe.domain.ids import Kind
from mysafe.storage import schema, vault_state
from mysafe.storage.copies.tables import ROWS_AT_ONCE, TABLES, rows_of
from mysafe.storage.engine import Engine, StorageRefused, Transaction
from mysafe.storage.statements import Row, Statement, compile_statement, insert_all

SEQUENCES = (
    *(kind.value for kind in Kind),
    *("users", "groups", "access_keys", "tokens", "transfers", "sessions", "factors", "links"),
)
"""What ids are counted for."""

Progress = Callable[[str, int], None]
"""Hear that so many more rows of a table are copied."""

_LAST = "vault"
_ORDER = (*(table.name for table in TABLES if table.name != _LAST), _LAST)
_INSERT = {table.name: insert_all(table) for table in TABLES}
_CLEAR = {table.name: compile_statement(delete(table), (), changes_remembered=True) for table in TABLES}
_BLOCK = 64
_NEXT_ON_SQLITE = Statement("SELECT next FROM sequences WHERE name = ?")
_SET_ON_SQLITE = Statement(
    "INSERT INTO sequences (name, next) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET next = max(next, ?2)"
)


def copy_rows(source: Engine, target: Engine, progress: Progress) -> None:
    """Copy all rows and the state of all sequences into a database that has the schema and no vault.

    Raises:
        StorageRefused: there is a vault in the target already, or none in the source.
        Unavailable: one of the databases cannot be used; the target holds no vault then.
    """
    if target.look(vault_state.read_vault).result() is not None:
        raise StorageRefused("there is a vault in the target database already")
    target.submit(_clear).result()
    source.look(partial(_copy, source=source, target=target, progress=progress)).result()


def _clear(tx: Transaction) -> None:
    for name in reversed(_ORDER):
        tx.execute(_CLEAR[name])


def _copy(tx: Transaction, source: Engine, target: Engine, progress: Progress) -> None:
    if vault_state.read_vault(tx) is None:
        raise StorageRefused("the source database holds no vault")
    for name in SEQUENCES:
        target.submit(partial(set_next, name=name, number=next_number(tx, source, name), engine=target)).result()
    for table in _ORDER:
        rows = rows_of(tx, table)
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            target.submit(partial(_insert, table=table, rows=batch)).result()
            progress(table, len(batch))
    if target.is_shared:
        target.submit(_move_audit_on).result()


def _insert(tx: Transaction, table: str, rows: list[Row]) -> None:
    tx.execute_many(_INSERT[table], rows)


def next_number(tx: Transaction, engine: Engine, name: str) -> int:
    """Return a number of a sequence that was not given yet, and none after it either."""
    if not engine.is_shared:
        rows = tx.rows(_NEXT_ON_SQLITE, name)
        return int(str(rows[0][0])) if rows else 1
    last, is_called = tx.rows(Statement(f"SELECT last_value, is_called::int FROM {name}_ids"))[0]  # noqa: S608  # ours
    return int(str(last)) + (_BLOCK if is_called else 0)


def set_next(tx: Transaction, name: str, number: int, engine: Engine) -> None:
    """Let a sequence go on with this number, or further where it is further already."""
    if engine.is_shared:
        number = max(number, next_number(tx, engine, name))
        tx.rows(Statement(f"SELECT setval('{name}_ids', {int(number)}, false)"))
    else:
        tx.execute(_SET_ON_SQLITE, name, number)


def _move_audit_on(tx: Transaction) -> None:
    """The ids of the audit log were given by the source; the next one follows them."""
    table = schema.audit.name
    last = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"  # noqa: S608  # ours
    tx.rows(Statement(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), ({last}), false)"))
