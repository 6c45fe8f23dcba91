"""Of a channel that is read: when more had been posted than could be read back to, and what it is called now."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE read_channels ADD COLUMN IF NOT EXISTS gap_at timestamptz, ADD COLUMN IF NOT EXISTS moved_to text"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE read_channels DROP COLUMN gap_at, DROP COLUMN moved_to")
