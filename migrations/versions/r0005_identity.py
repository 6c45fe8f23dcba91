"""Which database this is, and how far the journal has come in it."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # One row. `journal_at` is the last journal entry that was committed, as (milliseconds, number). `sender` names
    # the log (`services.stores.in_flight_log`) of the one process that sends; NULL where several do, or nobody knows.
    """
    CREATE TABLE identity (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        id text NOT NULL,
        journal_at bigint[] NOT NULL DEFAULT '{0,0}',
        filling_for text,
        filled_at timestamptz,
        filled text,
        sender text
    )
    """,
    "INSERT INTO identity (id) VALUES (gen_random_uuid()::text)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE identity")
