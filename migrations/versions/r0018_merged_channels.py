"""Channels that are one: a control `merged` of the other has the id of the main channel."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # As no table is made, this may be executed again on a schema whose revision was forgotten.
    op.execute("ALTER TABLE controls ADD COLUMN IF NOT EXISTS main text NOT NULL DEFAULT ''")
    op.execute("CREATE INDEX IF NOT EXISTS controls_merged ON controls (main) WHERE name = 'merged' AND until IS NULL")


def downgrade() -> None:
    op.execute("DELETE FROM controls WHERE name = 'merged'")
    op.execute("ALTER TABLE controls DROP COLUMN main")
