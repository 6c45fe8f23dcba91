"""A feed that was away is asked about tokens as soon as its socket stands again, by everybody who waits at once."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from yarl import URL

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.feed.sources.native import NativeSource
from managers.http.api import APIRetryManager
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from services.completing.feed_figures import FeedFigures
from tests.calls.test_tokens import Bench, calling, whole_token
from tests.feed.conftest import api_manager, session
from tests.feed.support import a_call, reading

__all__ = ["api_manager", "session"]


@dataclass
class Ports:
    ws: int
    http: int


def on(ports: Ports) -> FeedSandbox:
    return FeedSandbox(
        Market(seed=1), calls_per_s=0, heartbeat_s=0.05, token="secret", port=ports.ws, http_port=ports.http
    )


async def test_nobody_waits_for_the_breaker_once_the_socket_stands(api_manager: APIRetryManager):
    async with on(Ports(0, 0)) as first:
        ws, http = URL(first.ws_url), URL(first.http_url)
    ports = Ports(ws.port or 0, http.port or 0)
    source = NativeSource(str(ws), api_url=str(http), token="secret", api=api_manager)
    bench, host = Bench(source), http.host_port_subcomponent or ""
    figures = FeedFigures(bench.tokens)
    wanted = [whole_token(random.randrange(1_000_000)) for _ in range(8)]
    async with reading(source) as reader:
        reader.manager.opened = bench.tokens.feed_came_back
        async with on(ports) as feed:
            await feed.someone_listens.wait()
            feed.publish(a_call())
            await reader.take()
        async with asyncio.timeout(20):
            while (health := api_manager.health().get(host)) is None or health.ok:  # noqa: ASYNC110 - only the manager knows
                await asyncio.sleep(0.02)
        lost = wanted.pop()
        assert (await bench.enrich_one(calling(Token(address=lost.address)))).token.market_cap_usd is None
        assert await figures.of([TokenRef(lost.address)], within_s=2) == {}
        assert figures.may_ask_again(TokenRef(lost.address))
        async with on(ports) as feed:
            for token in (lost, *wanted):
                feed.publish(calling(token))
            await reader.take(len(wanted) + 1)
            bare = [calling(Token(address=token.address)) for token in wanted]
            known = await bench.tokens.enrich(bare)
            assert [call.token.market_cap_usd for call in known] == [token.market_cap_usd for token in wanted]
            found = await figures.of([TokenRef(lost.address)], within_s=2)
            assert found[TokenRef(lost.address).key].market_cap_usd == lost.market_cap_usd
            assert not figures.may_ask_again(TokenRef(lost.address))
