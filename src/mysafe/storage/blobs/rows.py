# SPDX-License-Identifier: Apache-2.0
"""The rows of blobs: which ones there are, whose they are, and how much room they take. They hold no key.

A blob's row is committed before its first byte is written, and removed after its last byte is gone. So bytes
without a row do not come about, and whatever an interrupted upload leaves is found.

    (none) → pending → kept          `keep`: in the transaction that makes the item
                     → doomed → (none)   `doom`: from then on nothing can keep it; `forget`: its bytes are gone
              kept   → doomed            `release`: in the transaction that erases the item
                                         `release_before`: in the transaction that removes the versions that had it

Which versions of an item have which content is sealed. So each row holds the last version that has its content: with
every new version, `hold` says so. When all versions up to that one are gone, nothing has the content any more.
"""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, cast, delete, func, literal_column, or_, select, update

from mysafe.storage.engine import Transaction
from mysafe.storage.schema import Number, blobs
from mysafe.storage.statements import compile_statement, insert_all

FIRST_VERSION = 1

PENDING, KEPT, DOOMED = "pending", "kept", "doomed"


class Usage(NamedTuple):
    """Bytes of blobs, those on their way included: of one owner, and of all."""

    owner_bytes: int
    total_bytes: int


class Pending(NamedTuple):
    """A blob on its way: whose it will be, and the bytes that are set aside for it."""

    owner_id: int
    reserved_bytes: int


_INSERT = insert_all(blobs)
_IS_PENDING = blobs.c.state == literal_column(f"'{PENDING}'")
_KEEP = compile_statement(
    update(blobs)
    .where(blobs.c.id == bindparam("of_id"), _IS_PENDING)
    .values(
        state=literal_column(f"'{KEPT}'"),
        owner_id=bindparam("new_owner"),
        item_id=bindparam("new_item"),
        stored_bytes=bindparam("new_bytes"),
    ),
    ("new_owner", "new_item", "new_bytes", "of_id"),
)
_PENDING = compile_statement(
    select(blobs.c.owner_id, blobs.c.stored_bytes).where(blobs.c.id == bindparam("id"), _IS_PENDING), ("id",)
)
_RESERVE = compile_statement(
    update(blobs).where(blobs.c.id == bindparam("of_id"), _IS_PENDING).values(stored_bytes=bindparam("new_bytes")),
    ("new_bytes", "of_id"),
)
_DOOM = compile_statement(
    update(blobs)
    .where(blobs.c.id == bindparam("of_id"), _IS_PENDING)
    .values(state=literal_column(f"'{DOOMED}'"), stored_bytes=literal_column("0")),
    ("of_id",),
)
_RELEASE = compile_statement(
    update(blobs)
    .where(blobs.c.item_id == bindparam("of_item"), blobs.c.state == literal_column(f"'{KEPT}'"))
    .values(state=literal_column(f"'{DOOMED}'"), stored_bytes=literal_column("0")),
    ("of_item",),
)
_RELEASE_BEFORE = compile_statement(
    update(blobs)
    .where(
        blobs.c.item_id == bindparam("of_item"),
        blobs.c.last_version < bindparam("before"),
        blobs.c.state == literal_column(f"'{KEPT}'"),
    )
    .values(state=literal_column(f"'{DOOMED}'"), stored_bytes=literal_column("0")),
    ("of_item", "before"),
)
_HOLD = compile_statement(
    update(blobs).where(blobs.c.id == bindparam("of_id")).values(last_version=bindparam("new_version")),
    ("new_version", "of_id"),
)
_HAND_OVER = compile_statement(
    update(blobs).where(blobs.c.item_id == bindparam("of_item")).values(owner_id=bindparam("new_owner")),
    ("new_owner", "of_item"),
)
_FORGET = compile_statement(
    delete(blobs).where(blobs.c.id == bindparam("id"), blobs.c.state == literal_column(f"'{DOOMED}'")), ("id",)
)
_LEFT_OVER = compile_statement(
    select(blobs.c.id).where(
        or_(
            blobs.c.state == literal_column(f"'{DOOMED}'"),
            and_(_IS_PENDING, blobs.c.created_at < bindparam("before")),
        )
    ),
    ("before",),
)
_STATE = compile_statement(select(blobs.c.state).where(blobs.c.id == bindparam("id")), ("id",))
_SUM = cast(func.coalesce(func.sum(blobs.c.stored_bytes), literal_column("0")), Number)
_OF_OWNER = compile_statement(
    select(_SUM).where(blobs.c.owner_id == bindparam("owner")),
    ("owner",),
)
_OF_ALL = compile_statement(select(_SUM), ())


class BlobRows:
    """Read and write the rows of blobs in one transaction. `now` is in Unix seconds."""

    def __init__(self, tx: Transaction, now: int) -> None:
        self._tx = tx
        self._now = now

    def begin(self, blob_id: str, owner_id: int, expected_bytes: int) -> None:
        """Store the row of a blob that is about to be written."""
        self._tx.execute(_INSERT, blob_id, PENDING, owner_id, 0, expected_bytes, self._now, FIRST_VERSION)

    def pending(self, blob_id: str) -> Pending | None:
        """Return a blob on its way, None if it is kept, given up or not there."""
        row = self._tx.row(_PENDING, blob_id)
        return None if row is None else Pending(int(str(row[0])), int(str(row[1])))

    def reserve(self, blob_id: str, reserved_bytes: int) -> None:
        """Set bytes aside for a blob on its way, those it had included."""
        self._tx.execute(_RESERVE, reserved_bytes, blob_id)

    def keep(self, blob_id: str, owner_id: int, item_id: int, stored_bytes: int) -> bool:
        """Give a pending blob to an item; return False if it is not pending any more."""
        return bool(self._tx.execute(_KEEP, owner_id, item_id, stored_bytes, blob_id))

    def doom(self, blob_id: str) -> bool:
        """Say that nothing may keep a blob any more; return False if it was kept, or is not there."""
        if self._tx.execute(_DOOM, blob_id):
            return True
        row = self._tx.row(_STATE, blob_id)
        return row is not None and row[0] == DOOMED

    def release(self, item_id: int) -> None:
        """Give up the blobs of an item that is erased; the collector removes their bytes."""
        self._tx.execute(_RELEASE, item_id)

    def hold(self, blob_id: str, version: int) -> None:
        """Say that a version of an item, newer than all others, has this blob. It need not be kept yet."""
        self._tx.execute(_HOLD, version, blob_id)

    def release_before(self, item_id: int, version: int) -> None:
        """Give up the blobs of an item that only versions before one had; the collector removes their bytes."""
        self._tx.execute(_RELEASE_BEFORE, item_id, version)

    def hand_over(self, item_id: int, owner_id: int) -> None:
        """Let the blobs of an item count for another owner."""
        self._tx.execute(_HAND_OVER, owner_id, item_id)

    def forget(self, blob_id: str) -> None:
        """Remove the row of a doomed blob whose bytes are gone."""
        self._tx.execute(_FORGET, blob_id)

    def left_over(self, before: int) -> list[str]:
        """Return the blobs that nothing keeps: those given up, and those begun before a time, in Unix seconds."""
        return [str(row[0]) for row in self._tx.rows(_LEFT_OVER, before)]

    def usage(self, owner_id: int) -> Usage:
        """Return how much room blobs take."""
        (of_owner,), (of_all,) = self._tx.rows(_OF_OWNER, owner_id)[0], self._tx.rows(_OF_ALL)[0]
        return Usage(int(str(of_owner)), int(str(of_all)))
