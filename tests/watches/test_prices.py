"""A token that somebody watches and nobody called is asked for beside those that are tracked."""

from __future__ import annotations

from msgspec.structs import replace

from domain.watches.conditions import Figures
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.tracking.chains import Chains
from services.tracking.prices import PricesService
from tests.providers.conftest import session
from tests.providers.test_price_sources import Outside, outside
from tests.tracking.kit import address
from tests.tracking.test_prices import HEX, PER_S, SharedClock, pool
from tests.watches.kit import WatchDesk
from tests.watches.test_evaluating import ANN, CAP, TWICE

__all__ = ["outside", "session"]


async def test_what_is_watched_is_priced_and_told_though_nobody_called_it(
    redis_manager: RedisManager, postgres_manager: PostgresManager, outside: Outside
) -> None:
    outside.price_usd = 1.0
    desk = WatchDesk(redis_manager, postgres_manager, SharedClock(outside))
    await desk.subscribe(ANN)
    book = await desk.tracking.take_over()
    chains = Chains(postgres_manager, lambda: outside.now_s)
    prices = PricesService(
        tracking=desk.tracking, sources=outside.sources, chains=chains, per_s=PER_S, clock=desk.clock
    )
    prices.others = desk.evaluator
    await desk.begin(ANN, TWICE, token=5)
    cap = replace(CAP, value=2e9)
    now = Figures(price_usd=1.0, market_cap_usd=1e9)
    await desk.watches.begin(await desk.person(ANN), address(6), cap, now)
    for price in (1.0, 1.0, 1.0, 2.5, 2.5, 2.5, 2.5):
        outside.price_usd = price
        await desk.evaluator.round()
        desk.clock.pass_(seconds=21)
        await prices.poll(book, outside.sources)
    await desk.evaluator.round()
    told = {notice.token_address: notice for _, notice in await desk.notices()}
    assert told[address(5)].condition == TWICE
    assert told[address(6)].condition == cap, "a market cap, though these prices say none"
    assert all(2.4 < notice.price_usd < 2.6 for notice in told.values())
    assert not desk.tracking.keys


async def test_an_address_in_hex_that_nobody_called_is_looked_for_on_every_chain(
    redis_manager: RedisManager, postgres_manager: PostgresManager, outside: Outside
) -> None:
    desk = WatchDesk(redis_manager, postgres_manager, SharedClock(outside))
    await desk.subscribe(ANN)
    book = await desk.tracking.take_over()
    chains = Chains(postgres_manager, lambda: outside.now_s)
    prices = PricesService(
        tracking=desk.tracking, sources=outside.sources, chains=chains, per_s=PER_S, clock=desk.clock
    )
    prices.others = desk.evaluator
    await desk.watches.begin(await desk.person(ANN), HEX, TWICE, Figures(price_usd=1.0))
    for price in (1.0, 1.0, 2.5, 2.5, 2.5):
        outside.dexscreener.pairs[1:] = [pool("bsc", price, 9_000.0), pool("base", 40.0, 10.0)]
        await desk.evaluator.round()
        desk.clock.pass_(seconds=61)
        await prices.poll(book, outside.sources)
    await desk.evaluator.round()
    [(_, notice)] = await desk.notices()
    assert (notice.token_address, notice.price_usd) == (HEX, 2.5)
