"""Which concrete parts the bot is made of: connections first, services on them, the bot on top. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
import structlog

from bot.console import Terminal
from bot.core import Engine
from bot.health import feed_health, telegram_health
from bot.telegram_bot import TelegramBot
from config.settings import Settings
from domain.calls import Channel
from domain.errors import DeliveryError
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
from services.channels import ChannelsService
from services.composing import Composer
from services.decisions import DecisionsService
from services.delivery import DeliveryService
from services.digests import DigestsService, DigestWriter
from services.explanations import ExplanationsService
from services.held import HeldCalls
from services.history import HistoryStore
from services.inputs import InputsService
from services.journal import Journal
from services.late import LateService
from services.media import MediaFiles
from services.metrics import Metrics
from services.monitoring import MonitoringService, answers
from services.outbox import Outbox
from services.permissions import PermissionsService
from services.policy import PolicyService
from services.presets import PresetsService, PresetsStore
from services.sending import Sender
from services.sharing import SharingService
from services.subscribers_store import SubscribersStore
from services.subscriptions import SubscriptionsService
from services.tokens import TokensService
from services.users import UsersService
from services.versions import SubscriberHistory
from texts import Texts

log = structlog.get_logger(__name__)

CONFIG = Path(__file__).parent / "config"
API_CALLS_AT_ONCE = 10
PRIVATE_CHATS = Limit(3, 3.0)
"""One message a second with the short burst that Telegram allows."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    redis: RedisManager
    postgres: PostgresManager
    telegram: TelegramManager
    source: Source
    jupiter: JupiterManager | None
    """Only a feed that lacks figures needs it."""
    sol_price: SolPrice | None
    """Only a feed that counts in SOL needs it."""


async def connect(at: Addresses, stack: AsyncExitStack) -> Connections:
    """Make every connection; `stack` closes them. Telegram is entered later, when its handlers stand."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    redis = await stack.enter_async_context(RedisManager(at.redis_url))
    postgres = await stack.enter_async_context(PostgresManager(at.database_url))
    limiter = TelegramRateLimiter(private=PRIVATE_CHATS)
    telegram = TelegramManager(token=at.telegram_token, api_base=at.telegram_api_base, limiter=limiter)
    if at.source == "native":
        native = NativeSource(at.feed_url, api_url=at.feed_api_url, token=at.feed_token, session=session)
        return Connections(
            redis=redis, postgres=postgres, telegram=telegram, source=native, jupiter=None, sol_price=None
        )
    jupiter = JupiterManager(session, at.price_api_url)
    sol_price = SolPrice(jupiter)
    source = PumpPortalSource(sol_price_usd=sol_price.value, url=at.feed_url, api_key=at.feed_token)
    return Connections(
        redis=redis, postgres=postgres, telegram=telegram, source=source, jupiter=jupiter, sol_price=sol_price
    )


class Composition:
    """The bot and its services on their connections, built bottom floor first. Opens nothing."""

    def __init__(self, settings: Settings, parts: Connections, terminal: Terminal) -> None:
        self.parts = parts
        self.texts = Texts.load()
        self.metrics = Metrics()
        self.matcher = Matcher()
        self.journal = Journal(parts.redis, parts.postgres)
        self.outbox = Outbox(parts.redis, self.journal)
        self.held = HeldCalls(parts.redis)
        self.history = HistoryStore(parts.redis, parts.postgres, now)
        self.monitoring = MonitoringService(metrics=self.metrics, clock=now)
        self.subscriptions = SubscriptionsService(load_plans((CONFIG / "plans.toml").read_text("utf-8")), clock=now)
        self.presets = PresetsService(
            load_presets((CONFIG / "presets.toml").read_text("utf-8")),
            store=PresetsStore(parts.redis, parts.postgres, self.journal),
            clock=now,
        )
        self.users = UsersService(
            store=SubscribersStore(
                parts.redis, parts.postgres, self.journal, SmartCache[int, Subscriber | None].of("settings")
            ),
            matcher=self.matcher,
            presets=self.presets,
            subscriptions=self.subscriptions,
            history=SubscriberHistory(parts.postgres),
            clock=now,
        )
        api_semaphore = asyncio.Semaphore(API_CALLS_AT_ONCE)
        self.channels = self._channels(api_semaphore)
        self.tokens = self._tokens(api_semaphore)
        self.bot = TelegramBot(self._services(settings), self._engine(settings, terminal))
        self.dispatcher = Dispatcher(self.bot)
        self.dispatcher.install(parts.telegram.application)
        self._watch()

    def _channels(self, api_semaphore: asyncio.Semaphore) -> ChannelsService:
        return ChannelsService(
            source=self.parts.source,
            redis=self.parts.redis,
            cache=SmartCache[str, Channel].of("channels"),
            api_semaphore=api_semaphore,
            metrics=self.metrics,
        )

    def _tokens(self, api_semaphore: asyncio.Semaphore) -> TokensService:
        return TokensService(
            source=self.parts.source,
            jupiter=self.parts.jupiter,
            postgres=self.parts.postgres,
            api_semaphore=api_semaphore,
            metrics=self.metrics,
            clock=now,
        )

    def _services(self, settings: Settings) -> Services:
        parts = self.parts
        return Services(
            users=self.users,
            subscriptions=self.subscriptions,
            presets=self.presets,
            sharing=SharingService(redis=parts.redis, postgres=parts.postgres, journal=self.journal, clock=now),
            permissions=PermissionsService(parts.telegram, SmartCache[tuple[int, int], bool].of("permissions")),
            bot_username=lambda: parts.telegram.username,
            channels=self.channels,
            explanations=ExplanationsService(history=self.history, users=self.users, clock=now),
            monitoring=self.monitoring,
            inputs=InputsService(parts.redis),
            telegram=TelegramConversation(parts.telegram),
            texts=self.texts,
            admin_chat_ids=settings.admin_chat_ids,
            clock=now,
        )

    def _engine(self, settings: Settings, terminal: Terminal) -> Engine:
        return Engine(
            telegram=self.parts.telegram,
            source=self.parts.source,
            sol_price=self.parts.sol_price,
            outbox=self.outbox,
            tokens=self.tokens,
            journal=self.journal,
            history=self.history,
            monitoring=self.monitoring,
            notify_socket=settings.notify_socket,
            say=terminal.say,
            decisions=DecisionsService(
                matcher=self.matcher,
                channels=self.channels,
                tokens=self.tokens,
                users=self.users,
                outbox=self.outbox,
                metrics=self.metrics,
                clock=now,
            ),
            delivery=self._delivery(terminal),
            late=LateService(
                redis=self.parts.redis,
                outbox=self.outbox,
                matcher=self.matcher,
                tokens=self.tokens,
                metrics=self.metrics,
                clock=now,
                is_ready=lambda: self.bot.is_loaded,
            ),
            digests=DigestsService(held=self.held, users=self.users, clock=now),
        )

    def _delivery(self, terminal: Terminal) -> DeliveryService:
        parts = self.parts
        files = MediaFiles(parts.redis, SmartCache[str, str | None].of("media"))
        writer = DigestWriter(outbox=self.outbox, prices=self.tokens, texts=self.texts, metrics=self.metrics)
        return DeliveryService(
            outbox=self.outbox,
            users=self.users,
            policy=PolicyService(parts.redis),
            held=self.held,
            sender=Sender(messenger=parts.telegram, files=files, metrics=self.metrics),
            composer=Composer(outbox=self.outbox, digests=writer, texts=self.texts, clock=now),
            metrics=self.metrics,
            clock=now,
            on_sent=terminal.show_sent,
            consumer=CONSUMER,
        )

    async def publish_menus(self) -> None:
        """Show everybody his commands in Telegram's menu, admins theirs."""
        routes, telegram = self.dispatcher.routes, self.parts.telegram
        await telegram.set_commands(routes.menu(self.texts, admin=False))
        for chat_id in self.bot.services.admin_chat_ids:
            try:
                await telegram.set_commands(routes.menu(self.texts, admin=True), chat_id=chat_id)
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
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "token_queue_size": ("Calls waiting to be matched.", self.bot.token_queue.qsize),
            "alerts_held": ("Alerts waiting for their turn.", lambda: self.bot.engine.delivery.held),
            "subscribers_receiving": ("Subscribers who are matched.", lambda: self.users.counts().receiving),
        }
        for name, (meaning, read) in gauges.items():
            self.metrics.gauge(name, meaning, read)
