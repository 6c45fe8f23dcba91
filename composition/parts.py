"""The bot and its services on their connections, built bottom floor first. Opens nothing, decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from bot.console import Terminal
from bot.core import Engine
from bot.health import process_health
from bot.intake import Intake
from bot.shards import MatchShard
from bot.telegram_bot import TelegramBot
from bot.updates import Updates, Webhook
from composition.connections import Connections, Place
from composition.observation import Readings, observe
from composition.stores import Stores
from config.settings import Settings
from domain.filters.presets import load_presets
from domain.matching.matcher import Matcher
from domain.payments.plans import load_plans
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from managers.telegram.conversation import TelegramConversation
from runtime.clock import now
from runtime.errors import MessageRefusedError, RecipientGoneError
from services.calls.channels import ChannelsService
from services.calls.decisions import DecisionsService
from services.calls.late import LateService
from services.calls.tick_stream import TickStream
from services.calls.tokens import TokensService
from services.cluster.changes import Changes
from services.delivery.alert_composer import AlertComposer
from services.delivery.delivery import DeliveryService
from services.delivery.digests import DigestComposer, DigestsService
from services.delivery.kinds import Kinds
from services.delivery.media import MediaFiles
from services.delivery.policy import PolicyService
from services.delivery.sending import Sender
from services.delivery.settling import Settler
from services.delivery.sorting import Sorter
from services.monitoring.alarm_memory import StoredAlarmMemory
from services.monitoring.alarms import AlarmsService
from services.monitoring.health import MonitoringService
from services.monitoring.metrics import Metrics
from services.payments.subscriptions import SubscriptionsService
from services.schedule.due_times import DueTimes
from services.schedule.schedule import LEASE as SCHEDULE
from services.schedule.schedule import Schedule
from services.subscribers.group import SubscriberServices
from services.subscribers.inputs import InputsService
from services.subscribers.permissions import PermissionsService
from services.subscribers.presets import PresetsService
from services.subscribers.sharing import SharingService
from services.subscribers.versions import SubscriberHistory
from services.why.explanations import ExplanationsService
from texts import Texts
from web.telegram_webhook import PATH

log = structlog.get_logger(__name__)

CONFIG = Path(__file__).parents[1] / "config"
API_CALLS_AT_ONCE = 10


class Composition:
    """The bot and its services on their connections, built bottom floor first. Opens nothing."""

    def __init__(self, settings: Settings, parts: Connections, terminal: Terminal, place: Place | None = None) -> None:
        self.parts = parts
        self.place = place or Place()
        self.data_dir = settings.data_dir
        self.texts = Texts.load()
        self.metrics = Metrics()
        self.matcher = Matcher()
        self.stores = stores = Stores(parts, self.place, self.metrics, self._match_fences)
        self.caches = stores.caches
        self.leases = stores.leases
        self.journal = stores.journal
        self.journal.mend = stores.postgres_fill(terminal.say).look
        self.outbox = stores.outbox
        self.outbox.stood_before = self.matcher.accepted_until
        self.alarms = self._alarms(settings)
        self.monitoring = MonitoringService(
            metrics=self.metrics,
            clock=now,
            alarms=self.alarms.standing,
            process=lambda: process_health(self.bot),
        )
        self.subscriptions = SubscriptionsService(load_plans((CONFIG / "plans.toml").read_text("utf-8")), clock=now)
        presets = load_presets((CONFIG / "presets.toml").read_text("utf-8"))
        self.presets = PresetsService(presets, store=stores.presets, clock=now)
        self.users = self._users()
        api_semaphore = asyncio.Semaphore(API_CALLS_AT_ONCE)
        self.channels = self._channels(api_semaphore)
        self.tokens = self._tokens(api_semaphore)
        self.readings = Readings(parts.redis, parts.postgres, self.journal, stores.letters, stores.database)
        self.updates = self._updates(settings, terminal)
        self.conversation = TelegramConversation(parts.telegram)
        self.why_unanswered: tuple[Callable[[], str | None], ...] = (
            lambda: self.updates.webhook_problem,
            lambda: self.conversation.problem,
        )
        self.bot = TelegramBot(self._services(settings), self._engine(settings, terminal), self.place.role)
        self.dispatcher = Dispatcher(self.bot)
        self.dispatcher.install(parts.telegram.application)
        observe(self)

    def _match_fences(self) -> Mapping[str, int]:
        if self.place.role == "match":
            return self.bot.engine.match_shard.fences()
        # Who does everything took all leases at once: one shows whether they are still his.
        return self.leases.fences(["match:0"])

    def _alarms(self, settings: Settings) -> AlarmsService:
        directory = self.place.directory
        path = directory / "told_alarms.json" if directory else None
        return AlarmsService(
            messenger=self.parts.telegram,
            texts=self.texts,
            chat_ids=settings.admin_chat_ids,
            time_of_day=now,
            memory=StoredAlarmMemory(self.parts.redis, path, now),
            is_ending=lambda: self.bot.state == "ending",
        )

    def _users(self) -> SubscriberServices:
        return SubscriberServices.on(
            store=self.stores.subscribers,
            matcher=self.matcher,
            presets=self.presets,
            subscriptions=self.subscriptions,
            history=SubscriberHistory(self.parts.postgres),
            clock=now,
            returned=self.stores.held.bring_forward,
        )

    def _channels(self, api_semaphore: asyncio.Semaphore) -> ChannelsService:
        return ChannelsService(
            source=self.parts.source,
            redis=self.parts.redis,
            postgres=self.parts.postgres,
            cache=self.caches.channels,
            api_semaphore=api_semaphore,
            metrics=self.metrics,
            clock=now,
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

    def _updates(self, settings: Settings, terminal: Terminal) -> Updates:
        webhook, secret = None, settings.telegram_webhook_secret
        if settings.public_url and secret:
            webhook = Webhook(url=settings.public_url.rstrip("/") + PATH, secret=secret.get_secret_value())
        return Updates(
            self.parts.telegram,
            webhook=webhook,
            show_menus=self.publish_menus,
            say=terminal.say,
            lead=self.leases.lead if self.place.role == "gateway" else None,
        )

    def _services(self, settings: Settings) -> Services:
        parts = self.parts
        return Services(
            subscribers=self.users.subscribers,
            filter_sets=self.users.sets,
            roster=self.users.roster,
            loading=self.users.loading,
            subscriptions=self.subscriptions,
            presets=self.presets,
            sharing=SharingService(redis=parts.redis, postgres=parts.postgres, journal=self.journal, clock=now),
            permissions=PermissionsService(parts.telegram, self.caches.permissions),
            bot_username=lambda: parts.telegram.username,
            channels=self.channels,
            explanations=ExplanationsService(
                history=self.stores.history, subscribers=self.users.subscribers, clock=now
            ),
            monitoring=self.monitoring,
            letters=self.stores.letters,
            inputs=InputsService(parts.redis),
            telegram=self.conversation,
            texts=self.texts,
            admin_chat_ids=settings.admin_chat_ids,
            clock=now,
        )

    def _engine(self, settings: Settings, terminal: Terminal) -> Engine:
        parts, stores = self.parts, self.stores
        decisions = self._decisions()
        delivery = self._delivery(terminal)
        schedule = self._schedule(delivery)
        source, leases, calls = parts.source, stores.leases, stores.calls
        return Engine(
            redis=parts.redis,
            updates=self.updates,
            intake=Intake(source=source, outbox=stores.outbox, decisions=decisions, calls=calls, leases=leases),
            match_shard=self._match_shard(decisions, terminal),
            outbox=stores.outbox,
            spool=stores.spool,
            refill=stores.refill(delivery, schedule, terminal.say),
            delivery=delivery,
            tokens=self.tokens,
            late=self._late(),
            schedule=schedule,
            journal=stores.journal,
            database=stores.database,
            history=stores.history,
            monitoring=self.monitoring,
            alarms=self.alarms,
            readings=self.readings.service,
            leases=leases,
            members=stores.members,
            slots=stores.slots,
            sent_before=stores.sent_before,
            calls=calls,
            ticks=TickStream(parts.redis),
            changes=Changes(parts.redis, self.place.owner),
            sol_price=parts.sol_price,
            notify_socket=settings.notify_socket,
            say=terminal.say,
        )

    def _decisions(self) -> DecisionsService:
        return DecisionsService(
            matcher=self.matcher,
            channels=self.channels,
            tokens=self.tokens,
            roster=self.users.roster,
            outbox=self.outbox,
            metrics=self.metrics,
            clock=now,
            is_sure=lambda: now.is_sure,
        )

    def _match_shard(self, decisions: DecisionsService, terminal: Terminal) -> MatchShard:
        return MatchShard(
            leases=self.leases,
            members=self.stores.members,
            calls=self.stores.calls,
            decisions=decisions,
            loading=self.users.loading,
            say=terminal.say,
        )

    def _late(self) -> LateService:
        return LateService(
            redis=self.parts.redis,
            outbox=self.outbox,
            matcher=self.matcher,
            tokens=self.tokens,
            metrics=self.metrics,
            clock=now,
            is_ready=lambda: self.place.role == "match" or self.bot.engine.intake.is_loaded,
            partitions=lambda: self.bot.matched,
        )

    def _delivery(self, terminal: Terminal) -> DeliveryService:
        parts, subscribers = self.parts, self.users.subscribers
        kinds = self._kinds()
        sender = Sender(
            messenger=parts.telegram, files=MediaFiles(parts.redis, self.caches.media), metrics=self.metrics
        )
        settler = Settler(
            outbox=self.outbox,
            subscribers=subscribers,
            sender=sender,
            kinds=kinds,
            texts=self.texts,
            metrics=self.metrics,
            clock=now,
        )
        sorter = Sorter(
            kinds=kinds,
            subscribers=subscribers,
            policy=PolicyService(parts.redis),
            held=self.stores.held,
            settler=settler,
            metrics=self.metrics,
            clock=now,
        )
        return DeliveryService(
            outbox=self.outbox,
            kinds=kinds,
            sorter=sorter,
            sender=sender,
            settler=settler,
            metrics=self.metrics,
            on_sent=terminal.show_sent,
            consumer=self.place.owner,
        )

    def _kinds(self) -> Kinds:
        alerts = AlertComposer(outbox=self.outbox, texts=self.texts, clock=now)
        digests = DigestComposer(outbox=self.outbox, prices=self.tokens, texts=self.texts, metrics=self.metrics)
        return Kinds([alerts.row(), digests.row()])

    def _schedule(self, delivery: DeliveryService) -> Schedule:
        async def leads() -> bool:
            return bool(await self.leases.acquire([SCHEDULE]))

        digests = DigestsService(held=self.stores.held, subscribers=self.users.subscribers, clock=now)
        return Schedule(
            [digests.job()],
            due_times=DueTimes(self.parts.redis),
            clock=now,
            partitions=lambda: delivery.owned,
            leads=leads,
        )

    async def publish_menus(self) -> None:
        """Show everybody his commands in Telegram's menu, admins theirs. May be repeated."""
        routes, telegram = self.dispatcher.routes, self.parts.telegram
        await telegram.set_commands(routes.menu(self.texts, admin=False))
        for chat_id in self.bot.services.admin_chat_ids:
            try:
                await telegram.set_commands(routes.menu(self.texts, admin=True), chat_id=chat_id)
            except (RecipientGoneError, MessageRefusedError) as error:
                log.warning("admin_menu_not_set", chat_id=chat_id, reason=str(error))
