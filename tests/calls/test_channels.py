from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from domain.calls.events import Channel
from domain.stored.journal import DecidedCall
from domain.tracking.records import Record, Records, rate
from managers.feed.sources.native import NativeSource
from managers.http.api import APIRetryManager
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from sandbox.feed.server import FeedSandbox
from services.calls.channels import ChannelsService
from services.delivery.cards import alert_card
from services.monitoring.metrics import Metrics
from services.stores import keys
from services.stores.journal import Journal, entry
from services.tracking.records.channel_info import ChannelInfo
from tests.feed.support import a_call
from texts import Texts


async def test_a_call_gets_both_records_of_its_channel(
    feed: FeedSandbox, api_manager: APIRetryManager, redis_manager: RedisManager, postgres_manager: PostgresManager
):
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager)
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
            postgres=postgres_manager,
            cache=SmartCache[str, Channel].of("channels"),
            api_semaphore=asyncio.Semaphore(10),
            metrics=Metrics(),
            clock=lambda: datetime.now(UTC),
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


async def test_channels_that_others_saw_are_offered_the_most_called_first(
    feed: FeedSandbox, api_manager: APIRetryManager, redis_manager: RedisManager, postgres_manager: PostgresManager
):
    journal = Journal(redis_manager, postgres_manager)
    now = datetime.now(UTC)
    called = [("@old", 30), ("@quiet", 2), ("@busy", 1), ("@busy", 0), ("@old", 29), ("@old", 28)]
    for channel_id, days in called:
        call = replace(a_call(), channel=Channel(id=channel_id), called_at=now - timedelta(days=days))
        decided = DecidedCall(call=call, decided_at=call.called_at, reason="first_check", checked_channels=())
        await redis_manager.transaction([entry("call", msgspec.json.encode(decided))])
    await journal.drain_all()
    service = ChannelsService(
        source=NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager),
        redis=redis_manager,
        postgres=postgres_manager,
        cache=SmartCache[str, Channel].of("channels"),
        api_semaphore=asyncio.Semaphore(10),
        metrics=Metrics(),
        clock=lambda: now,
    )
    assert service.known() == []
    for _ in range(2):
        await service.restore()
        assert [channel.id for channel in service.known()] == ["@busy", "@quiet", "@old"]
    quiet = replace(a_call(), channel=Channel(id="@quiet", title="Quiet"))
    await service.enrich([quiet, quiet])
    assert [channel.title for channel in service.known()] == ["Quiet", None, None]


async def test_what_the_source_has_no_record_of_has_ours_and_says_so(
    feed: FeedSandbox, api_manager: APIRetryManager, redis_manager: RedisManager, postgres_manager: PostgresManager
):
    wins = rate(3, 6)
    call = replace(a_call(), channel=Channel(id="@nobody", title="Nobody"))
    record = Record(calls=7, tokens=6, open=0, wins=wins, average_multiple=4.0, median_multiple=1.9)
    records = Records(
        call.received_at - timedelta(minutes=4), {"life": record, "30d": Record(calls=1, tokens=1, open=0)}
    )
    await ChannelInfo(redis_manager).put("@nobody", records)
    service = ChannelsService(
        source=NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager),
        redis=redis_manager,
        postgres=postgres_manager,
        cache=SmartCache[str, Channel].of("channels"),
        api_semaphore=asyncio.Semaphore(10),
        metrics=Metrics(),
        clock=lambda: datetime.now(UTC),
    )
    [call] = await service.enrich([call])
    assert call.channel.title == "Nobody"
    assert call.channel.record is not None
    assert (call.channel.record.win_rate_percent, call.channel.record.own_tokens) == (50, 6)
    assert call.channel.record_30d is not None
    assert (call.channel.record_30d.calls, call.channel.record_30d.win_rate_percent) == (1, None)
    card = alert_card(Texts.load(), call=call, set_names=(), speed_s=None, language="en", may_repeat=False)
    assert "50% win rate · 4x average · 7 calls · my own record, 6 tokens · counted 4m ago" in card.html.replace(
        "\N{NO-BREAK SPACE}", " "
    )


async def test_our_own_record_is_seen_as_it_is_now_though_the_channel_was_looked_up_before(
    feed: FeedSandbox, api_manager: APIRetryManager, redis_manager: RedisManager, postgres_manager: PostgresManager
):
    service = ChannelsService(
        source=NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager),
        redis=redis_manager,
        postgres=postgres_manager,
        cache=SmartCache[str, Channel].of("channels"),
        api_semaphore=asyncio.Semaphore(10),
        metrics=Metrics(),
        clock=lambda: datetime.now(UTC),
    )
    call = replace(a_call(), channel=Channel(id="@nobody", title="Nobody"))
    first, _ = await service.enrich([call, replace(a_call(), channel=Channel(id="@broken", title="Broken"))])
    assert first.channel.record is None
    own = ChannelInfo(redis_manager)
    for tokens in (6, 8):
        wins = rate(3, tokens)
        record = Record(calls=9, tokens=tokens, open=1, wins=wins, average_multiple=4.0, median_multiple=1.9)
        await own.put("@nobody", Records(datetime.now(UTC), {"life": record}))
        # One that cannot be read costs itself.
        await redis_manager.set(keys.CHANNEL_RECORD.of("@broken"), b"{")
        await service.restore()
        [known] = [one for one in service.known() if one.id == "@nobody"]
        [again] = await service.enrich([call])
        assert again.channel == known
        assert again.channel.record is not None
        assert again.channel.record.own_tokens == tokens
        assert again.channel.title == "Nobody"
