"""Who administers the bot and what they did, notes about people, and what people did."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE admins (
        user_id bigint PRIMARY KEY,
        role text NOT NULL,
        added_by bigint NOT NULL,
        added_at timestamptz NOT NULL
    )
    """,
    # Of each a row before it is done, which says afterwards what came of it.
    """
    CREATE TABLE admin_actions (
        number text PRIMARY KEY,
        at timestamptz NOT NULL,
        admin_id bigint NOT NULL,
        role text NOT NULL,
        action text NOT NULL,
        user_id bigint,
        details text NOT NULL,
        outcome text NOT NULL,
        said text NOT NULL
    )
    """,
    "CREATE INDEX admin_actions_by_time ON admin_actions (at)",
    "CREATE INDEX admin_actions_by_admin ON admin_actions (admin_id, at)",
    "CREATE INDEX admin_actions_by_user ON admin_actions (user_id, at)",
    """
    CREATE TABLE notes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id bigint NOT NULL,
        admin_id bigint NOT NULL,
        noted_at timestamptz NOT NULL,
        said text NOT NULL
    )
    """,
    "CREATE INDEX notes_by_user ON notes (user_id, id)",
    """
    CREATE TABLE activity (
        user_id bigint NOT NULL,
        at timestamptz NOT NULL,
        what text NOT NULL,
        detail text NOT NULL
    )
    """,
    "CREATE INDEX activity_by_user ON activity (user_id, at)",
    "CREATE INDEX activity_by_time ON activity USING brin (at)",
    # Each person once: when they were here last, and under which name others find them in Telegram.
    "CREATE TABLE seen (user_id bigint PRIMARY KEY, username text NOT NULL, at timestamptz NOT NULL)",
    "CREATE INDEX seen_by_username ON seen (lower(username)) WHERE username <> ''",
    # What admins did stays when somebody is deleted; what was said in it about them does not.
    "ALTER FUNCTION erase_person(bigint, text[]) RENAME TO erase_rows",
    """
    CREATE FUNCTION erase_person(who bigint, kept text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE
        counts jsonb := erase_rows(who, kept || ARRAY['admin_actions']);
    BEGIN
        UPDATE admin_actions SET details = '', said = '' WHERE user_id = who;
        RETURN counts;
    END
    $$
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_person(bigint, text[])")
    op.execute("ALTER FUNCTION erase_rows(bigint, text[]) RENAME TO erase_person")
    for table in ("seen", "activity", "notes", "admin_actions", "admins"):
        op.execute(f"DROP TABLE {table}")
