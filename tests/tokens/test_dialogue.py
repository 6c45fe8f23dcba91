"""Somebody pastes an address, a link or a ticker, and reads what is known of the token; providers are the sandbox's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_parts
from datetime import UTC, datetime, timedelta
from random import Random
from typing import LiteralString

from msgspec.structs import replace
from solders.pubkey import Pubkey

from bot.console import Terminal
from composition import Addresses, Composition, connect
from config.settings import Settings
from domain.calls.events import Call, Chain, Channel, Token
from managers.providers.dexscreener_figures import DexScreenerFigures
from managers.storage.postgres import PostgresManager
from sandbox.feed.server import FeedSandbox
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.pools import pool_of
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from tests.e2e.conftest import data_dir, feed, subscribe, telegram, text_of

__all__ = ["data_dir", "feed", "telegram"]

CONTRACT = "0x52908400098527886e0f7030069857d2e4169ee7"


class Market:
    """What DexScreener knows, by address."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}

    def __call__(self, asked: str) -> Token | None:
        return self.tokens.get(asked)

    def lists(self, address: str, market_cap_usd: float, chain: Chain = "solana", **more: str) -> Token:
        created = datetime.now(UTC) - timedelta(hours=3)
        token = Token(
            address=address,
            chain=chain,
            name=more.get("name", "Frog"),
            symbol=more.get("symbol", "FROG"),
            price_usd=market_cap_usd / 1e9,
            market_cap_usd=market_cap_usd,
            liquidity_usd=30_000.0,
            volume_1h_usd=12_000.0,
            created_at=created,
            dex="raydium",
        )
        self.tokens[address] = token
        return token


@asynccontextmanager
async def running(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, market: Market
) -> AsyncGenerator[Composition]:
    async with AsyncExitStack() as stack:
        dexscreener = await stack.enter_async_context(DexScreenerSandbox(figures=market))
        at = Addresses(
            telegram_token=telegram.token,
            telegram_api_base=telegram.url,
            source="native",
            feed_url=feed.ws_url,
            feed_api_url=None,
            feed_token=None,
            price_api_url="",
            redis_url=redis_url,
            database_url=postgres_dsn,
            dexscreener_url=dexscreener.url,
        )
        parts = await connect(at, stack)
        # A feed that knows its tokens needs nobody else, so who is asked is named here.
        parts = with_parts(parts, figure_providers=[DexScreenerFigures(parts.api, dexscreener.url)])
        composition, stop = Composition(Settings(), parts, Terminal()), asyncio.Event()
        await stack.enter_async_context(parts.telegram)
        async with asyncio.TaskGroup() as group:
            group.create_task(composition.bot.run(stop, drain_s=5))
            yield composition
            stop.set()


def mint(seed: int) -> str:
    return str(Pubkey(Random(seed).randbytes(32)))


def a_call(token: Token, channel: str, *, at: datetime | None = None) -> Call:
    at = at or datetime.now(UTC)
    return Call(
        id=f"{channel}-{token.address[:6]}",
        token=token,
        channel=Channel(id=f"@{channel}", title=f"{channel.title()} Calls"),
        called_at=at,
        received_at=at,
    )


async def alert_for(user: SandboxUser, call: Call) -> JsonObject:
    return await user.next_message(where=lambda m: call.token.address in copied_addresses(m))


async def answer(user: SandboxUser, typed: str) -> JsonObject:
    before = {m["message_id"] for m in user.messages}
    await user.send(typed)
    return await user.next_message(where=lambda m: m["message_id"] not in before, timeout_s=20)


async def written(bot: Composition, calls: int, counted: LiteralString = "SELECT count(*) AS n FROM calls") -> None:
    """Wait until PostgreSQL has the calls, or what else is counted."""
    postgres = bot.connections.postgres
    assert isinstance(postgres, PostgresManager)
    async with asyncio.timeout(20):
        while True:
            row = await postgres.fetch_row(counted)
            if row is not None and row["n"] >= calls:
                return
            await asyncio.sleep(0.05)  # a count, not an event


def taps(message: JsonObject) -> list[str]:
    return [button["callback_data"] for button in callback_buttons(message)]


async def test_a_token_that_was_called_here(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    market, ann = Market(), telegram.user("Ann")
    token = market.lists(mint(1), 150_000.0)
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, market) as bot:
        await subscribe(ann, "everything")
        first = a_call(replace(token, market_cap_usd=50_000.0, price_usd=50_000.0 / 1e9), "alpha")
        feed.publish(first)
        await alert_for(ann, first)
        feed.publish(a_call(replace(token, liquidity_usd=None), "beta"))
        await written(bot, 2)
        await written(bot, 2, "SELECT count(*) AS n FROM outcomes")

        said = text_of(await answer(ann, f"what of {token.address} ?"))
        assert said.startswith("Frog · $\u2060FROG\n$150k market cap now · 3x of the first call\n")
        assert token.address in said
        assert "feed, DexScreener · " in said, "the feed did not say the liquidity"
        assert "📣 Calls here: 2, channels: 2" in said
        assert "• Alpha Calls at $50k, " in said
        assert "For you, the call of Alpha Calls: ✓ It passed your filters. ✉️" in said

        alpha, beta = (next(one for one in said.splitlines() if f"• {name} Calls" in one) for name in ("Alpha", "Beta"))
        assert alpha.endswith(": 3x now"), "above its price at the call, whatever is confirmed of it"
        assert beta.endswith(": no rise confirmed")

        by_link = await answer(ann, f"https://dexscreener.com/solana/{pool_of(token.address)}")
        assert token.address in text_of(by_link), "the link names the pool"
        for asked in ("/why $frog", "/why frog"):
            assert text_of(await answer(ann, asked)) == text_of(await answer(ann, f"/why {token.address}"))
        assert "I know no token toad of the last 14 days" in text_of(await answer(ann, "/why $toad"))
        by_ticker = await answer(ann, "$frog")
        assert token.address in text_of(by_ticker)
        why, watch, again = taps(by_ticker)
        assert (why[:4], watch) == ("why:", f"watch:{token.address}")
        await ann.tap_data(by_ticker, why)
        reasons = await ann.next_message(where=lambda m: text_of(m).startswith("Why: FROG"))
        assert "Called by Alpha Calls" in text_of(reasons), "the call that brought the alert"
        market.lists(token.address, 75_000.0)
        assert again == f"token:{token.address}"


async def test_a_token_of_which_no_source_has_a_price_says_so(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    market, ann = Market(), telegram.user("Ann")
    called = Token(address=mint(5), name="Toad", symbol="TOAD", price_usd=3e-4, market_cap_usd=300_000.0)
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, market) as bot:
        await subscribe(ann, "everything")
        call = a_call(called, "alpha", at=datetime.now(UTC) - timedelta(minutes=5))
        feed.publish(call)
        await alert_for(ann, call)
        await written(bot, 1)
        lines = text_of(await answer(ann, called.address)).splitlines()
        place = next(place for place, line in enumerate(lines) if "$300k market cap, 5m" in line)
        assert lines[place + 1] == "No source has a price for it now."
        market.lists(called.address, 150_000.0)


async def test_a_condition_beside_the_token_is_offered_as_a_personal_alert(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    market, ann = Market(), telegram.user("Ann")
    address = market.lists(mint(1), 150_000.0).address
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, market):
        await subscribe(ann, "everything")
        assert text_of(await answer(ann, f"{address} 2x")).startswith("Frog")
        offered = await ann.next_message(where=lambda m: "Shall I tell you" in text_of(m))
        assert "gets to “2x”" in text_of(offered)
        (begins,) = taps(offered)
        await ann.tap_data(offered, begins)
        begun = await ann.next_message(where=lambda m: "✅ I watch" in text_of(m))
        assert "2x, once" in text_of(begun)
        for typed in (address, f"what of {address} ?", f"look {address} to the moon"):
            assert text_of(await answer(ann, typed)).startswith("Frog")
        await ann.send("/watching")
        listed = await ann.next_message(where=lambda m: "I watch for you: 1 of" in text_of(m))
        between = [text_of(m) for m in ann.messages if begun["message_id"] < m["message_id"] < listed["message_id"]]
        assert [said for said in between if "Shall I" in said] == [], "what is no condition is not asked about"


async def test_a_token_that_nobody_called_here(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    market, ann = Market(), telegram.user("Ann")
    market.lists(CONTRACT, 2_000_000.0, "base", name="Based", symbol="BASED")
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, market):
        await subscribe(ann, "everything")
        known = await answer(ann, CONTRACT.upper().replace("0X", "0x"))
        said = text_of(known)
        assert said.splitlines()[:3] == ["Based · $\u2060BASED", "⛓ Base", "$2M market cap now"], said
        assert "Nobody called it here." in said
        assert taps(known) == [f"watch:{CONTRACT}", f"token:{CONTRACT}"], "there is no call to explain"

        nobody = mint(99)
        unknown = text_of(await answer(ann, nobody))
        assert unknown.startswith(
            f"I know nothing of {nobody}: nobody called it here, and I find no figures of it just now. "
            "See that the address is whole, or try again in a minute;"
        )
        ticker = text_of(await answer(ann, "$BASED"))
        assert ticker.startswith("No token called here in the last 14 days has the ticker BASED."), "never guessed"
        assert "I did not understand" not in unknown


async def test_a_ticker_that_several_have_is_asked_about(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    market, ann = Market(), telegram.user("Ann")
    tokens = [market.lists(mint(seed), 100_000.0 * seed, name=f"Frog {seed}") for seed in (1, 2)]
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, market) as bot:
        await subscribe(ann, "everything")
        for token in tokens:
            feed.publish(call := a_call(token, "alpha"))
            await alert_for(ann, call)
        await written(bot, 2)
        question = await answer(ann, "/why $FROG")
        assert text_of(question).startswith("Several tokens that were called here have the ticker FROG.")
        assert taps(question)[0] == f"whytoken:{tokens[1].address}", "the newest first"
        await ann.tap_data(question, taps(question)[0])
        question = await answer(ann, "$FROG")
        assert text_of(question).startswith("Several tokens that were called here have the ticker FROG.")
        assert taps(question) == [f"token:{token.address}" for token in reversed(tokens)]
        await ann.tap_data(question, f"token:{tokens[1].address}")
        chosen = await ann.next_message(where=lambda m: text_of(m).startswith("Frog 2"))
        assert chosen["message_id"] == question["message_id"], "in the place of the question"
        assert "$200k market cap now" in text_of(chosen)
