"""Invoices, what arrived, what people were given for it, and up to where each source was read."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("payment_cursors", "entitlements", "arrivals", "invoices")
_STATEMENTS = (
    """
    CREATE TABLE invoices (
        id text PRIMARY KEY,
        user_id bigint NOT NULL,
        method text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        document jsonb NOT NULL
    )
    """,
    "CREATE INDEX invoices_by_user ON invoices (user_id, created_at DESC)",
    "CREATE INDEX invoices_by_time ON invoices (expires_at)",
    # `key` is the network's name for it: (chain, signature, balance), (processor, payment), (Stars, charge).
    """
    CREATE TABLE arrivals (
        key text PRIMARY KEY,
        invoice_id text,
        asset text NOT NULL,
        amount numeric NOT NULL,
        arrived_at timestamptz NOT NULL,
        stage text NOT NULL,
        refunded boolean NOT NULL,
        recorded_at timestamptz NOT NULL,
        document jsonb NOT NULL
    )
    """,
    "CREATE INDEX arrivals_by_invoice ON arrivals (invoice_id)",
    "CREATE INDEX arrivals_by_time ON arrivals (arrived_at)",
    """
    CREATE TABLE entitlements (
        user_id bigint NOT NULL,
        key text NOT NULL,
        plan text NOT NULL,
        days integer NOT NULL,
        price_usd numeric NOT NULL,
        given_at timestamptz NOT NULL,
        document jsonb NOT NULL,
        PRIMARY KEY (user_id, key)
    )
    """,
    """
    CREATE TABLE payment_cursors (
        source text PRIMARY KEY,
        slot bigint NOT NULL,
        document jsonb NOT NULL,
        moved_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
