"""Prices that are asked for: by two sources at once, off, late or not at all, and candles for what nobody saw."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.prices.readings import PriceReading, TokenRef
from domain.tracking.polling import LIVE_S
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from sandbox.providers.dexscreener import pair
from services.tracking.chains import GUESS_FOR_S, Chains
from services.tracking.prices import PricesService
from tests.delivery.kit import Clock
from tests.providers.conftest import session
from tests.providers.test_price_sources import Outside, outside
from tests.tracking.kit import Desk, address

__all__ = ["outside", "session"]

ANN = 1
PER_S = 100.0


class SharedClock(Clock):
    """The one of the stand-ins."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    def __call__(self) -> datetime:
        return self._outside.now()

    def pass_(self, **span: float) -> None:
        self._outside.now_s += timedelta(**span).total_seconds()


class Polled(Desk):
    """A desk whose prices are asked for, once every ten seconds."""

    def __init__(self, redis: RedisManager, postgres: PostgresManager, outside: Outside) -> None:
        self.outside = outside
        super().__init__(redis, postgres, SharedClock(outside))

    def restart(self) -> None:
        super().restart()
        self.prices = PricesService(
            tracking=self.tracking,
            sources=self.outside.sources,
            chains=Chains(self.postgres, lambda: self.outside.now_s),
            per_s=PER_S,
            clock=self.clock,
        )

    async def poll(self, times: int = 1, every_s: float = 10.0) -> int:
        assert self.tracking.book is not None
        asked = 0
        for _ in range(times):
            self.clock.pass_(seconds=every_s)
            asked += await self.prices.poll(self.tracking.book, self.outside.sources)
        await self.tell()
        return asked

    def state(self, address: str) -> tuple[float, float | None] | None:
        """What it costs, and the liquidity behind it."""
        found = self.tracking.state_of(address)
        return None if found is None else (found.price_usd, found.liquidity_usd)


@pytest.fixture
async def desk(redis_manager: RedisManager, postgres_manager: PostgresManager, outside: Outside) -> Polled:
    outside.price_usd = 1.0
    desk = Polled(redis_manager, postgres_manager, outside)
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    return desk


async def called(desk: Polled) -> None:
    await desk.call("c1", ANN)
    await desk.tracking.round()


async def test_what_rises_is_asked_more_often_and_told(desk: Polled) -> None:
    await called(desk)
    asked = await desk.poll(times=36)
    assert 2 <= asked <= 5
    desk.outside.price_usd = 2.1
    assert await desk.poll(times=36) > 2 * asked
    assert await desk.steps() == [(ANN, "c1", "2x")]


async def test_a_single_source_that_is_off_by_far_reaches_nothing(desk: Polled) -> None:
    await called(desk)
    await desk.poll(times=6)
    desk.outside.jupiter.off_by[address(0)] = 10_000.0
    await desk.poll(times=30)
    assert await desk.steps() == []


async def test_who_answers_with_a_page_or_not_at_all_costs_nothing_but_time(desk: Polled) -> None:
    await called(desk)
    desk.outside.price_usd = 2.1
    for one in desk.outside.all:
        for _ in range(5):
            one.will("html", 503, "drop", "cut")
    await desk.poll(times=6)
    assert await desk.steps() == []
    await desk.poll(times=120)
    assert await desk.steps() == [(ANN, "c1", "2x")]


async def test_what_the_feed_says_is_not_asked_for(desk: Polled) -> None:
    await called(desk)
    for _ in range(int(LIVE_S)):
        desk.tick(1.0)
    assert await desk.poll(times=1) == 0


async def test_a_peak_that_nobody_saw_is_found_by_candles(desk: Polled) -> None:
    prices = {"now": 1.0}

    def history(_mint: str, at: datetime) -> float:
        return 3.2 if peaked <= at <= peaked + timedelta(minutes=4) else prices["now"]

    desk.outside.gecko.history = history
    await called(desk)
    peaked = desk.clock() + timedelta(minutes=20)
    await desk.poll(times=2)
    await desk.tracking.drained()
    desk.restart()
    desk.clock.pass_(hours=1)
    await desk.tracking.take_over()
    desk.outside.jupiter.unknown.add(address(0))  # it does not say in which pool
    await desk.poll(times=40)
    assert await desk.steps() == [(ANN, "c1", "3x")]
    [told] = await desk.told()
    assert (told.notice.late_s or 0) > 600
    [row] = await desk.postgres.fetch("SELECT verified, late FROM milestones WHERE rung = 3")
    assert (row["verified"], row["late"]) == (False, True)


WETH = "0x4200000000000000000000000000000000000006"
HEX = "0x" + "c0ffee" * 6 + "abcd"


def pool(chain: str, price_usd: float, liquidity_usd: float) -> dict[str, Any]:
    """As DexScreener has it, with the capitals of a checksum."""
    written = pair(str(price_usd), base="0x" + HEX[2:].upper(), quote=WETH, liquidity_usd=liquidity_usd)
    return written | {"chainId": chain, "dexId": "uniswap"}


async def test_a_token_of_base_is_priced_on_base(desk: Polled) -> None:
    await desk.call("c1", ANN, on=TokenRef(HEX, "base"))
    await desk.tracking.round()
    pairs, solana = desk.outside.dexscreener.pairs, desk.outside.jupiter.requests
    pairs += [pool("base", 1.0, 9_000.0), pool("ethereum", 30.0, 9e6)]
    assert await desk.poll(times=36) >= 1
    assert desk.state(HEX) == (1.0, 9_000.0)
    await desk.tracking.drained()
    desk.restart()
    await desk.tracking.take_over()
    pairs[-2] = pool("base", 2.2, 9_000.0)
    await desk.poll(times=60)
    assert await desk.steps() == [(ANN, "c1", "2x")]
    assert desk.state(HEX) == (2.2, 9_000.0)
    assert desk.outside.jupiter.requests == solana


async def test_nothing_is_asked_on_a_chain_that_nobody_can_tell_while_postgresql_is_away(
    desk: Polled, postgres_manager: PostgresManager
) -> None:
    chains = Chains(PostgresManager("postgresql://nobody@127.0.0.1:1/none", connect_timeout_s=1), lambda: 0.0)
    assert await chains.refs([address(0), HEX]) == [TokenRef(address(0))]
    known = Chains(postgres_manager, lambda: 0.0)
    assert await known.refs([HEX, address(0)]) == [
        *(TokenRef(HEX, chain) for chain in ("ethereum", "bsc", "base")),
        TokenRef(address(0)),
    ]


async def test_of_several_chains_the_deepest_pool_has_the_price_until_a_call_says_which(
    desk: Polled, postgres_manager: PostgresManager
) -> None:
    now = {"s": 0.0}
    chains = Chains(postgres_manager, lambda: now["s"])

    def reading(chain: str, price_usd: float, liquidity_usd: float) -> PriceReading:
        ref = TokenRef(HEX, chain)
        return PriceReading(
            token=ref, price_usd=price_usd, at=desk.clock(), source="dexscreener", liquidity_usd=liquidity_usd
        )

    deep, shallow = reading("bsc", 1.0, 9_000.0), reading("ethereum", 5.0, 10.0)
    assert chains.of_one_chain([shallow, deep]) == [deep]
    assert chains.of_one_chain([shallow]) == [], "it came late"
    assert await chains.refs([HEX]) == [TokenRef(HEX, "bsc")]
    await desk.call("c1", ANN, on=TokenRef(HEX, "ethereum"))
    now["s"] = GUESS_FOR_S + 1
    assert await chains.refs([HEX]) == [TokenRef(HEX, "ethereum")]
    assert chains.of_one_chain([shallow, deep]) == [shallow]
