"""Alembic executes this file for every command; the connection comes from `migrations.migrate`."""

from __future__ import annotations

from typing import cast

from alembic import context
from sqlalchemy import Connection, text

_LOCK = 7_306_221_904
"""Any number that nobody else takes a PostgreSQL advisory lock with."""


def _run() -> None:
    connection = cast("Connection", context.config.attributes["connection"])
    context.configure(connection=connection)
    with context.begin_transaction():
        # Two processes that start at once: the second waits here, then finds everything done.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.run_migrations()
    connection.commit()


_run()
