"""The keys of exports and erasures in Redis."""

from __future__ import annotations

from typing import Final

from services.stores.redis_key import HOUR_S, RedisKey

EXPORTS: Final = RedisKey(
    pattern="exports",
    kind="hash",
    lives_s=None,
    meaning="User id -> the export that they asked for and that is not complete (JSON of "
    "services.export.exporting.Asked).",
)
EXPORTED: Final = RedisKey(
    pattern="exported:{}",
    kind="string",
    lives_s=HOUR_S,
    meaning="By user id: they asked for an export, and may ask again when this has ended.",
)

ALL_KEYS: Final = (EXPORTS, EXPORTED)
