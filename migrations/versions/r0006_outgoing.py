"""Messages that are no alerts, and the chat in which a message stands."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # Everything that was put into an outbox in an envelope (`domain.stored.outgoing`), whatever became of it.
    """
    CREATE TABLE outgoing (
        key text NOT NULL,
        user_id bigint NOT NULL,
        kind text NOT NULL,
        decided_at timestamptz NOT NULL,
        document jsonb NOT NULL,
        PRIMARY KEY (key, user_id)
    )
    """,
    "CREATE INDEX outgoing_by_time ON outgoing (decided_at)",
    "ALTER TABLE deliveries ADD COLUMN chat_id bigint",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE outgoing")
    op.execute("ALTER TABLE deliveries DROP COLUMN chat_id")
