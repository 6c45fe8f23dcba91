"""What became of calls: each as it is tracked, the rungs that it reached, and the state of the tracker."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = ("tracker_snapshots", "milestones", "outcomes")
_STATEMENTS = (
    # In the order in which they were stored: one transaction of the journal commits after the other.
    "ALTER TABLE calls ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
    "CREATE UNIQUE INDEX calls_by_number ON calls (number)",
    # One row for each call that is tracked, or was. What stood at the call is never changed; the rest goes on until
    # `ended_at`. Multiples are of the price at the call, or of the market cap, as `measure` says.
    """
    CREATE TABLE outcomes (
        call_id text PRIMARY KEY,
        number bigint NOT NULL UNIQUE,
        token_address text NOT NULL,
        channel_id text NOT NULL,
        called_at timestamptz NOT NULL,
        opened_at timestamptz NOT NULL,
        measure text NOT NULL,
        price_usd double precision,
        market_cap_usd double precision,
        liquidity_usd double precision,
        peak_multiple double precision,
        peak_at timestamptz,
        at_least boolean NOT NULL DEFAULT false,
        wick_multiple double precision,
        reachable_multiple double precision,
        return_1h double precision,
        return_24h double precision,
        return_7d double precision,
        updated_at timestamptz,
        ended_at timestamptz,
        ending text
    )
    """,
    "CREATE INDEX outcomes_by_token ON outcomes (token_address, called_at)",
    "CREATE INDEX outcomes_by_channel ON outcomes (channel_id, called_at)",
    "CREATE INDEX outcomes_by_time ON outcomes (called_at)",
    "CREATE INDEX outcomes_ended ON outcomes (ended_at) WHERE ended_at IS NOT NULL",
    # `told_at`: when everybody was told who is to be told; until then it is looked at again at `look_at`.
    """
    CREATE TABLE milestones (
        call_id text NOT NULL,
        rung double precision NOT NULL,
        number bigint NOT NULL,
        multiple double precision NOT NULL,
        reached_at timestamptz NOT NULL,
        confirmed_at timestamptz NOT NULL,
        late boolean NOT NULL,
        since timestamptz,
        verified boolean NOT NULL,
        liquidity_usd double precision,
        look_at timestamptz NOT NULL,
        told_at timestamptz,
        PRIMARY KEY (call_id, rung)
    )
    """,
    "CREATE INDEX milestones_untold ON milestones (look_at) WHERE told_at IS NULL",
    "CREATE INDEX milestones_by_time ON milestones (confirmed_at)",
    # `next_number`: calls from this one on are not in it.
    """
    CREATE TABLE tracker_snapshots (
        chunk integer PRIMARY KEY,
        next_number bigint NOT NULL,
        taken_at timestamptz NOT NULL,
        data bytea NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP INDEX calls_by_number")
    op.execute("ALTER TABLE calls DROP COLUMN number")
