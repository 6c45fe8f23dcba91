"""Records of channels, presets and filter sets; what admins corrected; when a call's card has told its outcome."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLES = ("corrections", "record_cursors", "record_calls", "record_days", "records")
_STATEMENTS = (
    # `entry_…`: as the first alert of the call was sent. Multiples count times `scale`, and only where `excluded` is
    # null. `shown_at`: everybody's card tells how it ended.
    """
    ALTER TABLE outcomes
        ADD COLUMN symbol text,
        ADD COLUMN entry_at timestamptz,
        ADD COLUMN entry_multiple double precision,
        ADD COLUMN entry_liquidity_usd double precision,
        ADD COLUMN scale double precision NOT NULL DEFAULT 1,
        ADD COLUMN excluded text,
        ADD COLUMN shown_at timestamptz
    """,
    """
    UPDATE outcomes o SET updated_at = coalesce(o.updated_at, o.opened_at),
        shown_at = CASE WHEN o.ended_at IS NULL THEN NULL ELSE now() END,
        symbol = (SELECT left(coalesce(c.document #>> '{token,symbol}', c.document #>> '{token,name}'), 64)
            FROM calls c WHERE c.call_id = o.call_id)
    """,
    "CREATE INDEX outcomes_by_change ON outcomes (updated_at)",
    "CREATE INDEX outcomes_by_peak ON outcomes ((coalesce(peak_multiple, 1) * scale)) WHERE excluded IS NULL",
    "CREATE INDEX outcomes_unshown ON outcomes (called_at) WHERE shown_at IS NULL",
    "CREATE INDEX outcomes_ended_unshown ON outcomes (ended_at) WHERE shown_at IS NULL AND ended_at IS NOT NULL",
    # In the order in which they were stored.
    "ALTER TABLE claims ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
    "CREATE UNIQUE INDEX claims_by_number ON claims (number)",
    # The records as they are now; `due_at`: when they are computed anew. Those of each day are kept: what stood at
    # its end, so that nothing later looks ahead.
    """
    CREATE TABLE records (
        kind text NOT NULL,
        subject text NOT NULL,
        due_at timestamptz NOT NULL,
        as_of timestamptz,
        document jsonb,
        PRIMARY KEY (kind, subject)
    )
    """,
    "CREATE INDEX records_due ON records (due_at)",
    """
    CREATE TABLE record_days (
        kind text NOT NULL,
        subject text NOT NULL,
        day date NOT NULL,
        as_of timestamptz NOT NULL,
        document jsonb NOT NULL,
        PRIMARY KEY (kind, subject, day)
    )
    """,
    # What a preset or a filter set let through; claims are forgotten after a while, records are not.
    """
    CREATE TABLE record_calls (
        kind text NOT NULL,
        subject text NOT NULL,
        call_id text NOT NULL,
        PRIMARY KEY (kind, subject, call_id)
    )
    """,
    "CREATE INDEX record_calls_by_call ON record_calls (call_id)",
    """
    CREATE TABLE record_cursors (
        name text PRIMARY KEY,
        number bigint NOT NULL DEFAULT 0,
        at timestamptz
    )
    """,
    "INSERT INTO record_cursors (name) VALUES ('claims'), ('outcomes')",
    "INSERT INTO records (kind, subject, due_at) SELECT DISTINCT 'channel', channel_id, now() FROM outcomes",
    # Never changed and never deleted: who corrected what, and why.
    """
    CREATE TABLE corrections (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        call_id text NOT NULL,
        admin_id bigint NOT NULL,
        corrected_at timestamptz NOT NULL,
        action text NOT NULL,
        scale double precision NOT NULL,
        reason text NOT NULL
    )
    """,
    "CREATE INDEX corrections_by_call ON corrections (call_id, id)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP INDEX claims_by_number, outcomes_by_change, outcomes_by_peak, outcomes_unshown")
    op.execute("DROP INDEX outcomes_ended_unshown")
    op.execute("ALTER TABLE claims DROP COLUMN number")
    op.execute(
        """
        ALTER TABLE outcomes DROP COLUMN symbol, DROP COLUMN entry_at, DROP COLUMN entry_multiple,
            DROP COLUMN entry_liquidity_usd, DROP COLUMN scale, DROP COLUMN excluded, DROP COLUMN shown_at
        """
    )
