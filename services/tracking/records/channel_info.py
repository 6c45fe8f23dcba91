"""Our own record of a channel, where who enriches calls finds it: in Redis, as PostgreSQL is on no alert's way."""

from __future__ import annotations

import msgspec

from domain.calls.events import Channel, ChannelRecord
from domain.tracking.records import Record, Records
from managers.redis.client import RedisManager
from services.stores import keys


class ChannelInfo:
    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis

    async def put(self, channel_id: str, records: Records) -> None:
        """May be repeated. `RedisUnavailableError`."""
        document = msgspec.json.encode(channel_of(channel_id, records))
        await self._redis.set(keys.CHANNEL_RECORD.of(channel_id), document, ex_s=keys.CHANNEL_RECORD.expires_s)


def channel_of(channel_id: str, records: Records) -> Channel:
    """Return what filters and cards read; without a rate where there are too few tokens for one."""
    life, month = records.by_window.get("life"), records.by_window.get("30d")
    return Channel(id=channel_id, record=_record(life, records), record_30d=_record(month, records))


def _record(record: Record | None, of: Records) -> ChannelRecord | None:
    if record is None or not record.tokens:
        return None
    return ChannelRecord(
        calls=record.calls,
        win_rate_percent=record.wins.percent if record.wins else None,
        win_rate_low_percent=record.wins.low_percent if record.wins else None,
        average_multiple=record.average_multiple,
        median_multiple=record.median_multiple,
        own_tokens=record.tokens,
        as_of=of.as_of,
    )
