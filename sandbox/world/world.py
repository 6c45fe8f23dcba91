"""Everything outside the bot that has no address, started on this machine.

`open_world` starts the stand-ins that are wanted and gives their addresses; the bot is then configured with those
addresses as it would be with real ones.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from domain.calls.events import Token
from embedded.keeper import Restartable, keep
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from runtime.errors import FatalError
from runtime.latencies import spread
from runtime.reasons import cannot_listen
from sandbox.channels.playing import PlayedChannels
from sandbox.channels.server import ChannelsSandbox
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.providers.birdeye import BirdeyeSandbox
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.goplus import GoPlusSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.pools import Pools
from sandbox.providers.rugcheck import RugCheckSandbox
from sandbox.telegram.persona import run_demo
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.payments import PaidChain, open_chain, open_processor
from sandbox.world.wallets import wallets_of

KEPT_LATENCIES = 5_000
_BEGAN_S = 1_767_225_600.0
"""2026-01-01: channels have posted once a second since then, so that later runs go on behind earlier ones."""
_AMOUNT = re.compile(r"\d+(\.\d+)?", re.ASCII)
TELEGRAM = "sandbox-telegram.json"
"""Where in the data directory the sandbox's people and chats are."""
MARKET_BEGINS_ANEW = "The market begins anew at each start: tokens called before have no price any more."
POSTGRES = "postgres"
"""Where in the data directory it has its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wants:
    """Which parts have no address of their own."""

    telegram: bool
    feed: bool
    prices: bool
    redis: bool
    postgres: bool
    solana: bool = False
    nowpayments: bool = False
    channels: bool = False
    """The market's calls are posts of channels, on their public pages."""
    birdeye: bool = False


@dataclass(kw_only=True, slots=True)
class World:
    telegram: TelegramSandbox | None = None
    feed: FeedSandbox | None = None
    channels: PlayedChannels | None = None
    prices: PriceSandbox | None = None
    solana: PaidChain | None = None
    nowpayments: NowPaymentsSandbox | None = None
    dexscreener: DexScreenerSandbox | None = None
    gecko: GeckoTerminalSandbox | None = None
    rugcheck: RugCheckSandbox | None = None
    goplus: GoPlusSandbox | None = None
    birdeye: BirdeyeSandbox | None = None
    pools: Pools = field(default_factory=Pools)
    """Those that DexScreener and GeckoTerminal can look up."""
    redis_url: str | None = None
    redis_lacks_writes: bool = False
    """The machine went down while it ran."""
    postgres_dsn: str | None = None
    alerts: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    """How often each (chat, token address) was told, as the sandbox's Telegram saw it."""
    latencies_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=KEPT_LATENCIES))
    """From the frame's departure, or the post, to the arrival of the first alert's request for it."""

    @property
    def sent_twice(self) -> int:
        return sum(count - 1 for count in self.alerts.values())

    def saw_message(self, message: JsonObject) -> None:
        """Count the alerts in a new message."""
        if "edit_date" in message:
            return
        for address in copied_addresses(message):
            self.alerts[message["chat"]["id"], address] += 1
            emitted_at = self._emitted_at(address)
            if emitted_at is not None:
                self.latencies_s.append(time.monotonic() - emitted_at)

    def find_token(self, address: str) -> Token | None:
        """What is known of a token to whoever plays the market."""
        found = self.feed.find_token(address) if self.feed else None
        return found or (self.channels.find_token(address) if self.channels else None)

    def _emitted_at(self, address: str) -> float | None:
        said = self.feed.emitted.get(address) if self.feed else None
        return said or (self.channels.posted.get(address) if self.channels else None)

    def panel(self) -> dict[str, float | int | str]:
        """What the chat page shows beside the chat."""
        shown: dict[str, float | int | str] = {"alerts": self.alerts.total()}
        if self.feed:
            shown |= {"calls": self.feed.stats.calls_emitted, "calls_per_s": self.feed.stats.calls_per_s}
        if self.channels and not self.feed:
            shown |= {"calls": self.channels.called, "calls_per_s": self.channels.calls_lately_per_s()}
        latencies = spread(self.latencies_s)
        shown["latency_count"] = latencies.count
        for name, value in (("p50", latencies.p50_s), ("p99", latencies.p99_s)):
            if value is not None:
                shown[f"latency_{name}_ms"] = round(value * 1000, 1)
        return shown


def copied_addresses(message: JsonObject) -> list[str]:
    """The token addresses that a message offers for copying: one per alert in it, and no other kind has any.

    Where an amount is offered as well, money is to be sent to the address: it is no token's. What can be refreshed
    answers somebody who sent the address.
    """
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    copied = [button["copy_text"]["text"] for row in rows for button in row if "copy_text" in button]
    is_answer = any(button.get("callback_data", "").startswith("token:") for row in rows for button in row)
    return [] if is_answer or any(_AMOUNT.fullmatch(text) for text in copied) else copied


@asynccontextmanager
async def open_world(
    wants: Wants,
    *,
    data_dir: Path,
    port: int,
    calls_per_s: float,
    demo: bool = True,
    redis_complete_key: str | None = None,
    joins: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[World]:
    """Start what is wanted; stop it again at exit, servers that keep data last.

    `joins`: where another process runs Redis and PostgreSQL on these data, use its own and start none.

    A server that ends meanwhile is started again, and `say` tells of it; `FatalError` when it keeps ending.
    """
    world = World()
    async with AsyncExitStack() as stack:
        kept = await _open_stores(world, wants, data_dir, redis_complete_key, stack, joins=joins)
        await stack.enter_async_context(_keeping(kept, say))
        if wants.prices:
            await _open_prices(world, wants, stack)
        await _open_payments(world, wants, data_dir, stack, is_kept=not joins)
        market = Market(seed=time.time_ns())  # tokens of an earlier run count as told
        if demo and (wants.feed or wants.channels) and (data_dir / TELEGRAM).exists():
            say(MARKET_BEGINS_ANEW)
        if wants.feed:
            world.feed = await stack.enter_async_context(FeedSandbox(market, calls_per_s=calls_per_s))
        if wants.channels:
            world.channels = await _open_channels(market, calls_per_s, world.pools, stack)
        if wants.telegram:
            telegram = TelegramSandbox(port=port, kept_at=data_dir / TELEGRAM if demo else None)
            world.telegram = await _opened(telegram, stack)
            world.telegram.extra_stats = world.panel
            world.telegram.wallets += wallets_of(world.solana, world.nowpayments)
            world.telegram.on_message(world.saw_message)
            if demo and not world.telegram.user("demo").chat.is_blocked:
                await _start_demo(world.telegram, stack)
        yield world


async def _open_stores(
    world: World,
    wants: Wants,
    data_dir: Path,
    redis_complete_key: str | None,
    stack: AsyncExitStack,
    *,
    joins: bool,
) -> list[Restartable]:
    """Return what was started."""
    kept: list[Restartable] = []
    if wants.redis:
        server = EmbeddedRedis(data_dir / "redis", complete_key=redis_complete_key)
        if not (joins and server.is_run_by_another()):
            kept.append(await stack.enter_async_context(server))
        world.redis_url, world.redis_lacks_writes = server.url, server.lacks_writes
    if wants.postgres:
        postgres = EmbeddedPostgres(data_dir / POSTGRES)
        if not (joins and postgres.is_run_by_another()):
            kept.append(await stack.enter_async_context(postgres))
        world.postgres_dsn = postgres.dsn
    return kept


async def _opened(telegram: TelegramSandbox, stack: AsyncExitStack) -> TelegramSandbox:
    try:
        return await stack.enter_async_context(telegram)
    except OSError as error:
        said = cannot_listen(error, host=telegram.host, port=telegram.port, port_name="SANDBOX_PORT")
        raise FatalError(said) from error


async def _open_payments(world: World, wants: Wants, data_dir: Path, stack: AsyncExitStack, *, is_kept: bool) -> None:
    if wants.solana:
        world.solana = await stack.enter_async_context(open_chain(data_dir))
    if wants.nowpayments:
        world.nowpayments = await stack.enter_async_context(open_processor(data_dir if is_kept else None))


async def _open_prices(world: World, wants: Wants, stack: AsyncExitStack) -> None:
    """Whoever is asked for figures tells those of the market."""
    figures, pools = world.find_token, world.pools
    world.prices = await stack.enter_async_context(PriceSandbox(figures=figures))
    world.dexscreener = await stack.enter_async_context(DexScreenerSandbox(figures=figures, pools=pools))
    world.gecko = await stack.enter_async_context(GeckoTerminalSandbox(figures=figures, pools=pools))
    world.rugcheck = await stack.enter_async_context(RugCheckSandbox(figures=figures))
    world.goplus = await stack.enter_async_context(GoPlusSandbox(figures=figures))
    if wants.birdeye:
        world.birdeye = await stack.enter_async_context(BirdeyeSandbox(figures=figures))


async def _open_channels(market: Market, calls_per_s: float, pools: Pools, stack: AsyncExitStack) -> PlayedChannels:
    pages = await stack.enter_async_context(ChannelsSandbox())
    # Whoever has read them in an earlier run knows their numbers.
    before = int(time.time() - _BEGAN_S)
    played = PlayedChannels(market, pages, calls_per_s=calls_per_s, pools=pools, last_number=before)
    await stack.enter_async_context(played.playing())
    return played


@asynccontextmanager
async def _keeping(servers: Sequence[Restartable], say: Callable[[str], None]) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        keepers = [group.create_task(keep(server, say), name=f"keep {server.name}") for server in servers]
        yield
        for keeper in keepers:
            keeper.cancel()


async def _start_demo(telegram: TelegramSandbox, stack: AsyncExitStack) -> None:
    """A subscriber who exists from the start: says /start and takes a preset, like anybody else."""
    persona = asyncio.create_task(run_demo(telegram.user("demo")), name="demo persona")

    async def end() -> None:
        persona.cancel()
        await asyncio.gather(persona, return_exceptions=True)

    stack.push_async_callback(end)
