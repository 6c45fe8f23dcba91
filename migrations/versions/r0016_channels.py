"""Channels that are read, what was made of their posts, and what they called: kept for a while, in order."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # `revision` grows with each change of what was read: who reads by an older one writes nothing.
    """
    CREATE TABLE read_channels (
        channel text PRIMARY KEY,
        title text,
        state text NOT NULL,
        added_by bigint,
        added_at timestamptz NOT NULL,
        read_to bigint,
        revision bigint NOT NULL DEFAULT 0,
        last_post_at timestamptz,
        last_read_at timestamptz,
        problem text,
        problem_since timestamptz
    )
    """,
    """
    CREATE TABLE read_posts (
        channel text NOT NULL,
        number bigint NOT NULL,
        posted_at timestamptz NOT NULL,
        read_at timestamptz NOT NULL,
        digest bytea NOT NULL,
        verdict text NOT NULL,
        reason text NOT NULL,
        understood text NOT NULL,
        PRIMARY KEY (channel, number)
    )
    """,
    "CREATE INDEX read_posts_read_at ON read_posts (read_at)",
    """
    CREATE TABLE channel_tokens (
        channel text NOT NULL,
        address text NOT NULL,
        called_at timestamptz NOT NULL,
        PRIMARY KEY (channel, address)
    )
    """,
    "CREATE INDEX channel_tokens_called_at ON channel_tokens (called_at)",
    # One row. Whoever writes calls moves it in the same transaction, so that cursors become visible in their order.
    "CREATE TABLE channel_calls_cursor (id boolean PRIMARY KEY DEFAULT true CHECK (id), cursor bigint NOT NULL)",
    "INSERT INTO channel_calls_cursor (cursor) VALUES (0)",
    """
    CREATE TABLE channel_calls (
        cursor bigint PRIMARY KEY,
        call_id text NOT NULL UNIQUE,
        channel text NOT NULL,
        number bigint NOT NULL,
        written_at timestamptz NOT NULL,
        frame text NOT NULL
    )
    """,
    "CREATE INDEX channel_calls_written_at ON channel_calls (written_at)",
    # Calls of which a provider has to say yet what token they mean.
    """
    CREATE TABLE unresolved_calls (
        channel text NOT NULL,
        number bigint NOT NULL,
        address text NOT NULL,
        since timestamptz NOT NULL,
        asked_at timestamptz NOT NULL,
        document text NOT NULL,
        PRIMARY KEY (channel, number, address)
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "unresolved_calls",
        "channel_calls",
        "channel_calls_cursor",
        "channel_tokens",
        "read_posts",
        "read_channels",
    ):
        op.execute(f"DROP TABLE {table}")
