# SPDX-License-Identifier: Apache-2.0
"""The canonical bytes of a row are those of docs/formats/audit.md, and two rows never have the same."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mysafe.audit.leaves import Columns, encode_leaf

ROW: Columns = (
    5,
    1_700_000_000_123,
    "host:1",
    2,
    3,
    "item.read",
    "password",
    7,
    1,
    b"\1" * 32,
    "allowed",
    "r",
    b"seal",
)

NUMBERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(), max_size=6)
BLOBS = st.binary(max_size=6)
ROWS = st.tuples(
    *(NUMBERS, NUMBERS, TEXTS, NUMBERS, NUMBERS, TEXTS, TEXTS, NUMBERS, NUMBERS, BLOBS, TEXTS, TEXTS, BLOBS)
)


def reference(row: Sequence[int | str | bytes]) -> bytes:
    """Encode a row as the page on the format says, column by column."""
    encoded = b"\0\0\0\x0emysafe/audit/1"
    for value in row:
        number = value.to_bytes(8, "big", signed=True) if isinstance(value, int) else value
        content = number.encode("utf-8", "surrogatepass") if isinstance(number, str) else number
        encoded += len(content).to_bytes(4, "big") + content
    return encoded


def test_a_row_has_the_documented_bytes() -> None:
    assert encode_leaf(ROW).hex() == (
        "0000000e" + b"mysafe/audit/1".hex()
        + "00000008" + "0000000000000005"
        + "00000008" + "0000018bcfe5687b"
        + "00000006" + b"host:1".hex()
        + "00000008" + "0000000000000002"
        + "00000008" + "0000000000000003"
        + "00000009" + b"item.read".hex()
        + "00000008" + b"password".hex()
        + "00000008" + "0000000000000007"
        + "00000008" + "0000000000000001"
        + "00000020" + "01" * 32
        + "00000007" + b"allowed".hex()
        + "00000001" + b"r".hex()
        + "00000004" + b"seal".hex()
    )  # fmt: skip


@given(ROWS, ROWS)
def test_two_rows_never_have_the_same_bytes(one: Columns, other: Columns) -> None:
    assert encode_leaf(one) == reference(one)
    assert (encode_leaf(one) == encode_leaf(other)) is (one == other)


def test_a_character_that_moves_to_the_next_column_changes_the_bytes() -> None:
    moved: Columns = (*ROW[:5], "item.readp", "assword", *ROW[7:])
    assert encode_leaf(moved) != encode_leaf(ROW)
