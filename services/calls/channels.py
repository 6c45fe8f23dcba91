"""Channels and what their earlier calls became: from memory, Redis, the feed's HTTP side, or our own records.

Layer 1 is in memory, layer 3 in Redis; what the feed's HTTP side has no record of, we may have followed ourselves.

For menus: which channels there are, from the calls that pass by and, where none do, from PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import msgspec
import structlog
from msgspec.structs import replace

from domain.calls.events import Call, Channel
from domain.calls.merges import Merges
from managers.feed.sources.base import Source
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.monitoring.metrics import Metrics
from services.stores import keys

log = structlog.get_logger(__name__)

MAX_KNOWN = 1_000
"""Channels that menus offer."""
MAX_COUNTED = 10_000
"""Channels whose calls are counted, so that a new one can come to be among them."""
COUNTED_FOR = timedelta(days=7)
RESTORED_EVERY_S = 120.0

_KNOWN: Final[LiteralString] = """
    SELECT c.document::text AS document, n.calls
    FROM (SELECT channel_id, document, updated_at FROM channels ORDER BY updated_at DESC LIMIT $2) c
    CROSS JOIN LATERAL (
        SELECT count(*) AS calls FROM calls WHERE calls.channel_id = c.channel_id AND calls.called_at > $1) n
    ORDER BY n.calls DESC, c.updated_at DESC
"""


class ChannelsService:
    def __init__(
        self,
        *,
        source: Source,
        redis: RedisManager,
        postgres: PostgresManager,
        cache: SmartCache[str, Channel],
        api_semaphore: asyncio.Semaphore,
        metrics: Metrics,
        clock: Callable[[], datetime],
        merges: Callable[[], Merges] = Merges,
    ) -> None:
        """`merges`: which channels are one at this moment."""
        self._merges = merges
        self._source = source
        self._redis = redis
        self._postgres = postgres
        self._clock = clock
        self._cache = cache
        self._api_semaphore = api_semaphore
        self._metrics = metrics
        self._calls: Counter[str] = Counter()
        self._known: dict[str, Channel] = {}
        self._own: dict[str, Channel] = {}
        """Our own records as they are now, by channel id; what is cached may be an hour older."""

    async def enrich(self, calls: Sequence[Call]) -> list[Call]:
        """Give each call to its main channel and fill in the records of that, in the order given.

        A record nobody has stays `None`.
        """
        calls = [self._known_as(call) for call in calls]
        channels = [self._recorded(call.channel) for call in calls]
        if None in channels:
            missing = {c.channel.id: c.channel for c, found in zip(calls, channels, strict=True) if found is None}
            await asyncio.gather(*(self._load_once(channel) for channel in missing.values()))
            channels = [self._recorded(call.channel) for call in calls]
        return [self._filled_in(call, found) for call, found in zip(calls, channels, strict=True)]

    def known(self) -> Sequence[Channel]:
        """Channels seen on the feed, most calls first."""
        return [self._known[channel_id] for channel_id, _ in self._calls.most_common(MAX_KNOWN)]

    def title_of(self, channel_id: str) -> str | None:
        known = self._known.get(channel_id)
        return known and known.title

    async def restore(self) -> None:
        """Learn which channels called lately, whoever saw it. May be repeated. `PostgresUnavailableError`."""
        rows = await self._postgres.fetch(_KNOWN, self._clock() - COUNTED_FOR, MAX_KNOWN)
        counted: dict[str, int] = {}
        for document, calls in rows:
            try:
                channel = msgspec.json.decode(document, type=Channel)
            except msgspec.DecodeError as error:
                log.warning("channel_unreadable", reason=str(error))
                continue
            self._known[channel.id] = channel
            counted[channel.id] = calls
        merges = self._merges()
        for channel_id in counted:
            calls = sum(counted.get(one, 0) for one in merges.ids_of(channel_id))
            self._calls[channel_id] = max(self._calls[channel_id], calls)
        await self._refresh_own()

    async def _refresh_own(self) -> None:
        """Learn what our own records say by now, of the channels that call."""
        ids = [channel_id for channel_id, _ in self._calls.most_common(MAX_KNOWN)]
        try:
            documents = await self._redis.mget([keys.CHANNEL_RECORD.of(channel_id) for channel_id in ids])
        except TransientError as error:
            self._metrics.counts.fallbacks["channel_record"] += 1
            log.warning("own_records_unavailable", reason=str(error))
            return
        found = zip(ids, documents, strict=True)
        self._own = {one: own for one, data in found if data is not None and (own := self._readable(one, data))}
        self._known |= {one: self._with_newest(self._known[one]) for one in self._own if one in self._known}

    def _readable(self, channel_id: str, document: bytes) -> Channel | None:
        """Read a record, or leave that one out."""
        try:
            return msgspec.json.decode(document, type=Channel)
        except msgspec.DecodeError as error:
            self._metrics.counts.fallbacks["channel_record"] += 1
            log.warning("own_record_unreadable", channel_id=channel_id, reason=str(error))
            return None

    def _with_newest(self, channel: Channel) -> Channel:
        """Give the channel with our own records as they are now, where the source has none."""
        own = self._own.get(channel.id)
        if own is None:
            return channel
        record, record_30d = channel.record, channel.record_30d
        return replace(
            channel,
            record=own.record if record is None or record.own_tokens is not None else record,
            record_30d=own.record_30d if record_30d is None or record_30d.own_tokens is not None else record_30d,
        )

    async def run(self, progress: Progress) -> None:
        """Restore for ever: a process that sees no calls learns of new channels by it."""
        while True:
            progress()
            await self.restore()
            await pause(RESTORED_EVERY_S, progress)

    def _known_as(self, call: Call) -> Call:
        """Return the call as one of its main channel, by the title that it goes by."""
        merges = self._merges()
        if not merges.mains and not call.channel.also:
            return call
        channel, first = merges.known_as(call), call.first_channel
        if channel.id != call.channel.id:
            channel = replace(channel, title=self.title_of(channel.id) or channel.title)
        if first is not None and (main := merges.main_of(first.id)) != first.id:
            first = Channel(id=main, title=self.title_of(main) or first.title)
        return replace(call, channel=channel, first_channel=first)

    def _recorded(self, channel: Channel) -> Channel | None:
        """Give the channel with its records as far as they are in memory; `None`: they have to be loaded."""
        if channel.record is not None:
            return channel
        found = self._cache.get(channel.id)
        found = found and self._with_newest(found)
        if found is None or (found.title == channel.title and not channel.also):
            return found
        return replace(channel, record=found.record, record_30d=found.record_30d)

    async def _load_once(self, channel: Channel) -> None:
        alone = replace(channel, also=(), made_by=None)
        await self._cache.get_or_load(channel.id, lambda _: self._load(alone))

    def _filled_in(self, call: Call, found: Channel | None) -> Call:
        channel = found or call.channel
        if channel.id in self._known or len(self._known) < MAX_COUNTED:
            self._calls[channel.id] += 1
            self._known[channel.id] = channel
        return call if channel == call.channel else replace(call, channel=channel)

    async def _load(self, channel: Channel) -> Channel:
        """Layer 3, then the source. When both fail the channel counts as one without a record."""
        key = keys.CHANNEL_INFO.of(channel.id)
        try:
            stored = await self._redis.get(key)
            if stored is not None:
                return msgspec.json.decode(stored, type=Channel)
            async with self._api_semaphore:
                found = await self._source.channel(channel.id) or channel
            found = await self._with_own(found)
            await self._redis.set(key, msgspec.json.encode(found), ex_s=keys.CHANNEL_INFO.expires_s)
        except (TransientError, msgspec.DecodeError) as error:
            self._metrics.counts.fallbacks["channel_record"] += 1
            log.warning("channel_record_unavailable", channel_id=channel.id, reason=str(error))
            return channel
        return found

    async def _with_own(self, channel: Channel) -> Channel:
        if channel.record is not None and channel.record_30d is not None:
            return channel
        stored = await self._redis.get(keys.CHANNEL_RECORD.of(channel.id))
        if stored is None:
            return channel
        own = msgspec.json.decode(stored, type=Channel)
        return replace(channel, record=channel.record or own.record, record_30d=channel.record_30d or own.record_30d)
