"""The mixins as one bot over real stores; Telegram's wire ends in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.calls.events import Channel
from domain.filters.presets import load_presets
from domain.matching.matcher import Matcher
from domain.payments.plans import load_plans
from domain.subscribers.subscriber import Subscriber
from handlers.account.help import HelpMixin
from handlers.account.start import StartMixin
from handlers.admin.health import AdminHealthMixin
from handlers.admin.people.users import AdminUsersMixin
from handlers.admin.presets import AdminPresetsMixin
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from handlers.delivery.muting import MutingMixin
from handlers.delivery.pausing import PausingMixin
from handlers.delivery.settings import DeliveryMixin
from handlers.filters.filter_sets import UserSettingsMixin
from handlers.filters.rules import RulesMixin
from handlers.filters.sharing import SharingMixin
from handlers.payments.account import PaymentsMixin
from handlers.payments.buying import BuyingMixin
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from services.delivery.policy import PolicyService
from services.monitoring.health import HealthReport, PartHealth
from services.plans.subscriptions import SubscriptionsService
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from services.subscribers.inputs import InputsService
from services.subscribers.presets import PresetsService, PresetsStore
from services.subscribers.sharing import SharingService
from services.subscribers.store import SubscribersStore
from services.subscribers.versions import SubscriberHistory
from services.watches.watches import WatchesService
from tests.conversation.telegram_wire import ADMIN_ID, AnyApplication, Person, RecordedConversation, application
from tests.conversation.wiring import fields_of, services_of
from tests.watches.kit import Nobody
from tests.wiring import entitling_on, held_calls_on
from texts import Texts

CONFIG = Path(__file__).parents[2] / "config"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRESETS = load_presets((CONFIG / "presets.toml").read_text(encoding="utf-8"))
PLANS = load_plans((CONFIG / "plans.toml").read_text(encoding="utf-8"))
TRIAL = PLANS.trial
BEN_ID = 457
BOT_USERNAME = "filter_bot"


class KnownChannels:
    def __init__(self) -> None:
        self.channels: list[Channel] = []

    def known(self) -> Sequence[Channel]:
        return self.channels


class Monitoring:
    async def health(self) -> HealthReport:
        return HealthReport(
            parts=(
                PartHealth(name="redis", ok=True, detail="7.4", latency_ms=0.3),
                PartHealth(name="feed", ok=False, detail="<no frame> for 60 s"),
            ),
            counters={f"counter_{n}_with_a_long_name": 10**n for n in range(60)},
            latency_count=100,
            latency_p50_ms=12.3,
            latency_p99_ms=18_100.0,
            uptime_s=7_200.0,
        )


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Bot(
    StartMixin,
    UserSettingsMixin,
    PausingMixin,
    DeliveryMixin,
    MutingMixin,
    RulesMixin,
    SharingMixin,
    PaymentsMixin,
    BuyingMixin,
    HelpMixin,
    AdminHealthMixin,
    AdminUsersMixin,
    AdminPresetsMixin,
):
    def __init__(self, services: Services) -> None:
        self.services = services


@pytest.fixture
def channels() -> KnownChannels:
    return KnownChannels()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def conversation() -> RecordedConversation:
    return RecordedConversation()


@pytest.fixture
def journal(redis_manager: RedisManager, postgres_manager: PostgresManager) -> Journal:
    return Journal(redis_manager, postgres_manager)


@pytest.fixture
def matcher() -> Matcher:
    return Matcher()


@pytest.fixture
def services(
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
    journal: Journal,
    matcher: Matcher,
    channels: KnownChannels,
    clock: Clock,
    conversation: RecordedConversation,
) -> Services:
    presets = PresetsService(PRESETS, store=PresetsStore(redis_manager, postgres_manager, journal), clock=clock)
    cache = SmartCache[int, Subscriber | None].of("settings")
    users = SubscriberServices.on(
        store=SubscribersStore(redis_manager, postgres_manager, journal, cache),
        matcher=matcher,
        presets=presets,
        plans=PLANS,
        history=SubscriberHistory(postgres_manager),
        sharing=SharingService(redis=redis_manager, postgres=postgres_manager, journal=journal, clock=clock),
        clock=clock,
    )
    entitling = entitling_on(redis_manager, postgres_manager, journal, users, PLANS, clock)
    return services_of(
        **fields_of(users),
        subscriptions=SubscriptionsService(PLANS, clock=clock),
        entitling=entitling,
        bot_username=lambda: BOT_USERNAME,
        channels=channels,
        monitor=Monitoring(),
        inputs=InputsService(redis_manager),
        policy=PolicyService(redis_manager, PLANS),
        held=held_calls_on(redis_manager, postgres_manager),
        watches=WatchesService(postgres_manager, plans=PLANS, tokens=Nobody(), clock=clock),
        telegram=conversation,
        texts=Texts.load(),
        admin_chat_ids=frozenset({ADMIN_ID}),
        clock=clock,
    )


@pytest.fixture
async def app(services: Services) -> AsyncIterator[AnyApplication]:
    app = application()
    Dispatcher(Bot(services)).install(app)
    async with app:
        yield app


@pytest.fixture
def ann(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation)


@pytest.fixture
def ben(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation, BEN_ID)


@pytest.fixture
def admin(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation, ADMIN_ID)
