"""TokenFilterBot's entrance: `run`, `doctor`, `migrate`. The only place that names concrete classes."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
import structlog

from bot.console import Part, Terminal, summarise
from bot.core import Engine
from bot.doctor import examine
from bot.health import feed_health, telegram_health
from bot.telegram_bot import TelegramBot
from config.logging import configure_logging
from config.settings import Settings, load_settings
from domain.calls import Channel
from domain.errors import DeliveryError, FatalError, TransientError, flatten
from domain.matching import Matcher
from domain.plans import load_plans
from domain.presets import load_presets
from domain.subscribers import Subscriber
from handlers.base import Services
from handlers.dispatch import Dispatcher
from managers.cache import SmartCache
from managers.conversation import TelegramConversation
from managers.jupiter import JupiterManager, SolPrice
from managers.postgres import PostgresManager
from managers.rate_limiter import Limit, TelegramRateLimiter
from managers.redis import RedisManager
from managers.sources.base import Source
from managers.sources.native import NativeSource
from managers.sources.pumpportal import PumpPortalSource
from managers.telegram import TelegramManager
from migrations import migrate
from sandbox.world import Wants, World, open_world
from services.channels import ChannelsService
from services.decisions import DecisionsService
from services.delivery import DeliveryService, Sent
from services.inputs import InputsService
from services.journal import Journal
from services.metrics import Metrics
from services.monitoring import MonitoringService, answers
from services.outbox import Outbox
from services.presets import PresetsService
from services.subscribers_store import SubscribersStore
from services.subscriptions import SubscriptionsService
from services.users import UsersService
from texts import Texts
from web.app import create_app
from web.server import HttpServer
from web.telegram_webhook import TelegramWebhook

log = structlog.get_logger(__name__)

CONFIG = Path(__file__).parent / "config"
JUPITER_URL = "https://api.jup.ag"
PUMPPORTAL_URL = "wss://pumpportal.fun/api/data"
API_CALLS_AT_ONCE = 10
PRIVATE_CHATS = Limit(3, 3.0)
"""One message a second with the short burst that Telegram allows."""
DRAIN_S = 20.0
CONSUMER = "sender"
"""Name in the outbox's consumer group; the same after a restart, so that it finds what it had taken."""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """Where every outside part is, real or not."""

    telegram_token: str
    telegram_api_base: str
    source: str
    feed_url: str
    feed_api_url: str | None
    feed_token: str | None
    price_api_url: str
    redis_url: str
    database_url: str


def wants(settings: Settings) -> Wants:
    return Wants(
        telegram=not settings.has_real_telegram,
        feed=not settings.has_real_feed,
        prices=settings.price_api_url is None and not settings.has_real_telegram,
        redis=settings.redis_url is None,
        postgres=settings.database_url is None,
    )


def addresses(settings: Settings, world: World) -> Addresses:
    """Real addresses where there are any, the sandbox's otherwise."""
    token, feed_token = settings.telegram_bot_token, settings.feed_token
    feed = world.feed
    return Addresses(
        telegram_token=world.telegram.token if world.telegram else token.get_secret_value() if token else "",
        telegram_api_base=world.telegram.url if world.telegram else settings.telegram_api_base,
        source=settings.source,
        feed_url=feed.ws_url if feed else settings.feed_url or PUMPPORTAL_URL,
        feed_api_url=feed.http_url if feed else settings.feed_api_url,
        feed_token=feed.token if feed else feed_token.get_secret_value() if feed_token else None,
        price_api_url=world.prices.url if world.prices else settings.price_api_url or JUPITER_URL,
        redis_url=world.redis_url or settings.redis_url or "",
        database_url=world.postgres_dsn or settings.database_url or "",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    redis: RedisManager
    postgres: PostgresManager
    telegram: TelegramManager
    source: Source
    sol_price: SolPrice | None


async def connect(at: Addresses, stack: AsyncExitStack) -> Connections:
    """Make every connection; they are closed by `stack`. Telegram is entered later, when its handlers stand."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    source, sol_price = make_source(at, session)
    return Connections(
        redis=await stack.enter_async_context(RedisManager(at.redis_url)),
        postgres=await stack.enter_async_context(PostgresManager(at.database_url)),
        telegram=TelegramManager(
            token=at.telegram_token, api_base=at.telegram_api_base, limiter=TelegramRateLimiter(private=PRIVATE_CHATS)
        ),
        source=source,
        sol_price=sol_price,
    )


def make_source(at: Addresses, session: aiohttp.ClientSession) -> tuple[Source, SolPrice | None]:
    if at.source == "native":
        return NativeSource(at.feed_url, api_url=at.feed_api_url, token=at.feed_token, session=session), None
    sol_price = SolPrice(JupiterManager(session, at.price_api_url))
    return PumpPortalSource(sol_price_usd=sol_price.value, url=at.feed_url, api_key=at.feed_token), sol_price


class Composition:
    """The bot and its services on their connections, built bottom floor first. Opens nothing."""

    def __init__(self, settings: Settings, parts: Connections, on_sent: Callable[[Sent], None]) -> None:
        self.parts = parts
        self.metrics = Metrics()
        self.journal = Journal(parts.redis, parts.postgres)
        self.outbox = Outbox(parts.redis, self.journal)
        self.monitoring = MonitoringService(metrics=self.metrics, clock=now)
        self.matcher = Matcher()
        self.presets = PresetsService(load_presets((CONFIG / "presets.toml").read_text("utf-8")))
        self.subscriptions = SubscriptionsService(load_plans((CONFIG / "plans.toml").read_text("utf-8")), clock=now)
        settings_cache = SmartCache[int, Subscriber | None].of("settings")
        store = SubscribersStore(parts.redis, parts.postgres, self.journal, settings_cache)
        self.users = UsersService(
            store=store,
            matcher=self.matcher,
            presets=self.presets,
            subscriptions=self.subscriptions,
            clock=now,
        )
        self.channels = ChannelsService(
            source=parts.source,
            redis=parts.redis,
            cache=SmartCache[str, Channel].of("channels"),
            api_semaphore=asyncio.Semaphore(API_CALLS_AT_ONCE),
            metrics=self.metrics,
        )
        self.bot = TelegramBot(self._services(settings), self._engine(settings, on_sent))
        self.dispatcher = Dispatcher(self.bot)
        self.dispatcher.install(parts.telegram.application)
        self._watch()

    def _services(self, settings: Settings) -> Services:
        return Services(
            users=self.users,
            subscriptions=self.subscriptions,
            presets=self.presets,
            channels=self.channels,
            monitoring=self.monitoring,
            inputs=InputsService(self.parts.redis),
            telegram=TelegramConversation(self.parts.telegram),
            texts=Texts.load(),
            admin_chat_ids=settings.admin_chat_ids,
            clock=now,
        )

    def _engine(self, settings: Settings, on_sent: Callable[[Sent], None]) -> Engine:
        return Engine(
            telegram=self.parts.telegram,
            source=self.parts.source,
            sol_price=self.parts.sol_price,
            outbox=self.outbox,
            journal=self.journal,
            monitoring=self.monitoring,
            notify_socket=settings.notify_socket,
            decisions=DecisionsService(
                matcher=self.matcher,
                channels=self.channels,
                users=self.users,
                outbox=self.outbox,
                metrics=self.metrics,
                clock=now,
            ),
            delivery=DeliveryService(
                outbox=self.outbox,
                users=self.users,
                messenger=self.parts.telegram,
                texts=Texts.load(),
                metrics=self.metrics,
                clock=now,
                on_sent=on_sent,
                consumer=CONSUMER,
            ),
        )

    async def publish_menus(self) -> None:
        """Show everybody his commands in Telegram's menu, admins theirs."""
        routes, texts, telegram = self.dispatcher.routes, self.bot.services.texts, self.parts.telegram
        await telegram.set_commands(routes.menu(texts, admin=False))
        for chat_id in self.bot.services.admin_chat_ids:
            try:
                await telegram.set_commands(routes.menu(texts, admin=True), chat_id=chat_id)
            except DeliveryError as error:
                log.warning("admin_menu_not_set", chat_id=chat_id, reason=str(error))

    def _watch(self) -> None:
        """Tell the monitoring how to ask each part, and the metrics what to read."""
        parts, feed = self.parts, self.bot.feed
        self.monitoring.watch("redis", partial(answers, "redis", parts.redis.ping))
        self.monitoring.watch("postgresql", partial(answers, "postgresql", parts.postgres.ping))
        self.monitoring.watch("telegram", partial(telegram_health, parts.telegram))
        self.monitoring.watch("feed", partial(feed_health, feed))
        for name in ("calls", "ticks", "repeats", "malformed", "refused", "reconnects", "backfilled"):
            self.metrics.gauge(f"feed_{name}", f"Feed: {name}.", partial(getattr, feed.stats, name))
        self.metrics.gauge("token_queue_size", "Calls waiting to be matched.", self.bot.token_queue.qsize)
        self.metrics.gauge("alerts_held", "Alerts waiting for their turn.", lambda: self.bot.engine.delivery.held)
        self.metrics.gauge(
            "subscribers_receiving", "Subscribers who are matched.", lambda: self.users.counts().receiving
        )


@asynccontextmanager
async def http_edge(settings: Settings, composition: Composition) -> AsyncGenerator[HttpServer]:
    """Serve /healthz and /metrics and, with PUBLIC_URL, the webhook that brings Telegram's updates."""
    telegram, secret, webhook = composition.parts.telegram, settings.telegram_webhook_secret, None
    if settings.public_url and secret:
        webhook = TelegramWebhook(secret=secret.get_secret_value(), feed=telegram.feed_update)
    app = create_app(
        health=composition.monitoring.health_document,
        telegram_webhook=webhook,
        metrics=composition.metrics.registry,
    )
    async with HttpServer(app, settings.http_host, settings.http_port) as server:
        if settings.public_url and secret and webhook:
            url = settings.public_url.rstrip("/") + webhook.path
            await telegram.set_webhook(url, secret.get_secret_value())
        yield server


async def run(settings: Settings, *, seconds: float | None, terminal: Terminal) -> int:
    """Start everything, work until Ctrl-C, SIGTERM or `seconds` have passed, drain, and give the exit code."""
    started_at = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(settings))
        at = addresses(settings, world)
        terminal.show_parts(part_list(settings, at))
        await migrate(at.database_url)
        composition = Composition(settings, await connect(at, stack), terminal.show_sent)
        await stack.enter_async_context(composition.parts.telegram)
        await composition.publish_menus()
        server = await stack.enter_async_context(http_edge(settings, composition))
        terminal.say(f"Health: http://{settings.http_host}:{server.port}/healthz")
        if world.telegram:
            terminal.say(f"Chat page: {world.telegram.url}/")
        terminal.say(f"Ready after {time.monotonic() - started_at:.1f} s. Ctrl-C ends it.")
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        await composition.bot.run(stop, polling=settings.public_url is None, drain_s=DRAIN_S)
        summary = summarise(
            composition.metrics,
            waiting=await composition.outbox.size(),
            twice=world.sent_twice,
            arrived=world.alerts.total() if world.telegram else None,
        )
    terminal.show_summary(summary)
    return summary.exit_code


def world_of(settings: Settings) -> AbstractAsyncContextManager[World]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return open_world(
        wants(settings),
        data_dir=settings.data_dir,
        port=settings.sandbox_port,
        calls_per_s=settings.sandbox_calls_per_minute / 60,
    )


async def doctor(settings: Settings, terminal: Terminal) -> int:
    """Check every dependency, say what is wrong and how to mend it; 1 if anything is."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(settings))
        at = addresses(settings, world)
        parts = await connect(at, stack)
        findings = await examine(
            data_dir=settings.data_dir,
            redis=parts.redis,
            postgres=parts.postgres,
            telegram=parts.telegram,
            source=parts.source,
            sol_price=parts.sol_price,
        )
    terminal.show_findings(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def migrate_only(settings: Settings, terminal: Terminal) -> int:
    async with world_of(settings) as world:
        await migrate(addresses(settings, world).database_url)
    terminal.say("The schema is up to date.")
    return 0


def part_list(settings: Settings, at: Addresses) -> list[Part]:
    missing = wants(settings)
    return [
        Part("Telegram", not missing.telegram, at.telegram_api_base),
        Part(f"feed ({at.source})", not missing.feed, at.feed_url),
        *([Part("SOL price", not missing.prices, at.price_api_url)] if at.source == "pumpportal" else []),
        Part("Redis", not missing.redis, at.redis_url),
        Part("PostgreSQL", not missing.postgres, at.database_url),
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="start the bot")
    run_command.add_argument("--seconds", type=float, help="end by itself after so many seconds")
    commands.add_parser("doctor", help="check the configuration and every dependency")
    commands.add_parser("migrate", help="bring the database schema up to date")
    return parser.parse_args()


def main() -> int:
    chosen, terminal = arguments(), Terminal()
    try:
        settings = load_settings()
        configure_logging(level=settings.log_level, directory=settings.logs)
        with asyncio.Runner(loop_factory=event_loop) as runner:
            match chosen.command:
                case "doctor":
                    return runner.run(doctor(settings, terminal))
                case "migrate":
                    return runner.run(migrate_only(settings, terminal))
                case _:
                    return runner.run(run(settings, seconds=chosen.seconds, terminal=terminal))
    except* (FatalError, TransientError) as group:
        for error in flatten(group):
            terminal.say(str(error))
    return 1


def event_loop() -> asyncio.AbstractEventLoop:
    """Uvloop where it installs, asyncio's own elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    sys.exit(main())
