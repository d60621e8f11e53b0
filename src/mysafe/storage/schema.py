# SPDX-License-Identifier: Apache-2.0
"""The tables: the one definition, for every database. What is sealed is said in docs/formats/record.md.

Clear columns find records; nothing is granted on their word. `bidx` is a blind index; times are Unix seconds.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

# SQLite's strict tables know INTEGER only, and it holds 64 bits there.
Number = BigInteger().with_variant(Integer, "sqlite")
Word = Text()

vault = Table(
    "vault",
    metadata,
    Column("vault_id", LargeBinary, primary_key=True),
    Column("created_at", Number, nullable=False),
    sqlite_strict=True,
)

keyring = Table(
    "keyring",
    metadata,
    Column("version", Number, primary_key=True, autoincrement=False),
    Column("active_epoch", Number, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Number, nullable=False),
    sqlite_strict=True,
)

keyring_slots = Table(
    "keyring_slots",
    metadata,
    Column("slot_id", Number, primary_key=True, autoincrement=False),
    Column("provider", Word, nullable=False),
    Column("parameters", Word, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Number, nullable=False),
    sqlite_strict=True,
)

# Since when an epoch is in its state: shown, never decided on. The state itself is in the sealed keyring.
epochs = Table(
    "epochs",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("since", Number, nullable=False),
    sqlite_strict=True,
)

# The processes that serve the vault, and the version of the keyring each has loaded.
nodes = Table(
    "nodes",
    metadata,
    Column("node", Word, primary_key=True),
    Column("beat_at", Number, nullable=False),
    Column("keyring_version", Number, nullable=False),
    sqlite_strict=True,
)

items = Table(
    "items",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("owner_id", Number, nullable=False),
    Column("version", Number, nullable=False),
    Column("epoch", Number, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("updated_at", Number, nullable=False),
    Column("ident_bidx", LargeBinary, nullable=True),
    Column("dek", LargeBinary, nullable=False),
    Column("meta", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Index("items_by_owner", "kind", "owner_id", "id"),
    sqlite_strict=True,
)
# Most items have no code, and cost no entry.
_HAS_CODE = items.c.ident_bidx.is_not(None)
Index("items_by_ident", items.c.ident_bidx, unique=True, sqlite_where=_HAS_CODE, postgresql_where=_HAS_CODE)

item_versions = Table(
    "item_versions",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("version", Number, primary_key=True, autoincrement=False),
    Column("owner_id", Number, nullable=False),
    Column("epoch", Number, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("updated_at", Number, nullable=False),
    Column("dek", LargeBinary, nullable=False),
    Column("meta", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    sqlite_strict=True,
)

# The bytes are elsewhere. One sum over an owner's blobs is all that is asked often.
blobs = Table(
    "blobs",
    metadata,
    Column("id", Word, primary_key=True),
    Column("state", Word, nullable=False),
    Column("owner_id", Number, nullable=False),
    Column("item_id", Number, nullable=False),
    Column("stored_bytes", Number, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("last_version", Number, nullable=False),
    Index("blobs_by_owner", "owner_id", "stored_bytes"),
    Index("blobs_by_item", "item_id"),
    sqlite_strict=True,
)

grants_idx = Table(
    "grants_idx",
    metadata,
    Column("principal_type", Number, primary_key=True, autoincrement=False),
    Column("principal_id", Number, primary_key=True, autoincrement=False),
    Column("kind", Word, primary_key=True),
    Column("item_id", Number, primary_key=True, autoincrement=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


def _records(name: str) -> Table:
    """Return a table of principals or credentials; they all have one shape."""
    return Table(
        name,
        metadata,
        Column("id", Number, primary_key=True, autoincrement=False),
        Column("owner_id", Number, nullable=False, index=name == "access_keys"),
        Column("version", Number, nullable=False),
        Column("epoch", Number, nullable=False),
        Column("bidx", LargeBinary, nullable=False, unique=True),
        Column("created_at", Number, nullable=False),
        Column("updated_at", Number, nullable=False),
        Column("expires_at", Number, nullable=True, index=name == "tokens"),
        Column("dek", LargeBinary, nullable=False),
        Column("meta", LargeBinary, nullable=False),
        Column("secret", LargeBinary, nullable=True),
        sqlite_strict=True,
    )


users = _records("users")
groups = _records("groups")
Index("groups_by_owner", groups.c.owner_id, groups.c.id)
access_keys = _records("access_keys")
tokens = _records("tokens")
transfers = _records("transfers")

group_members_idx = Table(
    "group_members_idx",
    metadata,
    Column("user_id", Number, primary_key=True, autoincrement=False),
    Column("group_id", Number, ForeignKey("groups.id"), primary_key=True, autoincrement=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# When a user last obtained a token or logged in: shown, never decided on, so that it needs no seal and no new version.
last_logins = Table(
    "last_logins",
    metadata,
    Column("user_id", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at_ms", Number, nullable=False),
    Column("node", Word, nullable=False),
    Column("actor_id", Number, nullable=False),
    Column("access_key_id", Number, nullable=False),
    Column("action", Word, nullable=False),
    Column("record_kind", Word, nullable=False),
    Column("record_id", Number, nullable=False),
    Column("new_version", Number, nullable=False),
    Column("envelope_sha256", LargeBinary, nullable=False),
    Column("result", Word, nullable=False),
    Column("request_id", Word, nullable=False),
    Column("details", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)

# The Merkle tree over the audit log: the order in which rows became leaves, the larger subtrees, and one row that says
# how far the tree is. Nobody who writes to the audit log touches them.
audit_leaves = Table(
    "audit_leaves",
    metadata,
    Column("position", Number, primary_key=True, autoincrement=False),
    Column("audit_id", Number, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_strict=True,
)

audit_nodes = Table(
    "audit_nodes",
    metadata,
    Column("level", Number, primary_key=True, autoincrement=False),
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

audit_tree = Table(
    "audit_tree",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("size", Number, nullable=False),
    Column("swept_id", Number, nullable=False),
    Column("swept_size", Number, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    sqlite_strict=True,
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("size", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),
    Column("note", Word, nullable=False),
    sqlite_strict=True,
)

# On SQLite only: PostgreSQL has sequences of its own.
sequences = Table(
    "sequences",
    metadata,
    Column("name", Word, primary_key=True),
    Column("next", Number, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
