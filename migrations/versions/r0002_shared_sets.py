"""Filter sets shared by link, and what admins made of the presets."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE shared_sets (
        code text PRIMARY KEY,
        creator_id bigint NOT NULL,
        document jsonb NOT NULL,
        shared_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX shared_sets_by_creator ON shared_sets (creator_id, shared_at)",
    """
    CREATE TABLE presets (
        key text PRIMARY KEY,
        document jsonb NOT NULL,
        revision integer NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE presets, shared_sets")
