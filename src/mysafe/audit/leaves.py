# SPDX-License-Identifier: Apache-2.0
"""The canonical bytes of a row of the audit log: what a leaf of the audit tree is the hash of (docs/formats/audit.md).

leaf    field | field | …           field = length u32 | bytes
fields  "mysafe/audit/1", then the columns of the row in their order, its number first
"""

import struct
from collections.abc import Sequence

_FORMAT = b"mysafe/audit/1"
_NUMBER = struct.Struct(">Iq").pack
_START = len(_FORMAT).to_bytes(4) + _FORMAT


def encode_leaf(row: Sequence[object]) -> bytes:
    """Return the canonical bytes of a row: numbers as 64 bits with a sign, texts as UTF-8. Big-endian.

    Raises:
        TypeError: a column is neither number, text nor bytes.
    """
    encoded = [_START]
    for value in row:
        if isinstance(value, int):
            encoded.append(_NUMBER(8, value))
        elif isinstance(value, str | bytes):
            content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            encoded += (len(content).to_bytes(4), content)
        else:
            raise TypeError("a row of the audit log has numbers, texts and bytes")
    return b"".join(encoded)
