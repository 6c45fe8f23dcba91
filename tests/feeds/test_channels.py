from __future__ import annotations

import asyncio

import aiohttp
from msgspec.structs import replace

from domain.calls import Channel
from managers.cache import SmartCache
from managers.redis import RedisManager
from managers.sources.native import NativeSource
from sandbox.feed import FeedSandbox
from services.channels import ChannelsService
from services.metrics import Metrics
from tests.feeds.support import a_call


async def test_a_call_gets_both_records_of_its_channel(
    feed: FeedSandbox, session: aiohttp.ClientSession, redis_manager: RedisManager
):
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, session=session)
    known = feed.market.channel(feed.market.channel_ids[0])
    assert known is not None
    calls = [
        replace(a_call(), channel=Channel(id=known.id, title=known.title)),
        replace(a_call(), channel=Channel(id="@nobody")),
    ]
    for _ in range(2):  # from the feed, then from Redis
        service = ChannelsService(
            source=source,
            redis=redis_manager,
            cache=SmartCache[str, Channel].of("channels"),
            api_semaphore=asyncio.Semaphore(10),
            metrics=Metrics(),
        )
        enriched, unknown = await service.enrich(calls)
        assert (enriched.channel.id, enriched.channel.title) == (known.id, known.title)
        assert enriched.channel.record is not None
        assert enriched.channel.record_30d is not None
        assert known.record is not None
        assert known.record_30d is not None
        assert enriched.channel.record.calls == known.record.calls
        assert enriched.channel.record_30d.calls == known.record_30d.calls
        assert enriched.channel.record_30d.win_rate_low_percent is not None
        assert (unknown.channel.record, unknown.channel.record_30d) == (None, None)
