"""Every claimed alert: who was accepted for which token, whatever became of the alert."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE claims (
        call_id text NOT NULL,
        user_id bigint NOT NULL,
        token_address text NOT NULL,
        claimed_at timestamptz NOT NULL,
        document jsonb NOT NULL,
        PRIMARY KEY (call_id, user_id)
    )
    """,
    "CREATE INDEX claims_by_token ON claims (token_address, user_id)",
    "CREATE INDEX claims_by_time ON claims (claimed_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE claims")
