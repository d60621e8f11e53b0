# SPDX-License-Identifier: Apache-2.0
"""A statement takes its values in the order that was said, or does not compile."""

import pytest
from sqlalchemy import bindparam, select

from mysafe.storage.schema import items, sequences
from mysafe.storage.statements import compile_statement, insert_all

_QUERY = select(items.c.id).where(items.c.kind == bindparam("kind"), items.c.id == bindparam("id"))


def test_a_statement_is_text_with_a_place_for_each_value() -> None:
    assert compile_statement(_QUERY, ("kind", "id")).text.count("?") == 2


@pytest.mark.parametrize("order", [("id", "kind"), ("kind",), ("kind", "id", "id"), ()])
def test_another_order_of_values_is_refused(order: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="parameters are"):
        compile_statement(_QUERY, order)


def test_an_insert_takes_all_columns_in_the_order_of_the_table() -> None:
    assert insert_all(sequences).text == "INSERT INTO sequences (name, next) VALUES (?, ?)"
