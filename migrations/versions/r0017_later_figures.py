"""Figures of a called token that came after its alert, or that there were none."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE later_figures (call_id text PRIMARY KEY, looked_at timestamptz NOT NULL, token text)")
    op.execute("CREATE INDEX later_figures_looked_at ON later_figures (looked_at)")


def downgrade() -> None:
    op.execute("DROP TABLE later_figures")
