"""Personal alerts: what somebody waits for, each time that it came to that, and what watched tokens cost last."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLES = ("watched_tokens", "watch_firings", "watches")
_STATEMENTS = (
    # `crossings`: how often it came to that. `armed`: it may come to that again. `changed_at` is PostgreSQL's own time:
    # whoever follows prices asks every second for what has changed lately.
    """
    CREATE TABLE watches (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id bigint NOT NULL,
        token_address text NOT NULL,
        name text,
        subject text NOT NULL,
        side text NOT NULL,
        value double precision NOT NULL,
        each_time boolean NOT NULL,
        base_usd double precision,
        armed boolean NOT NULL DEFAULT true,
        crossings integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at timestamptz,
        ending text
    )
    """,
    "CREATE UNIQUE INDEX watches_once ON watches (user_id, token_address, subject, side, value) WHERE ended_at IS NULL",
    "CREATE INDEX watches_by_change ON watches (changed_at)",
    # `told_at`: when its message was put into the outbox, or nobody was left to be told; until then it is looked at
    # again at `look_at`.
    """
    CREATE TABLE watch_firings (
        watch_id bigint NOT NULL,
        crossing integer NOT NULL,
        price_usd double precision NOT NULL,
        market_cap_usd double precision,
        reached_at timestamptz NOT NULL,
        confirmed_at timestamptz NOT NULL,
        since timestamptz,
        look_at timestamptz NOT NULL,
        told_at timestamptz,
        PRIMARY KEY (watch_id, crossing)
    )
    """,
    "CREATE INDEX watch_firings_untold ON watch_firings (look_at) WHERE told_at IS NULL",
    """
    CREATE TABLE watched_tokens (
        token_address text PRIMARY KEY,
        price_usd double precision NOT NULL,
        supply double precision,
        seen_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX calls_by_symbol ON calls (upper(document #>> '{token,symbol}'), decided_at)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX calls_by_symbol")
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
