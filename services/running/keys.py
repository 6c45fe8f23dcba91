"""The keys in Redis of what processes are told, and tell of themselves."""

from __future__ import annotations

from typing import Final

from services.stores.redis_key import RedisKey

ORDERS: Final = RedisKey(
    pattern="orders",
    kind="stream",
    lives_s=None,
    meaning="What an admin wants of every process: fields `what`, `argument`, `by`. The latest hundred.",
)
PROCESS_REPORT: Final = RedisKey(
    pattern="process:{}:report",
    kind="string",
    lives_s=20,
    meaning="By owner: how its sources, caches and hosts are (JSON of services.running.processes.ProcessReport).",
)

ALL_KEYS: Final = (ORDERS, PROCESS_REPORT)
