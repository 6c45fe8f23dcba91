"""What a call is enriched with: through real sockets, from the feed's HTTP side, Jupiter and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from domain.calls.events import Call, Channel, Origin, PriceTick, Token
from domain.calls.figures import FIGURES
from domain.stored.journal import DecidedCall
from managers.feed.sources.base import Source
from managers.feed.sources.native import NativeSource
from managers.feed.sources.pumpportal import PumpPortalSource
from managers.http.api import ATTEMPTS, APIRetryManager
from managers.providers.jupiter import JupiterManager
from managers.providers.jupiter_figures import JupiterFigures
from managers.storage.postgres import PostgresManager
from sandbox.feed.server import FeedSandbox
from sandbox.market.figures import InventedTokens
from sandbox.market.market import Market
from sandbox.providers.jupiter import PriceSandbox
from services.calls.token_answers import ASKED_PER_ROUND, FALLBACK
from services.calls.token_answers import Market as AskedMarket
from services.calls.tokens import TokensService
from services.monitoring.metrics import Metrics
from services.stores.journal_rows import writes_of
from tests.feed.support import a_call, address

PUMPPORTAL = PumpPortalSource(sol_price_usd=lambda: 165.0)


class Bench:
    """A service with its own clock, counters and doors."""

    def __init__(self, source: Source, *, market: AskedMarket | None = None, postgres_dsn: str = "") -> None:
        self.now = datetime.now(UTC)
        self.metrics = Metrics()
        self.postgres = PostgresManager(postgres_dsn or "postgresql://nobody@127.0.0.1:1/none", connect_timeout_s=1)
        self.tokens = TokensService(
            source=source,
            market=market,
            postgres=self.postgres,
            api_semaphore=asyncio.Semaphore(10),
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    @property
    def fallbacks(self) -> int:
        return self.metrics.counts.fallbacks[FALLBACK]

    async def enrich_one(self, call: Call) -> Call:
        [enriched] = await self.tokens.enrich([call])
        return enriched


def whole_token(number: int) -> Token:
    """A token of which everything is known."""
    market = Market(seed=number)
    at = datetime.now(UTC) - timedelta(hours=1)
    while True:
        token = market.token(market.next_call(at).token.address, at + timedelta(minutes=30))
        assert token is not None
        if token.name and token.launchpad and token.created_at and token.created_at < at - timedelta(minutes=10):
            link = "https://a.example/b"
            return replace(token, image_url=link, animation_url=link, video_url=link)


def calling(token: Token, *, channel: str = "@a", ago_s: float = 0.0) -> Call:
    call = a_call()
    at = call.called_at - timedelta(seconds=ago_s)
    return replace(call, token=token, channel=Channel(id=channel), called_at=at)


class Answering:
    """A token API whose answers the test decides; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.answer: Callable[[str], Awaitable[web.Response]] | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        mint = request.match_info["mint"]
        self.asked.append(mint)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.answer is None:
                return web.json_response({"address": mint, "holders": 77})
            return await self.answer(mint)
        finally:
            self.at_once -= 1


@pytest.fixture
async def api() -> AsyncIterator[Answering]:
    api = Answering()
    app = web.Application()
    app.router.add_get("/v1/tokens/{mint}", api.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


@pytest.fixture
def native(api: Answering, api_manager: APIRetryManager) -> NativeSource:
    return NativeSource("ws://127.0.0.1:1/", api_url=api.url, api=api_manager)


async def test_a_call_that_lacks_nothing_costs_no_await(api: Answering, native: NativeSource):
    bench = Bench(native)
    call = calling(whole_token(1))
    running = bench.tokens.enrich([call])
    with pytest.raises(StopIteration) as ended:
        running.send(None)  # it ends without having waited for anything
    [enriched] = ended.value.value
    assert enriched == replace(call, calling_channels=1, first_market_cap_usd=call.token.market_cap_usd)
    assert enriched.token.origins == {}
    assert api.asked == []


async def test_gaps_are_filled_from_the_feed_and_its_own_figures_win(feed: FeedSandbox, api_manager: APIRetryManager):
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager)
    bench = Bench(source)
    token = whole_token(2)
    feed.publish(calling(token))
    posted = Token(address=token.address, market_cap_usd=123.0, mint_revoked=False, website="")
    enriched = await bench.enrich_one(calling(posted))
    mine = {"address", "chain", "market_cap_usd", "mint_revoked", "website"}
    for figure in FIGURES:
        assert getattr(enriched.token, figure) == getattr(posted if figure in mine else token, figure), figure
    assert enriched.token.origins == dict.fromkeys(set(FIGURES) - mine, Origin("native", bench.now))
    assert enriched.first_market_cap_usd == 123.0
    assert bench.fallbacks == 0


async def test_a_token_is_asked_for_seldom_and_once_at_a_time(api: Answering, native: NativeSource):
    bench = Bench(native)
    call = calling(Token(address=address(1)))
    first, second, latest = await asyncio.gather(
        bench.enrich_one(call), bench.enrich_one(call), bench.tokens.latest(call.token.address)
    )
    assert latest is not None
    assert (first.token.holders, second.token.holders, latest.holders) == (77, 77, 77)
    assert len(api.asked) == 1
    bench.now += timedelta(seconds=4)
    await bench.enrich_one(call)
    assert len(api.asked) == 1
    bench.now += timedelta(seconds=2)
    await bench.enrich_one(call)
    assert len(api.asked) == 2


async def test_ten_are_asked_for_at_once_and_a_burst_gets_through(api: Answering, native: NativeSource):
    bench = Bench(native)
    calls = [calling(Token(address=address(number))) for number in range(1, ASKED_PER_ROUND + 21)]
    enriched = await bench.tokens.enrich([*calls, *calls])
    assert [call.id for call in enriched] == [call.id for call in [*calls, *calls]]
    assert len(api.asked) == len(set(api.asked)) == ASKED_PER_ROUND
    assert api.most_at_once <= 10
    assert bench.fallbacks == 20
    assert sum(call.token.holders == 77 for call in enriched) == 2 * ASKED_PER_ROUND


async def test_what_no_answer_ever_holds_is_no_reason_to_ask(api: Answering, native: NativeSource):
    bench = Bench(native)
    await bench.tokens.enrich([calling(Token(address=address(number))) for number in range(1, 61)])
    asked = len(api.asked)
    with_holders = await bench.enrich_one(calling(Token(address=address(100), holders=5)))
    assert (with_holders.token.holders, len(api.asked)) == (5, asked)
    assert (await bench.enrich_one(calling(Token(address=address(101))))).token.holders == 77


async def test_old_calls_are_not_given_todays_figures(api: Answering, native: NativeSource):
    bench = Bench(native)
    old = await bench.enrich_one(calling(Token(address=address(1)), ago_s=700))
    assert (old.token, api.asked) == (Token(address=address(1)), [])
    await bench.enrich_one(calling(Token(address=address(1))))
    old = await bench.enrich_one(calling(Token(address=address(1)), ago_s=700))
    assert old.token == Token(address=address(1))


async def test_a_source_that_fails_is_counted_and_left_alone_for_a_while(api: Answering, native: NativeSource):
    async def fail(mint: str) -> web.Response:
        return web.Response(status=500)

    api.answer = fail
    bench = Bench(native)
    call = calling(Token(address=address(1)))
    assert (await bench.enrich_one(call)).token == call.token
    assert (bench.fallbacks, api.asked) == (1, [address(1)] * ATTEMPTS)
    await bench.enrich_one(calling(Token(address=address(2))))
    assert (bench.fallbacks, len(api.asked)) == (2, ATTEMPTS)
    api.answer = None
    bench.now += timedelta(seconds=11)
    assert (await bench.enrich_one(replace(call, called_at=bench.now))).token.holders == 77
    assert bench.fallbacks == 2


async def test_an_answer_that_does_not_come_is_not_waited_for(api: Answering, native: NativeSource):
    never = asyncio.Event()

    async def hang(mint: str) -> web.Response:
        await never.wait()
        return web.Response()

    api.answer = hang
    bench = Bench(native)
    calls = [calling(Token(address=address(number))) for number in (1, 2)]
    async with asyncio.timeout(10):
        enriched = await bench.tokens.enrich(calls)
    assert [call.token for call in enriched] == [call.token for call in calls]
    assert bench.fallbacks == 2
    running = bench.tokens.enrich([calling(Token(address=address(3)))])
    with pytest.raises(StopIteration):
        running.send(None)  # it rests: nobody waits for it again
    assert (bench.fallbacks, len(api.asked)) == (3, 2)


async def test_a_token_nobody_knows_is_an_answer(api: Answering, native: NativeSource):
    async def unknown(mint: str) -> web.Response:
        return web.Response(status=404)

    api.answer = unknown
    bench = Bench(native)
    assert await bench.tokens.latest(address(1)) is None
    assert await bench.tokens.latest(address(1)) is None
    assert (bench.fallbacks, len(api.asked)) == (0, 1)


async def test_jupiter_fills_what_pumpportal_does_not_say(api_manager: APIRetryManager):
    async with PriceSandbox(figures=InventedTokens().token) as prices:
        bench = Bench(PUMPPORTAL, market=JupiterFigures(JupiterManager(api_manager, prices.url)))
        calls = [
            calling(Token(address=address(number), market_cap_usd=5_000.0, launchpad="pump.fun"))
            for number in range(1, 151)
        ]
        enriched = await bench.tokens.enrich(calls)
        assert prices.requests == 2
    assert all(call.token.market_cap_usd == 5_000.0 for call in enriched)
    assert all(call.token.mint_revoked is not None for call in enriched)
    assert all(call.token.origins["mint_revoked"].source == "jupiter" for call in enriched)
    assert not any("market_cap_usd" in call.token.origins for call in enriched)
    assert bench.fallbacks == 0


async def test_what_is_wanted_in_the_same_moment_is_one_request(api_manager: APIRetryManager):
    async with PriceSandbox(figures=InventedTokens().token) as prices:
        bench = Bench(PUMPPORTAL, market=JupiterFigures(JupiterManager(api_manager, prices.url)))
        mints = [address(number) for number in range(1, 31)]
        found = await asyncio.gather(*map(bench.tokens.latest, [*mints, *mints]))
        assert prices.requests == 1
        assert [token and token.address for token in found] == [*mints, *mints]
        assert set(await bench.tokens.latest_of([*mints, address(40)])) == {*mints, address(40)}
        assert prices.requests == 2


async def test_jupiter_completes_what_the_feed_answers(
    api: Answering, native: NativeSource, api_manager: APIRetryManager
):
    async with PriceSandbox(figures=lambda mint: Token(address=mint, holders=1, top10_percent=20.0)) as prices:
        bench = Bench(native, market=JupiterFigures(JupiterManager(api_manager, prices.url)))
        token = (await bench.enrich_one(calling(Token(address=address(1))))).token
        assert (token.holders, token.top10_percent) == (77, 20.0)
        assert (token.origins["holders"].source, token.origins["top10_percent"].source) == ("native", "jupiter")
        prices.status = 429
        token = (await bench.enrich_one(calling(Token(address=address(2))))).token
        assert (token.holders, token.top10_percent, bench.fallbacks) == (77, None, 1)


async def test_without_anybody_to_ask_nothing_is_asked_or_counted():
    bench = Bench(PUMPPORTAL)
    call = calling(Token(address=address(1)))
    assert (await bench.enrich_one(call)).token == call.token
    latest = await bench.tokens.latest(address(2))
    assert (latest, bench.fallbacks) == (None, 0)


async def test_ticks_give_price_and_market_cap():
    bench = Bench(PUMPPORTAL)
    mint = address(1)

    def tick(ago_s: float, cap: float) -> dict[str, PriceTick]:
        at = bench.now - timedelta(seconds=ago_s)
        return {mint: PriceTick(token_address=mint, price_usd=cap / 1e9, market_cap_usd=cap, at=at)}

    call = await bench.enrich_one(calling(Token(address=mint, market_cap_usd=10_000.0, holders=5), ago_s=300))
    bench.tokens.take_in(tick(200, 80_000.0))
    bench.tokens.take_in(tick(100, 30_000.0))
    bench.tokens.take_in(tick(150, 99_000.0))  # late: the order of a token's ticks is their time's
    latest = await bench.tokens.latest(mint)
    assert latest is not None
    assert (latest.market_cap_usd, latest.holders) == (30_000.0, 5)
    assert latest.origins["market_cap_usd"].at == bench.now - timedelta(seconds=100)
    assert latest.origins["holders"].at == call.called_at
    far = await bench.enrich_one(calling(Token(address=mint)))
    assert far.token.market_cap_usd is None  # a minute is the limit
    near = await bench.enrich_one(calling(Token(address=mint), ago_s=60))
    assert near.token.market_cap_usd == 30_000.0
    assert near.token.origins["price_usd"] == Origin("pumpportal", bench.now - timedelta(seconds=100))


async def test_figures_that_appear_later_are_found_later(api_manager: APIRetryManager):
    now = datetime.now(UTC)
    async with FeedSandbox(Market(seed=1), calls_per_s=0, clock=lambda: now) as feed:
        bench = Bench(NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager))
        young = [
            call
            for call in await feed.burst(400)
            if (known := feed.find_token(call.token.address)) and known.risk_score is None
        ]
        bench.now = now
        enriched = await bench.enrich_one(young[0])
        assert enriched.token.risk_score is None
        for _ in range(60):
            now += timedelta(seconds=10)
            bench.now = now
            latest = await bench.tokens.latest(enriched.token.address)
            if latest is not None and latest.risk_score is not None:
                assert latest.origins["risk_score"] == Origin("native", now)
                assert latest.origins["created_at"].at <= now
                return
    pytest.fail("the risk score never appeared")


async def test_who_called_before_is_counted_and_remembered_over_a_restart(postgres_dsn: str):
    before = Bench(PUMPPORTAL, postgres_dsn=postgres_dsn)
    token = Token(address=address(1), market_cap_usd=10_000.0)
    calls = [
        calling(token, channel="@a", ago_s=90),
        calling(replace(token, market_cap_usd=25_000.0), channel="@b", ago_s=60),
        calling(replace(token, market_cap_usd=30_000.0), channel="@a", ago_s=30),
        calling(replace(token, address=address(2), market_cap_usd=None), channel="@a", ago_s=20),
        calling(token, channel="@z", ago_s=15 * 86_400),
    ]
    recent = await before.tokens.enrich(calls[:4])
    assert [call.calling_channels for call in recent] == [1, 2, 2, 1]
    assert [call.first_market_cap_usd for call in recent] == [10_000.0, 10_000.0, 10_000.0, None]
    assert [call.first_channel and call.first_channel.id for call in recent] == [None, "@a", "@a", None]
    async with before.postgres as postgres:
        for call in calls:
            await store(postgres, call)
        after = Bench(PUMPPORTAL, postgres_dsn=postgres_dsn)
        live = await after.enrich_one(calling(replace(token, market_cap_usd=50_000.0), channel="@c"))
        assert (live.calling_channels, live.first_market_cap_usd) == (1, 50_000.0)
        async with after.postgres:
            assert await after.tokens.restore()
            assert await after.tokens.restore()  # twice is the same
            again = await after.enrich_one(live)
            assert (again.calling_channels, again.first_market_cap_usd) == (1, 50_000.0)  # what a call says, stays
            next_one = await after.enrich_one(calling(token, channel="@d"))
            assert (next_one.calling_channels, next_one.first_market_cap_usd) == (4, 10_000.0)
            assert next_one.first_channel == Channel(id="@a")
            after.tokens.title_of = {"@a": "Alpha"}.get
            titled = await after.enrich_one(calling(token, channel="@e"))
            assert titled.first_channel == Channel(id="@a", title="Alpha")
            more = await after.enrich_one(replace(calling(token, channel="@f"), calling_channels=40))
            assert more.first_channel is None, "the feed knows of callers that are not known here"


async def test_without_postgresql_it_starts_without_a_past():
    bench = Bench(PUMPPORTAL)
    async with bench.postgres:
        assert not await bench.tokens.restore()
    assert bench.metrics.counts.fallbacks["token_history"] == 1
    assert (await bench.enrich_one(a_call())).calling_channels == 1


async def store(postgres: PostgresManager, call: Call) -> None:
    """Store a call as the journal does."""
    decided = DecidedCall(call=call, decided_at=call.received_at, reason="first_check", checked_channels=())
    for statement, values in writes_of("call", msgspec.json.encode(decided), call.received_at):
        await postgres.execute(statement, *values)
