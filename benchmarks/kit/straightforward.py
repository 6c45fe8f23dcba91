"""The bot that everybody writes first: for each call and each user EXISTS, a loop over their rules, SET, INSERT."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec
from redis import asyncio as redis

from domain.calls.events import Call
from domain.filters.registry import FIELDS, Choice, FilterSet, Range

HOUR_S = 3600
FORTNIGHT_S = 14 * 24 * HOUR_S
TABLE = """
    CREATE TABLE IF NOT EXISTS straightforward_alerts (
        id bigserial PRIMARY KEY,
        user_id bigint NOT NULL,
        token_address text NOT NULL,
        call_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
"""
INSERT = "INSERT INTO straightforward_alerts (user_id, token_address, call_id) VALUES ($1, $2, $3)"

_VALUES = {field.key: field.value for field in FIELDS}


class StraightforwardBot:
    """Each command is awaited before the next, as it is written by hand; the drivers have their defaults."""

    def __init__(self, redis_url: str, postgres_dsn: str, sets: Iterable[FilterSet]) -> None:
        self._redis: Any = redis.Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType] - untyped
        self._postgres_dsn = postgres_dsn
        self._sets = list(sets)

    async def decide_all(self, calls: Iterable[Call]) -> float:
        """Decide the calls one after the other; returns the seconds that each took on average."""
        pool = await asyncpg.create_pool(self._postgres_dsn, min_size=1, max_size=5)
        try:
            await pool.execute(TABLE)
            started_at, decided = time.perf_counter(), 0
            for call in calls:
                await self._decide(call, pool)
                decided += 1
            return (time.perf_counter() - started_at) / decided
        finally:
            await pool.close()
            await self._redis.aclose()

    async def _decide(self, call: Call, pool: Any) -> None:
        address = call.token.address
        for filter_set in self._sets:
            key = f"straightforward:{address}:{filter_set.user_id}"
            if await self._redis.exists(key):
                continue
            accepted = _passes(filter_set, call)
            record = {"timestamp": call.called_at, "status": "accepted" if accepted else "rejected"}
            await self._redis.set(key, msgspec.json.encode(record), ex=FORTNIGHT_S if accepted else HOUR_S)
            if accepted:
                await pool.execute(INSERT, filter_set.user_id, address, call.id)


def _passes(filter_set: FilterSet, call: Call) -> bool:
    for key, rule in filter_set.rules.items():
        value = _VALUES[key](call)
        if isinstance(rule, Range):
            if not isinstance(value, int | float):
                return False
            if rule.minimum is not None and value < rule.minimum:
                return False
            if rule.maximum is not None and value > rule.maximum:
                return False
        elif isinstance(rule, Choice) and rule.included and value not in rule.included:
            return False
    return True
