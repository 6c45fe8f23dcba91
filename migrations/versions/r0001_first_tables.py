"""Subscribers and their history, calls, channels, deliveries, and what could not be stored."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE subscribers (
        user_id bigint PRIMARY KEY,
        chat_id bigint NOT NULL,
        name text NOT NULL,
        plan text NOT NULL,
        paid_until timestamptz,
        paused boolean NOT NULL,
        unreachable boolean NOT NULL,
        document jsonb NOT NULL,
        revision integer NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE subscriber_changes (
        user_id bigint NOT NULL,
        revision integer NOT NULL,
        document jsonb NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, revision)
    )
    """,
    """
    CREATE TABLE channels (
        channel_id text PRIMARY KEY,
        title text,
        document jsonb NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE calls (
        call_id text PRIMARY KEY,
        token_address text NOT NULL,
        channel_id text NOT NULL,
        called_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        market_cap_usd double precision,
        document jsonb NOT NULL
    )
    """,
    "CREATE INDEX calls_by_token ON calls (token_address, called_at)",
    "CREATE INDEX calls_by_channel ON calls (channel_id, called_at)",
    # No foreign keys: entries of different kinds reach PostgreSQL independently of each other.
    """
    CREATE TABLE deliveries (
        call_id text NOT NULL,
        user_id bigint NOT NULL,
        kind text NOT NULL,
        set_number integer NOT NULL,
        status text NOT NULL,
        message_id bigint,
        decided_at timestamptz NOT NULL,
        sent_at timestamptz,
        latency_s double precision,
        may_repeat boolean NOT NULL,
        reason text,
        PRIMARY KEY (call_id, user_id, kind)
    )
    """,
    "CREATE INDEX deliveries_by_user ON deliveries (user_id, decided_at)",
    """
    CREATE TABLE journal_rejected (
        entry_id text PRIMARY KEY,
        kind text NOT NULL,
        payload bytea NOT NULL,
        reason text NOT NULL,
        rejected_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE journal_rejected, deliveries, calls, channels, subscriber_changes, subscribers")
