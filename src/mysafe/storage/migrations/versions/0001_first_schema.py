# SPDX-License-Identifier: Apache-2.0
"""The first schema. Written out, not derived from schema.py: a released step never changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite's strict tables know INTEGER only, and it holds 64 bits there.
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SEQUENCES = (*("password", "note", "file", "api_secret"), *("users", "groups", "access_keys", "tokens", "transfers"))


def _record_columns() -> list[sa.Column[object]]:
    number, blob = NUMBER, sa.LargeBinary()
    return [
        sa.Column("id", number, primary_key=True, autoincrement=False),
        sa.Column("owner_id", number, nullable=False),
        sa.Column("version", number, nullable=False),
        sa.Column("epoch", number, nullable=False),
        sa.Column("bidx", blob, nullable=False, unique=True),
        sa.Column("created_at", number, nullable=False),
        sa.Column("updated_at", number, nullable=False),
        sa.Column("expires_at", number, nullable=True),
        sa.Column("dek", blob, nullable=False),
        sa.Column("meta", blob, nullable=False),
        sa.Column("secret", blob, nullable=True),
    ]


def upgrade() -> None:
    """Make all tables."""
    _make_vault()
    _make_items()
    for name in ("users", "groups", "access_keys", "tokens", "transfers"):
        op.create_table(name, *_record_columns(), sqlite_strict=True)
    op.create_index("ix_tokens_expires_at", "tokens", ["expires_at"])
    op.create_index("ix_access_keys_owner_id", "access_keys", ["owner_id"])
    op.create_index("groups_by_owner", "groups", ["owner_id", "id"])
    op.create_table(
        "last_logins",
        sa.Column("user_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("at", NUMBER, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "group_members_idx",
        sa.Column("user_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("group_id", NUMBER, sa.ForeignKey("groups.id"), primary_key=True, autoincrement=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    _make_audit()
    _make_audit_tree()


def _make_vault() -> None:
    number, text, blob = NUMBER, sa.Text(), sa.LargeBinary()
    op.create_table(
        "vault",
        sa.Column("vault_id", blob, primary_key=True),
        sa.Column("created_at", number, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "keyring",
        sa.Column("version", number, primary_key=True, autoincrement=False),
        sa.Column("active_epoch", number, nullable=False),
        sa.Column("sealed", blob, nullable=False),
        sa.Column("created_at", number, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "epochs",
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("since", number, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "nodes",
        sa.Column("node", text, primary_key=True),
        sa.Column("beat_at", number, nullable=False),
        sa.Column("keyring_version", number, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "keyring_slots",
        sa.Column("slot_id", number, primary_key=True, autoincrement=False),
        sa.Column("provider", text, nullable=False),
        sa.Column("parameters", text, nullable=False),
        sa.Column("wrapped", blob, nullable=False),
        sa.Column("created_at", number, nullable=False),
        sqlite_strict=True,
    )
    _make_sequences()


def _make_sequences() -> None:
    """Make what gives ids: a row for each sequence on SQLite, a sequence that gives blocks of 64 on PostgreSQL."""
    if op.get_context().dialect.name == "postgresql":
        for name in SEQUENCES:
            op.execute(f"CREATE SEQUENCE {name}_ids INCREMENT BY 64")
        return
    op.create_table(
        "sequences",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("next", NUMBER, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _make_items() -> None:
    number, text, blob = NUMBER, sa.Text(), sa.LargeBinary()
    op.create_table(
        "items",
        sa.Column("kind", text, primary_key=True),
        sa.Column("id", number, primary_key=True, autoincrement=False),
        sa.Column("owner_id", number, nullable=False),
        sa.Column("version", number, nullable=False),
        sa.Column("epoch", number, nullable=False),
        sa.Column("created_at", number, nullable=False),
        sa.Column("updated_at", number, nullable=False),
        sa.Column("ident_bidx", blob, nullable=True),
        sa.Column("dek", blob, nullable=False),
        sa.Column("meta", blob, nullable=False),
        sa.Column("secret", blob, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("items_by_owner", "items", ["kind", "owner_id", "id"])
    op.create_index(
        "items_by_ident",
        "items",
        ["ident_bidx"],
        unique=True,
        sqlite_where=sa.text("ident_bidx IS NOT NULL"),
        postgresql_where=sa.text("ident_bidx IS NOT NULL"),
    )
    op.create_table(
        "item_versions",
        sa.Column("kind", text, primary_key=True),
        sa.Column("id", number, primary_key=True, autoincrement=False),
        sa.Column("version", number, primary_key=True, autoincrement=False),
        sa.Column("owner_id", number, nullable=False),
        sa.Column("epoch", number, nullable=False),
        sa.Column("created_at", number, nullable=False),
        sa.Column("updated_at", number, nullable=False),
        sa.Column("dek", blob, nullable=False),
        sa.Column("meta", blob, nullable=False),
        sa.Column("secret", blob, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "blobs",
        sa.Column("id", text, primary_key=True),
        sa.Column("state", text, nullable=False),
        sa.Column("owner_id", number, nullable=False),
        sa.Column("item_id", number, nullable=False),
        sa.Column("stored_bytes", number, nullable=False),
        sa.Column("created_at", number, nullable=False),
        sa.Column("last_version", number, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("blobs_by_owner", "blobs", ["owner_id", "stored_bytes"])
    op.create_index("blobs_by_item", "blobs", ["item_id"])
    op.create_table(
        "grants_idx",
        sa.Column("principal_type", number, primary_key=True, autoincrement=False),
        sa.Column("principal_id", number, primary_key=True, autoincrement=False),
        sa.Column("kind", text, primary_key=True),
        sa.Column("item_id", number, primary_key=True, autoincrement=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _make_audit() -> None:
    number, text, blob = NUMBER, sa.Text(), sa.LargeBinary()
    op.create_table(
        "audit",
        sa.Column("id", number, primary_key=True),
        sa.Column("at_ms", number, nullable=False),
        sa.Column("node", text, nullable=False),
        sa.Column("actor_id", number, nullable=False),
        sa.Column("access_key_id", number, nullable=False),
        sa.Column("action", text, nullable=False),
        sa.Column("record_kind", text, nullable=False),
        sa.Column("record_id", number, nullable=False),
        sa.Column("new_version", number, nullable=False),
        sa.Column("envelope_sha256", blob, nullable=False),
        sa.Column("result", text, nullable=False),
        sa.Column("request_id", text, nullable=False),
        sa.Column("details", blob, nullable=False),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )


def _make_audit_tree() -> None:
    number, blob = NUMBER, sa.LargeBinary()
    op.create_table(
        "audit_leaves",
        sa.Column("position", number, primary_key=True, autoincrement=False),
        sa.Column("audit_id", number, nullable=False),
        sa.Column("hash", blob, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_nodes",
        sa.Column("level", number, primary_key=True, autoincrement=False),
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("hash", blob, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_tree",
        sa.Column("id", number, primary_key=True, autoincrement=False),
        sa.Column("size", number, nullable=False),
        sa.Column("swept_id", number, nullable=False),
        sa.Column("swept_size", number, nullable=False),
        sa.Column("edge", blob, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", number, primary_key=True, autoincrement=False),
        sa.Column("at", number, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sqlite_strict=True,
    )
