# SPDX-License-Identifier: Apache-2.0
"""The audit log is appended to and read back in order; what cannot be appended is said in one word."""

from functools import partial

import pytest

from mysafe.domain.errors import AuditUnwritable
from mysafe.storage import audit_log
from mysafe.storage.engine import Engine, Transaction
from mysafe.storage.statements import Statement
from tests.support.rows import audit_row


def append(tx: Transaction, number: int) -> None:
    audit_log.append(tx, audit_row(number))


def test_the_newest_rows_come_back_ascending(engine: Engine) -> None:
    assert engine.look(partial(audit_log.newest, limit=3)).result() == []
    for number in range(1, 8):
        engine.submit(partial(append, number=number)).result()
    assert engine.look(partial(audit_log.newest, limit=3)).result() == [
        audit_row(number)._replace(id=number) for number in (5, 6, 7)
    ]
    assert len(engine.look(partial(audit_log.newest, limit=100)).result()) == 7
    assert engine.look(audit_log.count).result() == 7


def test_a_gap_between_ids_hides_no_row(engine: Engine) -> None:
    for number in range(1, 8):
        engine.submit(partial(append, number=number)).result()
    engine.submit(lambda tx: tx.execute(Statement("DELETE FROM audit WHERE id IN (4, 5, 6)"))).result()
    assert [row.id for row in engine.look(partial(audit_log.newest, limit=3)).result()] == [2, 3, 7]


def test_the_number_of_a_deleted_row_is_not_used_again(engine: Engine) -> None:
    engine.submit(partial(append, number=1)).result()
    assert engine.submit(lambda tx: tx.execute(Statement("DELETE FROM audit"))).result() == 1
    engine.submit(partial(append, number=2)).result()
    (row,) = engine.look(partial(audit_log.newest, limit=10)).result()
    assert row.id == 2


def test_a_row_that_cannot_be_written_is_audit_unwritable(engine: Engine) -> None:
    engine.submit(partial(append, number=1)).result()
    for refused in (
        engine.look(partial(append, number=2)),
        engine.submit(lambda tx: audit_log.append(tx, audit_row()._replace(node=None))),  # type: ignore[arg-type]
    ):
        with pytest.raises(AuditUnwritable):
            refused.result()
    assert engine.look(audit_log.count).result() == 1
