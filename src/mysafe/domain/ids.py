# SPDX-License-Identifier: Apache-2.0
"""Identifiers. All are positive integers made by the server; each kind of record has its own sequence."""

from enum import StrEnum
from typing import NamedTuple, NewType

UserId = NewType("UserId", int)
GroupId = NewType("GroupId", int)
AccessKeyId = NewType("AccessKeyId", int)
TokenId = NewType("TokenId", int)
TransferId = NewType("TransferId", int)
SessionId = NewType("SessionId", int)
LinkId = NewType("LinkId", int)
FactorId = NewType("FactorId", int)
ItemId = NewType("ItemId", int)

LARGEST_ID = 2**63 - 1
"""Largest identifier a database column can hold (signed 64 bits)."""


class Kind(StrEnum):
    """Kind of an item. The values are stored and part of the associated data: never rename one."""

    PASSWORD = "password"
    NOTE = "note"
    API_SECRET = "api_secret"
    FILE = "file"


class ItemRef(NamedTuple):
    """Names one item. The same number under another kind is another item (contract 1.6)."""

    kind: Kind
    id: ItemId
