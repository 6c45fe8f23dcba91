"""What the operator says to many at once, and to whom of them it is still to go."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # The last counts stand here once it is over; until then they follow from `broadcast_recipients` and `deliveries`.
    """
    CREATE TABLE broadcasts (
        id text PRIMARY KEY,
        created_by bigint NOT NULL,
        created_at timestamptz NOT NULL,
        html text NOT NULL,
        segment text NOT NULL,
        language text NOT NULL,
        state text NOT NULL,
        due_at timestamptz,
        started_at timestamptz,
        ended_at timestamptz,
        shown_chat_id bigint,
        shown_message_id bigint,
        total integer NOT NULL DEFAULT 0,
        counts jsonb
    )
    """,
    "CREATE INDEX broadcasts_by_time ON broadcasts (created_at)",
    "CREATE INDEX broadcasts_open ON broadcasts (state) WHERE ended_at IS NULL AND state <> 'draft'",
    # As long as it lasts. `left`, `put` into an outbox, or `skipped`, since they are not to get it any more.
    """
    CREATE TABLE broadcast_recipients (
        broadcast_id text NOT NULL,
        user_id bigint NOT NULL,
        state text NOT NULL DEFAULT 'left',
        PRIMARY KEY (broadcast_id, user_id)
    )
    """,
    "CREATE INDEX broadcast_recipients_left ON broadcast_recipients (broadcast_id, user_id) WHERE state = 'left'",
    "CREATE INDEX broadcast_recipients_by_user ON broadcast_recipients (user_id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("broadcast_recipients", "broadcasts"):
        op.execute(f"DROP TABLE {table}")
