"""What admins have turned off, paused, blocked or featured; and every earlier form of a preset."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # It stands while `until` is null. The last one of each stays: calls that waited for it are told from late ones.
    """
    CREATE TABLE controls (
        name text NOT NULL,
        subject text NOT NULL,
        reason text NOT NULL,
        admin_id bigint NOT NULL,
        since timestamptz NOT NULL,
        until timestamptz,
        PRIMARY KEY (name, subject)
    )
    """,
    """
    CREATE TABLE preset_changes (
        key text NOT NULL,
        revision bigint NOT NULL,
        document jsonb NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (key, revision)
    )
    """,
    """
    INSERT INTO preset_changes (key, revision, document, changed_at)
    SELECT key, revision, document, changed_at FROM presets
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("preset_changes", "controls"):
        op.execute(f"DROP TABLE {table}")
