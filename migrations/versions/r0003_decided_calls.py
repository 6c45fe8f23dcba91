"""Every decided call, whoever it was accepted for, with the time and the reason of its decision."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    ALTER TABLE calls
        ADD COLUMN decided_at timestamptz,
        ADD COLUMN reason text NOT NULL DEFAULT 'first_check',
        ADD COLUMN checked_channels text[] NOT NULL DEFAULT '{}'
    """,
    "UPDATE calls SET decided_at = received_at",
    """
    ALTER TABLE calls
        ALTER COLUMN decided_at SET NOT NULL,
        ALTER COLUMN reason DROP DEFAULT,
        ALTER COLUMN checked_channels DROP DEFAULT
    """,
    "CREATE INDEX calls_by_token_decided ON calls (token_address, decided_at)",
    "CREATE INDEX calls_by_decided ON calls (decided_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX calls_by_decided, calls_by_token_decided")
    op.execute("ALTER TABLE calls DROP COLUMN decided_at, DROP COLUMN reason, DROP COLUMN checked_channels")
