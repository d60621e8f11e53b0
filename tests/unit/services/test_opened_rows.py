# SPDX-License-Identifier: Apache-2.0
"""What a row opened to is remembered for the very same row only, and never without bound."""

from mysafe.services.opened_rows import OpenedRows

ROW = ("note", 7, 1, b"dek", b"meta")


def test_the_same_row_is_remembered_and_any_other_is_not() -> None:
    rows = OpenedRows(10)
    rows.put("note", 7, ROW, "opened")
    assert rows.get("note", 7, ("note", 7, 1, b"dek", b"meta")) == "opened"
    for column in range(len(ROW)):
        changed = (*ROW[:column], "other", *ROW[column + 1 :])
        assert rows.get("note", 7, changed) is None
    assert rows.get("note", 8, ROW) is None
    assert rows.get("password", 7, ROW) is None


def test_it_never_holds_more_than_its_capacity() -> None:
    rows = OpenedRows(10)
    for number in range(1000):
        rows.put("note", number, ROW, number)
        assert len(rows._opened) <= 10
    assert rows.get("note", 999, ROW) == 999
