# SPDX-License-Identifier: Apache-2.0
"""Users, groups, access keys and tokens as rows. They have one shape; what they mean is sealed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import Table, bindparam, delete, func, literal_column, select, text, update

from mysafe.domain.errors import Conflict
from mysafe.domain.ids import Kind
from mysafe.storage import schema
from mysafe.storage.engine import Transaction, UniqueClash
from mysafe.storage.statements import Row, compile_statement, insert_all

T = TypeVar("T")

MOST_SWEPT = 100
"""Most expired tokens removed at once."""

BATCH = 500
"""Most records that `RecordTable.after` returns at once."""


class RecordRow(NamedTuple):
    """A row of one of these tables, in their order."""

    id: int
    owner_id: int
    version: int
    epoch: int
    bidx: bytes
    created_at: int
    updated_at: int
    expires_at: int | None
    dek: bytes
    meta: bytes
    secret: bytes | None


def _record_row(row: Row) -> RecordRow:
    return RecordRow._make(row)  # strict tables hold just these types


class RecordTable:
    """The statements of one table."""

    def __init__(self, table: Table) -> None:
        self.name = str(table.name)  # a plain text, not SQLAlchemy's subclass
        names = [column.name for column in table.columns if column.name != "id"]
        self._insert = insert_all(table, changes_remembered=True)
        self._find = compile_statement(select(table).where(table.c.id == bindparam("id")), ("id",))
        self._find_by_index = compile_statement(select(table).where(table.c.bidx == bindparam("bidx")), ("bidx",))
        self._replace = compile_statement(
            update(table)
            .where(table.c.id == bindparam("of_id"), table.c.version == bindparam("of_version"))
            .values({name: bindparam(f"new_{name}") for name in names}),
            (*(f"new_{name}" for name in names), "of_id", "of_version"),
            changes_remembered=True,
        )
        self._all = compile_statement(select(table).order_by(table.c.id), ())
        following = select(table).where(table.c.id > bindparam("after")).order_by(table.c.id)
        self._after = compile_statement(following.suffix_with(text(f"LIMIT {BATCH}")), ("after",))

    def find(self, tx: Transaction, record_id: int) -> RecordRow | None:
        """Return a record by id, or None."""
        row = tx.row(self._find, record_id)
        return None if row is None else _record_row(row)

    def remembered(self, tx: Transaction, record_id: int, build: Callable[[RecordRow], T]) -> T | None:
        """Return what `build` makes of a record by id, or None; see `Transaction.remembered`.

        `build` must make the same of the same record each time.
        """
        return tx.remembered(self._find, record_id, lambda row: build(_record_row(row)))

    def remembered_by_index(self, tx: Transaction, bidx: bytes, build: Callable[[RecordRow], T]) -> T | None:
        """Return what `build` makes of a record by its blind index, or None; as `remembered`."""
        return tx.remembered(self._find_by_index, bidx, lambda row: build(_record_row(row)))

    def insert(self, tx: Transaction, row: RecordRow) -> None:
        """Store a new record. Raises Conflict if its index is taken."""
        try:
            tx.execute(self._insert, *row)
        except UniqueClash:
            raise Conflict(self.name) from None

    def replace(self, tx: Transaction, row: RecordRow, expected_version: int) -> bool:
        """Store a new version; return False if the stored one is not `expected_version`. Raises Conflict."""
        try:
            return tx.execute(self._replace, *row[1:], row.id, expected_version) > 0
        except UniqueClash:
            raise Conflict(self.name) from None

    def all(self, tx: Transaction) -> list[RecordRow]:
        """Return all records, ascending by id."""
        return [_record_row(row) for row in tx.rows(self._all)]

    def after(self, tx: Transaction, record_id: int) -> list[RecordRow]:
        """Return the records whose id is greater, ascending by id, at most BATCH."""
        return [_record_row(row) for row in tx.rows(self._after, record_id)]


USERS = RecordTable(schema.users)
GROUPS = RecordTable(schema.groups)
ACCESS_KEYS = RecordTable(schema.access_keys)
TOKENS = RecordTable(schema.tokens)
TRANSFERS = RecordTable(schema.transfers)

_members = schema.group_members_idx
_INSERT_MEMBER = insert_all(_members)
_DROP_MEMBERS = compile_statement(delete(_members).where(_members.c.group_id == bindparam("group")), ("group",))
_GROUPS_OF = compile_statement(
    select(schema.groups)
    .join(_members, _members.c.group_id == schema.groups.c.id)
    .where(_members.c.user_id == bindparam("user"))
    .order_by(schema.groups.c.id),
    ("user",),
)
_ACCESS_KEYS_OF = compile_statement(
    select(schema.access_keys)
    .where(schema.access_keys.c.owner_id == bindparam("owner"))
    .order_by(schema.access_keys.c.id),
    ("owner",),
)
_GROUPS_OF_OWNER = compile_statement(
    select(schema.groups).where(schema.groups.c.owner_id == bindparam("owner")).order_by(schema.groups.c.id), ("owner",)
)
_logins = schema.last_logins
_INSERT_LOGIN = insert_all(_logins)
_UPDATE_LOGIN = compile_statement(
    update(_logins).where(_logins.c.user_id == bindparam("user")).values(at=bindparam("now")), ("now", "user")
)
_LAST_LOGIN = compile_statement(select(_logins.c.at).where(_logins.c.user_id == bindparam("user")), ("user",))
_COUNT_ITEMS = compile_statement(
    select(func.count())
    .select_from(schema.items)
    .where(
        schema.items.c.kind.in_([literal_column(f"'{kind.value}'") for kind in Kind]),
        schema.items.c.owner_id == bindparam("owner"),
    ),
    ("owner",),
)
_EXPIRED = (
    select(schema.tokens.c.id)
    .where(schema.tokens.c.expires_at < bindparam("before"))
    .order_by(schema.tokens.c.expires_at)
    .suffix_with(text(f"LIMIT {MOST_SWEPT}"))  # a bound limit spoils the plan on PostgreSQL
)
_SWEEP = compile_statement(
    delete(schema.tokens).where(schema.tokens.c.id.in_(_EXPIRED)), ("before",), changes_remembered=True
)


def set_members(tx: Transaction, group_id: int, user_ids: Sequence[int]) -> None:
    """Store who the index lists as members of a group."""
    tx.execute(_DROP_MEMBERS, group_id)
    if user_ids:
        tx.execute_many(_INSERT_MEMBER, [(user_id, group_id) for user_id in user_ids])


def groups_of(tx: Transaction, user_id: int) -> list[RecordRow]:
    """Return the groups whose index lists a user, ascending by id."""
    return [_record_row(row) for row in tx.rows(_GROUPS_OF, user_id)]


def access_keys_of(tx: Transaction, owner_id: int) -> list[RecordRow]:
    """Return the access keys of a user, ascending by id."""
    return [_record_row(row) for row in tx.rows(_ACCESS_KEYS_OF, owner_id)]


def groups_of_owner(tx: Transaction, owner_id: int) -> list[RecordRow]:
    """Return the groups in an owner's column, ascending by id; the owner 0 has those that belong to nobody."""
    return [_record_row(row) for row in tx.rows(_GROUPS_OF_OWNER, owner_id)]


def note_login(tx: Transaction, user_id: int, at: int) -> None:
    """Store when a user last logged in (Unix seconds)."""
    last = last_login(tx, user_id)
    if last is None:
        tx.execute(_INSERT_LOGIN, user_id, at)
    elif last < at:  # a row that many programs of one user write at once would hold them all up
        tx.execute(_UPDATE_LOGIN, at, user_id)


def last_login(tx: Transaction, user_id: int) -> int | None:
    """Return when a user last logged in (Unix seconds), or None."""
    row = tx.row(_LAST_LOGIN, user_id)
    return None if row is None else int(str(row[0]))


def count_items(tx: Transaction, owner_id: int) -> int:
    """Return how many items of all kinds have a user in the owner's column."""
    (number,) = tx.rows(_COUNT_ITEMS, owner_id)[0]
    return int(str(number))


def delete_expired_tokens(tx: Transaction, before: int) -> int:
    """Remove tokens that expired before a time, at most MOST_SWEPT; return how many."""
    return tx.execute(_SWEEP, before)
