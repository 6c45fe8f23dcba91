"""A card is sent with what is known in time; what comes later is put on it, once, for those who want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_parts
from datetime import UTC, datetime
from random import Random

from solders.pubkey import Pubkey

from bot.console import Terminal
from composition import Addresses, Composition, connect
from config.settings import Settings
from domain.calls.events import Call, Channel, Origin, Token
from domain.prices.readings import TokenRef
from handlers.delivery.buttons import SetCardField
from managers.http.request_budget import Room
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.completing.completing import CompletingService
from tests.e2e.conftest import data_dir, feed, subscribe, telegram, text_of

__all__ = ["data_dir", "feed", "telegram"]


class Late:
    """A provider that knows whether more can be minted, and says so when it is let."""

    name = "rugcheck"
    tokens_per_request = 1
    gives = frozenset({"mint_revoked", "holders"})

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    def covers(self, token: TokenRef) -> bool:
        return token.chain == "solana"

    def room(self) -> Room:
        return Room(10, 0.0)

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        await self.may_answer.wait()
        at = datetime.now(UTC)
        origins = {name: Origin(self.name, at) for name in self.gives}
        return {
            token.key: Token(address=token.address, mint_revoked=True, holders=4321, origins=origins)
            for token in tokens
        }


@asynccontextmanager
async def running(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, provider: Late
) -> AsyncGenerator[Composition]:
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
    )
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        parts = with_parts(await connect(at, stack), figure_providers=[provider])
        composition = Composition(Settings(), parts, Terminal())
        await stack.enter_async_context(parts.telegram)
        async with asyncio.TaskGroup() as group:
            group.create_task(composition.bot.run(stop, drain_s=5))
            yield composition
            stop.set()


def a_call(seed: int) -> Call:
    at = datetime.now(UTC)
    token = Token(address=str(Pubkey(Random(seed).randbytes(32))), name="Frog", symbol="FROG", market_cap_usd=50_000.0)
    return Call(
        id=f"late-{seed}", token=token, channel=Channel(id="@alpha", title="Alpha"), called_at=at, received_at=at
    )


async def card_of(user: SandboxUser, call: Call) -> JsonObject:
    return await user.next_message(where=lambda m: call.token.address in copied_addresses(m))


async def test_what_comes_later_is_put_on_the_card_of_who_wants_it(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    provider, ann, bob = Late(), telegram.user("Ann"), telegram.user("Bob")
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, provider) as bot:
        for person in (ann, bob):
            await subscribe(person, "everything")
        menu = await bob.next_message(where=lambda m: "reply_markup" in m)
        await bob.tap_data(menu, SetCardField("later", shown=False).pack())
        first = a_call(1)
        feed.publish(first)
        card, bobs = await card_of(ann, first), await card_of(bob, first)
        assert "mint" not in text_of(card)
        provider.may_answer.set()
        edited = await ann.next_message(where=lambda m: "mint" in text_of(m))
        assert edited["message_id"] == card["message_id"]
        assert edited["reply_markup"] == card["reply_markup"]
        assert "Holders" in text_of(edited)
        assert bot.of(CompletingService).put == 1
        assert text_of(next(m for m in bob.messages if m["message_id"] == bobs["message_id"])) == text_of(bobs)
        assert text_of(edited).splitlines()[:2] == text_of(card).splitlines()[:2]
