"""The limits of providers hold across a restart, however it came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp import web

from managers.http.api import APIRetryManager
from managers.http.request_budget import Limit
from managers.redis.client import RedisManager
from services.cluster.asked_lately import AskedBefore
from services.stores import keys

LIMIT = Limit(3, 60.0)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


async def test_who_starts_again_goes_on_with_what_is_left_of_a_limit(redis_manager: RedisManager) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession() as session:
        first, second, other = (APIRetryManager(session) for _ in range(3))
        for api in (first, second, other):
            api.limit(url, LIMIT)
        for _ in range(2):
            await first.get(url, timeout_s=5.0)
        await AskedBefore(redis_manager, first, "bot", clock=lambda: NOW).write()
        await AskedBefore(redis_manager, second, "bot", clock=lambda: NOW + timedelta(seconds=5)).take_up()
        await AskedBefore(redis_manager, other, "another", clock=lambda: NOW).take_up()
        assert [api.room(url).requests for api in (second, other)] == [1, 3]
        await second.get(url, timeout_s=5.0)
        room = second.room(url)
        assert (room.requests, room.used) == (0, 3)
        assert 50 < room.again_in_s <= 55, "as if it had never ended"
    await runner.cleanup()


async def test_what_cannot_be_read_or_is_of_nobody_stops_nothing(redis_manager: RedisManager) -> None:
    async with aiohttp.ClientSession() as session:
        api = APIRetryManager(session)
        api.limit("http://127.0.0.1:9/", LIMIT)
        before = AskedBefore(redis_manager, api, "bot", clock=lambda: NOW)
        await before.take_up()
        for stored in (b"{", b'{"at": "2026-11-30T12:00:00Z", "hosts": {"elsewhere": [1.0]}}'):
            await redis_manager.set(keys.ASKED_LATELY.of("bot"), stored)
            await before.take_up()
        assert api.room("http://127.0.0.1:9/").requests == LIMIT.slots
