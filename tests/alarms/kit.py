"""The whole bot between everything that can be broken, and an admin who is told of it.

What is waited for in minutes is shortened: the clock of the alarms runs faster, limits are smaller. What goes wrong is
never pretended.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from msgspec import Struct, field

from bot.console import Terminal
from bot.roles import Role
from composition import Addresses, Composition, NowPaymentsAccess, ProcessConfig, SolanaAccess, connect
from config.settings import Settings
from embedded.valkey import EmbeddedRedis
from managers.feed.sources.native import NativeSource
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from services.cluster.ownership import Ownership
from services.monitoring.alarms import AlarmsService
from services.monitoring.conditions import CallsOutdated, Condition, DeadLettersGrew
from services.monitoring.payment_conditions import CountGrew
from services.monitoring.process_conditions import SendsFail
from services.tracking.tracking import TrackingService
from tests.alarms.accounts_stage import listened_to
from tests.channels.channel_book import ChannelBook
from tests.channels.listening import connection_of, edge_of
from tests.channels.support import ALPHA
from tests.e2e.conftest import ADMIN, text_of
from tests.faults.proxy import FaultProxy
from tests.wiring import AT_WILL

FASTER: Final = 20.0
"""By how much the clock of the alarms runs faster: what has to hold for five seconds holds for a quarter of one."""
TOLD_WITHIN_S: Final = 60.0
IDLE_S: Final = 3.0
LISTENS: Final[dict[str, Any]] = {
    "feed_source": "channels",
    "channels": (ALPHA,),
    "channel_pause_s": 0.5,
    "channel_requests_per_minute": 6_000.0,
}


class Stage(Struct, frozen=True, kw_only=True):
    """What stands around the bot in one scene."""

    role: Role = "all"
    shop: bool = False
    """Solana and NOWPayments are there, too."""
    channels: bool = False
    """It reads those of a `ChannelBook`, and nothing else."""
    stars: bool = True
    alone: bool = True
    """It may go on without Redis."""
    on_disk: bool = False
    """It has a directory of its own."""
    accounts: bool = False
    """Its calls are those of channels that an account listens to."""
    limits: Mapping[str, float] = {}
    """Constants, as `module:NAME`, that are smaller."""
    times: Mapping[str, timedelta] = {}
    """Likewise."""

    @property
    def listens(self) -> bool:
        """Whether its calls are those of channels."""
        return self.channels or self.accounts


class Scene(Struct, kw_only=True):
    telegram: TelegramSandbox
    feed: FeedSandbox
    feed_proxy: FaultProxy
    redis_proxy: FaultProxy
    postgres_proxy: FaultProxy
    redis_server: EmbeddedRedis
    dsn: str
    at: Addresses
    bot: Composition
    data_dir: Path
    prices: PriceSandbox
    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    stack: AsyncExitStack
    """Whatever is opened here is closed with the scene."""

    @property
    def admin(self) -> SandboxUser:
        return self.telegram.user("Admin", user_id=ADMIN)

    @property
    def chain(self) -> SolanaSandbox:
        return self.parts["chain"]

    @property
    def payer(self) -> Wallet:
        return self.parts["payer"]

    @property
    def merchant(self) -> Wallet:
        return self.parts["merchant"]

    @property
    def processor(self) -> NowPaymentsSandbox:
        return self.parts["processor"]

    @property
    def book(self) -> ChannelBook:
        return self.parts["book"]

    async def told(self, sign: str, name: str) -> str:
        """Wait until the admin is told so of this alarm; returns the line."""
        wanted = f"{sign} {name} "

        def says_so(message: dict[str, Any]) -> bool:
            return any(line.startswith(wanted) for line in text_of(message).splitlines())

        try:
            message = await self.admin.next_message(where=says_so, timeout_s=TOLD_WITHIN_S)
        except TimeoutError:
            active = self.bot.of(AlarmsService).active()
            said = [text_of(one) for one in self.admin.messages[-5:]]
            pytest.fail(f"nobody was told {wanted!r}; what stands: {active}; last messages: {said}")
        return next(line for line in text_of(message).splitlines() if line.startswith(wanted))

    def said(self) -> list[str]:
        """Everything that the admin was told."""
        return [text_of(message) for message in self.admin.chat.messages.values() if message["from"]["is_bot"]]

    def said_of(self, name: str) -> list[str]:
        """Every line of it about one alarm."""
        return [line for text in self.said() for line in text.splitlines() if line[2:].startswith(f"{name} ")]

    async def people(self, count: int) -> list[SandboxUser]:
        """So many have taken the preset that lets everything pass."""
        found = [self.telegram.user(f"Person {number}") for number in range(count)]
        for user in found:
            await user.send("/start")
            offer = await user.next_message(where=lambda m: "reply_markup" in m)
            await user.tap_data(offer, "preset:everything")
        return found

    def condition(self, name: str) -> Condition:
        return self.bot.of(AlarmsService)._alarms[name].condition

    def ten_minutes_pass(self, name: str) -> None:
        """For what counts how much came within ten minutes."""
        condition = self.condition(name)
        if isinstance(condition, SendsFail):
            condition.clock = later
        elif isinstance(condition, DeadLettersGrew | CallsOutdated | CountGrew):
            condition._growth._clock = later

    def hurry(self, name: str, factor: float = 100.0) -> None:
        """For what has to last for minutes."""
        condition: Any = self.condition(name)
        condition.clock = lambda: time.monotonic() * factor

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
        """PostgreSQL, past the proxy."""
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def until(self, holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110 - a figure of another part, not an event
                await asyncio.sleep(0.05)


def later() -> float:
    return time.monotonic() + 601.0


Wrong = Callable[[Scene], AbstractAsyncContextManager[object]]
"""Entered, it is wrong; left, it is right again."""


class Provocation(Struct, frozen=True, kw_only=True):
    wrong: Wrong
    stage: Stage = Stage()
    then: Stage | None = None
    """It is right again after a restart that is configured otherwise."""
    is_quick: bool = False
    """Played every time; the others are thorough."""


class Servers(Struct, frozen=True, kw_only=True):
    redis: EmbeddedRedis
    redis_url: str
    dsn: str


@asynccontextmanager
async def opened(stage: Stage, servers: Servers, data_dir: Path) -> AsyncGenerator[Scene]:
    """The bot as `main.py` builds it, at work."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        parts, addresses = await _shop(stack) if stage.shop else ({}, {})
        telegram = await stack.enter_async_context(TelegramSandbox(limits=FloodLimits.off()))
        feed = await stack.enter_async_context(
            FeedSandbox(Market(seed=1), calls_per_s=0, ticks_per_s=0, heartbeat_s=0.5)
        )
        prices = await stack.enter_async_context(PriceSandbox(requests_per_minute=10_000))
        proxies = [
            await stack.enter_async_context(FaultProxy(url)) for url in (feed.ws_url, servers.redis_url, servers.dsn)
        ]
        at = Addresses(
            telegram_token=telegram.token,
            telegram_api_base=telegram.url,
            source="channels" if stage.listens else "native",
            feed_url=f"ws://{proxies[0].authority}/",
            feed_api_url=feed.http_url,
            feed_token=feed.token,
            price_api_url=prices.url,
            redis_url=proxies[1].redis_url,
            database_url=proxies[2].postgres_dsn(_name(servers.dsn)),
            private_chats=AT_WILL,
            **addresses,
        )
        store = data_dir / "local.sqlite" if stage.alone and stage.role == "all" else None
        connections = await connect(at, stack, local_store=store, data_dir=data_dir if stage.on_disk else None)
        if stage.channels:
            parts["book"] = ChannelBook()
            connections = with_(connections, channels=connection_of(parts["book"]))
        if stage.accounts:
            connections = listened_to(connections, parts, data_dir)
        assert isinstance(connections.source, NativeSource)
        if not stage.listens:
            connections.source.idle_timeout_s = IDLE_S
        settings = Settings(
            admin_chat_ids=frozenset({ADMIN}),
            pay_with_stars=stage.stars,
            data_dir=data_dir,
            log_level="INFO",
            **(LISTENS if stage.listens else {}),
        )
        composition = Composition(settings, connections, Terminal(), ProcessConfig(role=stage.role))
        composition.of(AlarmsService)._clock = lambda: time.monotonic() * FASTER
        admin = telegram.user("Admin", user_id=ADMIN)
        admin.chat.is_started = True
        await stack.enter_async_context(connections.telegram)
        if stage.channels:
            await stack.enter_async_context(edge_of(composition))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(composition.bot.run(stop, drain_s=1))
            scene = Scene(
                telegram=telegram,
                feed=feed,
                feed_proxy=proxies[0],
                redis_proxy=proxies[1],
                postgres_proxy=proxies[2],
                redis_server=servers.redis,
                dsn=servers.dsn,
                at=at,
                bot=composition,
                data_dir=data_dir,
                prices=prices,
                parts=parts,
                stack=stack,
            )
            await scene.until(lambda: composition.bot.lifecycle.state == "working" or running.done())
            if stage.role == "all" and not stage.listens:
                await asyncio.wait_for(feed.someone_listens.wait(), TOLD_WITHIN_S)
            if stage.role == "all":
                tracking = composition.of(TrackingService)
                await scene.until(lambda: composition.of(Ownership).is_loaded and tracking.book is not None)
            yield scene
            stop.set()


async def _shop(stack: AsyncExitStack) -> tuple[dict[str, Any], dict[str, Any]]:
    chain = await stack.enter_async_context(SolanaSandbox())
    second = await chain.add_node()
    dexscreener = await stack.enter_async_context(DexScreenerSandbox())
    processor = await stack.enter_async_context(NowPaymentsSandbox())
    merchant, payer = chain.wallet(sol=1), chain.wallet(sol=100, usdc=10_000)
    chain.open_token_account(merchant.address)
    parts = {"chain": chain, "second": second, "dexscreener": dexscreener, "processor": processor}
    parts |= {"merchant": merchant, "payer": payer}
    solana = SolanaAccess(wallet=str(merchant.address), usdc_mint=str(programs.USDC), rpc_urls=(chain.url, second.url))
    nowpayments = NowPaymentsAccess(url=processor.url, api_key=processor.api_key, **processor.credentials)
    addresses = {"solana": solana, "dexscreener_url": dexscreener.url, "nowpayments": nowpayments}
    return parts, addresses


def _name(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]
