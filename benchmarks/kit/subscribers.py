"""Subscribers in bulk: one filter set each, written into PostgreSQL as the bot would have left them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Subscriber

PAID_FOR = timedelta(days=30)
COLUMNS = (
    "user_id",
    "chat_id",
    "name",
    "plan",
    "paid_until",
    "paused",
    "unreachable",
    "document",
    "revision",
    "updated_at",
)


async def fill(dsn: str, filter_sets: Iterable[FilterSet]) -> None:
    """Add the owner of each set, who receives and has paid. The schema is there."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.copy_records_to_table("subscribers", records=_records(filter_sets), columns=COLUMNS)
        await connection.execute("ANALYZE subscribers")
    finally:
        await connection.close()


def _records(filter_sets: Iterable[FilterSet]) -> Iterator[tuple[object, ...]]:
    now = datetime.now(UTC)
    until = now + PAID_FOR
    for chosen in filter_sets:
        user_id = chosen.user_id
        subscriber = Subscriber(
            user_id=user_id,
            chat_id=user_id,
            name="Somebody",
            created_at=now,
            plan="pro",
            paid_until=until,
            filter_sets=(chosen,),
        )
        document = msgspec.json.encode(subscriber).decode()
        yield user_id, user_id, "Somebody", "pro", until, False, False, document, 1, now
