"""A card is sent with what is known in time; what comes later is put on it, once, for those who want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_parts
from datetime import UTC, datetime
from random import Random

import pytest
from solders.pubkey import Pubkey

from bot.console import Terminal
from composition import Addresses, Composition, connect
from config.settings import Settings
from domain.calls.events import Call, Channel, Origin, Token
from domain.prices.readings import TokenRef
from handlers.delivery.buttons import MuteHere, SetCardField
from handlers.filters.buttons import CopySet
from managers.http.request_budget import Room
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.cancellation import end
from runtime.errors import TransientError
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.claims.putting import Putting
from services.completing.completing import CompletingService
from services.completing.later_figures import LaterFigures
from services.providers import figures as figures_service
from services.providers.figures import FiguresService
from services.stores import keys
from services.stores.journal import Journal
from services.subscribers.store import SubscribersStore
from tests.e2e.conftest import data_dir, feed, subscribe, telegram, text_of
from tests.tracking.kit import Desk
from tests.wiring import spool_on

__all__ = ["data_dir", "feed", "telegram"]


class Late:
    """A provider that knows whether more can be minted, and says so when it is let."""

    name = "rugcheck"
    tokens_per_request = 1
    gives = frozenset({"mint_revoked", "holders"})

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.problem: TransientError | None = None

    def covers(self, token: TokenRef) -> bool:
        return token.chain == "solana"

    def room(self) -> Room:
        return Room(10, 0.0)

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        await self.may_answer.wait()
        if self.problem:
            raise self.problem
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


async def test_a_card_names_all_filters_that_passed_also_after_an_edit(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    provider, ann = Late(), telegram.user("Ann")
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, provider):
        await subscribe(ann, "everything")
        menu = await ann.next_message(where=lambda m: "reply_markup" in m)
        await ann.tap_data(menu, CopySet(1).pack())
        await ann.next_message(where=lambda m: "Everything (copy)" in text_of(m))
        first = a_call(1)
        feed.publish(first)
        card = await card_of(ann, first)
        assert "✓ Everything, Everything (copy) · ⚡" in text_of(card)
        provider.may_answer.set()
        edited = await ann.next_message(where=lambda m: "mint" in text_of(m))
        assert edited["message_id"] == card["message_id"]
        assert "✓ Everything, Everything (copy) · ⚡" in text_of(edited)
        assert len([m for m in ann.messages if first.token.address in copied_addresses(m)]) == 1


async def test_an_edit_leaves_an_open_menu_and_what_is_muted_over_a_restart(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    provider, ann, bob = Late(), telegram.user("Ann"), telegram.user("Bob")
    async with asyncio.timeout(60):
        async with running(telegram, feed, redis_url, postgres_dsn, provider):
            for person in (ann, bob):
                await subscribe(person, "everything")
            first = a_call(1)
            feed.publish(first)
            asks = await asked_under(ann, await card_of(ann, first))
            bobs = await asked_under(bob, await card_of(bob, first))
            await bob.tap_data(bobs, MuteHere("token", first.token.address).pack())
            muted = await bob.next_message(where=lambda m: any("undo" in label for label in labels(m)))
        provider.may_answer.set()
        async with running(telegram, feed, redis_url, postgres_dsn, provider):
            edited = await ann.next_message(where=lambda m: "mint" in text_of(m))
            assert (edited["message_id"], labels(edited)) == (asks["message_id"], labels(asks))
            await ann.tap("‹ Back", edited)
            closed = await ann.next_message(where=lambda m: m["message_id"] == asks["message_id"])
            assert "mint" in text_of(closed)
            assert "‹ Back" not in labels(closed)
            bobs = await bob.next_message(where=lambda m: "mint" in text_of(m))
            assert (bobs["message_id"], labels(bobs)) == (muted["message_id"], labels(muted))


async def asked_under(person: SandboxUser, card: JsonObject) -> JsonObject:
    """The card, once it asks what to mute."""
    await person.tap("🔇 Mute", card)
    return await person.next_message(where=lambda m: "‹ Back" in labels(m))


def labels(message: JsonObject) -> list[str]:
    return [button["text"] for row in message["reply_markup"]["inline_keyboard"] for button in row]


async def test_whoever_cannot_be_read_keeps_their_card_and_the_others_get_theirs(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    provider, people = Late(), [telegram.user(name) for name in ("Ann", "Ben", "Cid")]
    async with asyncio.timeout(60), running(telegram, feed, redis_url, postgres_dsn, provider) as bot:
        for person in people:
            await subscribe(person, "everything")
            await person.next_message(where=lambda m: "reply_markup" in m)
        first = a_call(1)
        feed.publish(first)
        ann, ben, cid = people
        cards = [await card_of(person, first) for person in people]
        name, redis = keys.SUBSCRIBER.of(ben.id), bot.connections.redis
        await redis.set(name, b"{")
        bot.of(SubscribersStore).forget_all()
        provider.may_answer.set()
        for person in (ann, cid):
            await person.next_message(where=lambda m: "mint" in text_of(m))
        assert bot.of(CompletingService).put == 2
        shown = next(m for m in ben.messages if m["message_id"] == cards[1]["message_id"])
        assert text_of(shown) == text_of(cards[1])
        assert await redis.get(name) == b"{"


async def test_a_call_that_cannot_be_read_costs_its_own_cards_alone(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    desk = Desk(redis_manager, postgres_manager)
    for number in (1, 2, 3):
        await desk.call(f"c{number}", 7, token=number)
    await postgres_manager.execute("UPDATE calls SET document = document || $1 WHERE call_id = 'c2'", '{"token": 5}')
    provider = Late()
    provider.may_answer.set()
    async with completing_at(desk, redis_manager, postgres_manager, provider) as service:
        assert await service.look() == 3
        assert service.put == 2
        assert await service.look() == 0


async def test_whom_nobody_answered_for_is_asked_about_again(
    redis_manager: RedisManager, postgres_manager: PostgresManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_service, "FAILED_PAUSE_S", 0.05)
    desk, provider = Desk(redis_manager, postgres_manager), Late()
    for number in (1, 2):
        await desk.call(f"c{number}", 7, token=number)
    provider.problem = TransientError("nothing listens there")
    provider.may_answer.set()
    async with completing_at(desk, redis_manager, postgres_manager, provider) as service:
        assert await service.look() == 2
        assert service.put == 0
        provider.problem = None
        async with asyncio.timeout(10):
            while service.put < 2:
                assert await service.look() == 2, "still to be done"
        assert await service.look() == 0


@asynccontextmanager
async def completing_at(
    desk: Desk, redis: RedisManager, postgres: PostgresManager, provider: Late
) -> AsyncGenerator[CompletingService]:
    service = CompletingService(
        postgres=postgres,
        figures=(figures := FiguresService([provider], desk.clock)),
        later=LaterFigures(postgres),
        putting=Putting(spool_on(redis), Journal(redis, postgres)),
        wants=everybody,
        clock=desk.clock,
    )
    desk.clock.pass_(seconds=6)
    asking = asyncio.create_task(figures.run(lambda: None))
    try:
        yield service
    finally:
        await end([asking])


async def everybody(_: int) -> bool:
    return True
