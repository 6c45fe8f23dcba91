"""Who runs the bot need not own its tables: partitions are made and dropped in the name of who owns them."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FUNCTIONS = ("add_partition(text, date, integer)", "drop_partitions(text, timestamptz)")


def upgrade() -> None:
    for function in _FUNCTIONS:
        # Where names are looked up is fixed: who calls it cannot put a table of theirs in the way.
        op.execute(
            f"""
            DO $$ BEGIN
                EXECUTE format('ALTER FUNCTION {function} SECURITY DEFINER SET search_path = %I, pg_temp',
                    current_schema());
            END $$
            """
        )
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")


def downgrade() -> None:
    for function in _FUNCTIONS:
        op.execute(f"ALTER FUNCTION {function} SECURITY INVOKER RESET search_path")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC")
