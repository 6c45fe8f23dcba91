"""The mixins as one bot: somebody taps and writes, the bot answers, and the subscriber's document says the same."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from domain.calls import Channel, ChannelRecord
from domain.filters import FIELDS, Range
from domain.matching import Matcher
from domain.plans import load_plans
from domain.presets import load_presets
from domain.subscribers import Subscriber
from handlers import callbacks
from handlers.admin.health import AdminHealthMixin
from handlers.admin.users import AdminUsersMixin
from handlers.base import Services
from handlers.dispatch import Dispatcher
from handlers.help import HelpMixin
from handlers.payments import PaymentsMixin
from handlers.settings import UserSettingsMixin
from handlers.start import StartMixin
from services.inputs import Expected
from services.monitoring import HealthReport, PartHealth
from services.presets import PresetsService
from services.subscriptions import SubscriptionsService
from services.users import UsersService
from tests.handlers.telegram_wire import (
    ADMIN_ID,
    USER_ID,
    AnyApplication,
    Person,
    RecordedConversation,
    Said,
    application,
)
from tests.texts.telegram_html import assert_sendable, shown, units
from texts import Texts

CONFIG = Path(__file__).parents[2] / "config"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRESETS = load_presets((CONFIG / "presets.toml").read_text(encoding="utf-8"))
PLANS = load_plans((CONFIG / "plans.toml").read_text(encoding="utf-8"))

TRIAL = next(plan for plan in PLANS if plan.key == "trial")


class SubscribersInMemory:
    def __init__(self) -> None:
        self.saved: dict[int, Subscriber] = {}

    async def find(self, user_id: int) -> Subscriber | None:
        return self.saved.get(user_id)

    async def save(self, subscriber: Subscriber) -> None:
        self.saved[subscriber.user_id] = subscriber


class QuestionsInMemory:
    def __init__(self) -> None:
        self.open: dict[int, Expected] = {}

    async def expect(self, user_id: int, kind: str, payload: str) -> None:
        self.open[user_id] = Expected(kind, payload)

    async def take(self, user_id: int) -> Expected | None:
        return self.open.get(user_id)

    async def cancel(self, user_id: int) -> None:
        self.open.pop(user_id, None)


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
            latency_p50_ms=12.3,
            latency_p99_ms=18_100.0,
            uptime_s=7_200.0,
        )


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Bot(StartMixin, UserSettingsMixin, PaymentsMixin, HelpMixin, AdminHealthMixin, AdminUsersMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


@pytest.fixture
def store() -> SubscribersInMemory:
    return SubscribersInMemory()


@pytest.fixture
def questions() -> QuestionsInMemory:
    return QuestionsInMemory()


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
async def app(
    store: SubscribersInMemory,
    questions: QuestionsInMemory,
    channels: KnownChannels,
    clock: Clock,
    conversation: RecordedConversation,
) -> AsyncIterator[AnyApplication]:
    subscriptions = SubscriptionsService(PLANS, clock=clock)
    presets = PresetsService(PRESETS)
    services = Services(
        users=UsersService(
            store=cast("Any", store), matcher=Matcher(), presets=presets, subscriptions=subscriptions, clock=clock
        ),
        subscriptions=subscriptions,
        presets=presets,
        channels=cast("Any", channels),
        monitoring=cast("Any", Monitoring()),
        inputs=cast("Any", questions),
        telegram=conversation,
        texts=Texts.load(),
        admin_chat_ids=frozenset({ADMIN_ID}),
        clock=clock,
    )
    app = application()
    Dispatcher(Bot(services)).install(app)
    async with app:
        yield app


@pytest.fixture
def ann(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation)


@pytest.fixture
def admin(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation, ADMIN_ID)


def only(said: list[Said], how: str) -> Said:
    """Return the one message of this kind, having looked at it with Telegram's eyes."""
    (one,) = [one for one in said if one.how == how]
    assert one.text
    assert_sendable(one.text)
    assert all(len(data.encode()) <= 64 for data in one.buttons.values() if data)
    assert all(0 < units(label) <= 64 for label in one.buttons)
    return one


def words(said: list[Said], how: str = "sent") -> str:
    return shown(only(said, how).text or "")


def button(said: list[Said], label: str) -> str:
    """Data of the one button whose label begins so."""
    (data,) = [data for one in said for text, data in one.buttons.items() if text.startswith(label) and data]
    return data


async def test_a_new_user_picks_a_preset(ann: Person, store: SubscribersInMemory) -> None:
    greeting = await ann.writes("/start ref_1")
    assert "Hi Ann <b>!" in words(greeting)
    assert f"Days left of your free trial: {TRIAL.days}" in words(greeting)
    picks = [data for data in only(greeting, "sent").buttons.values() if data and data.startswith("preset:")]
    assert picks == [f"preset:{preset.key}" for preset in PRESETS]

    menu = await ann.taps(picks[0])
    assert "Alerts are on" in words(menu, "edited")
    assert [one.how for one in menu] == ["edited", "answered"]
    assert store.saved[USER_ID].filter_sets[0].ranges == PRESETS[0].ranges
    assert "Welcome back" in words(await ann.writes("/start"))


async def test_a_rule_is_typed(ann: Person, store: SubscribersInMemory, questions: QuestionsInMemory) -> None:
    await ann.writes("/start")
    menu = await ann.writes("/settings")
    assert "no filter yet" in words(menu)
    prompt = await ann.taps(button(menu, "Market cap: any"))
    assert "for example 20k - 2M" in words(prompt, "edited")

    refused = await ann.writes("20k until <b>the moon</b>")
    assert "Market cap stays at any" in words(refused)
    assert store.saved[USER_ID].filter_sets == ()

    saved = await ann.writes("20k - 2M")
    assert "Market cap: $20k – $2M" in words(saved)
    assert store.saved[USER_ID].filter_sets[0].ranges == {"market_cap_usd": Range(20_000.0, 2_000_000.0)}
    assert questions.open == {}
    assert "did not ask" in words(await ann.writes("30k"))

    prompt = await ann.taps(button(saved, "Market cap: $20k"))
    cleared = await ann.taps(button(prompt, "Any"))
    assert "Market cap: any" in words(cleared, "edited")
    assert "you get every call" in words(cleared, "edited")
    assert store.saved[USER_ID].filter_sets[0].ranges == {}
    assert questions.open == {}


@pytest.mark.parametrize("field", FIELDS, ids=[field.key for field in FIELDS])
@pytest.mark.parametrize("typed", ["-1", "abc", "NaN", "Infinity", "1e999", "<b>@x", "9" * 400, "\u202e", "2 - 1"])
async def test_nonsense_changes_no_rule(
    ann: Person, store: SubscribersInMemory, field: Any, typed: str, questions: QuestionsInMemory
) -> None:
    await ann.writes("/start")
    await ann.taps(callbacks.ShowField(1, field.key).pack())
    before = store.saved[USER_ID].filter_sets
    answer = words(await ann.writes(typed))
    if questions.open:
        assert "stays at any" in answer
        assert store.saved[USER_ID].filter_sets == before


async def test_back_withdraws_the_question(ann: Person, questions: QuestionsInMemory) -> None:
    await ann.writes("/start")
    prompt = await ann.taps(callbacks.ShowField(1, "holders").pack())
    assert questions.open
    assert "Your filter" in words(await ann.taps(button(prompt, "‹ Back")), "edited")
    assert questions.open == {}


async def test_cancel(ann: Person, questions: QuestionsInMemory) -> None:
    await ann.writes("/start")
    await ann.taps(callbacks.ShowField(1, "holders").pack())
    assert "not waiting for an answer" in words(await ann.writes("/cancel"))
    assert questions.open == {}


async def test_channels_are_chosen_page_by_page(
    ann: Person, store: SubscribersInMemory, channels: KnownChannels
) -> None:
    records = [ChannelRecord(calls=10, win_rate_percent=40.0 + n, average_multiple=3.1) for n in range(20)]
    channels.channels = [Channel(id=f"@{n}", title=f"Ch {n}", record=record) for n, record in enumerate(records)]
    channels.channels[1] = Channel(id="x" * 300)
    await ann.writes("/start")
    page = await ann.taps(callbacks.ShowChannels(1, 0).pack())
    assert "all channels" in words(page, "edited")
    assert next(iter(only(page, "edited").buttons)) == "Ch 19 · 59% · 3.1x"
    page = await ann.taps(button(page, "Next"))
    before = [label.removeprefix("✅ ") for label in only(page, "edited").buttons]
    page = await ann.taps(button(page, "Ch 9 "))
    assert [label.removeprefix("✅ ") for label in only(page, "edited").buttons][: len(before) - 1] == before[:-1]
    page = await ann.taps(button(page, "Next"))
    page = await ann.taps(button(page, "x" * 20))
    assert f"2 of the channels: Ch 9, {'x' * 31}…" in words(page, "edited")
    assert store.saved[USER_ID].filter_sets[0].channels == {"@9", "x" * 300}

    channels.channels = []
    page = await ann.taps(callbacks.ShowChannels(1, 99).pack())
    page = await ann.taps(button(page, "✅ @\u20609"))
    assert store.saved[USER_ID].filter_sets[0].channels == {"x" * 300}
    toast = await ann.taps(button(page, "Listen to all"))
    assert [one.text for one in toast if one.how == "answered"] == ["Listening to all channels"]
    assert store.saved[USER_ID].filter_sets[0].channels == frozenset()
    assert "No channel has called" in words(await ann.taps(callbacks.ShowChannels(1, 0).pack()), "edited")


async def test_a_forged_channel_is_refused(ann: Person) -> None:
    await ann.writes("/start")
    said = await ann.taps(callbacks.ToggleChannel(1, 0, "feedfeedfeedfeed").pack())
    assert [one.how for one in said] == ["alerted"]


@pytest.mark.parametrize(
    "data", ["preset:nothing", "field:1:nothing", "any:1:nothing", "field:7:holders", "enable:99:1", "any:0:holders"]
)
async def test_forged_buttons_break_nothing(ann: Person, store: SubscribersInMemory, data: str) -> None:
    await ann.writes("/start")
    before = store.saved[USER_ID]
    said = await ann.taps(data)
    assert [one.how for one in said][-1] in {"alerted", "answered"}
    assert store.saved[USER_ID] == before


async def test_filter_and_alerts_are_switched(ann: Person, store: SubscribersInMemory) -> None:
    await ann.writes("/start")
    menu = await ann.taps(callbacks.ApplyPreset(PRESETS[0].key).pack())
    menu = await ann.taps(button(menu, "Turn filter off"))
    assert "Your filter is off" in words(menu, "edited")
    menu = await ann.taps(button(menu, "Turn filter on"))
    assert "Alerts are on" in words(menu, "edited")
    menu = await ann.taps(button(menu, "⏸ Pause"))
    assert "Paused" in words(menu, "edited")
    assert store.saved[USER_ID].paused
    assert "Alerts come again" in words(await ann.writes("/resume"))
    assert "Paused" in words(await ann.writes("/pause"))
    assert store.saved[USER_ID].paused


async def test_status_and_plans(ann: Person, clock: Clock) -> None:
    await ann.writes("/start")
    assert "none yet" in words(await ann.writes("/status"))
    await ann.taps(callbacks.ApplyPreset(PRESETS[0].key).pack())
    status = words(await ann.writes("/status"))
    assert f"Days left: {TRIAL.days}" in status
    assert "• Channels: all" in status
    plans = words(await ann.writes("/plan"))
    assert all(f"for {plan.days} days" in plans for plan in PLANS if plan.key != "trial")
    clock.now += timedelta(days=400)
    assert "plan has ended" in words(await ann.writes("/status"))


async def test_strangers_are_asked_to_start(ann: Person) -> None:
    for command in ("/settings", "/status", "/plan", "/pause", "/resume"):
        assert "Send /start first" in words(await ann.writes(command))
    assert "Send /start first" in (await ann.taps("settings:1"))[-1].text.__str__()


async def test_help_lists_what_the_asker_may_use(ann: Person, admin: Person) -> None:
    assert "/health" not in words(await ann.writes("/help"))
    assert "/health" in words(await admin.writes("/help"))
    assert "/help" in words(await ann.writes("/nothing"))


async def test_a_person_who_blocks_the_bot_is_not_written_to(ann: Person, store: SubscribersInMemory) -> None:
    assert await ann.changes_membership("kicked") == []
    await ann.writes("/start")
    await ann.changes_membership("kicked")
    assert store.saved[USER_ID].unreachable
    await ann.changes_membership("member")
    assert not store.saved[USER_ID].unreachable


async def test_admins_see_health(admin: Person) -> None:
    report = await admin.writes("/health")
    assert "🟢 redis 0.3 ms 7.4" in words(report)
    assert "🔴 feed <no frame> for 60 s" in words(report)
    assert "p50 12 ms · p99 18.1 s" in words(report)
    assert re.search(r"^counter 3 with a long name +1,000$", words(report), re.MULTILINE)
    assert "🔴 feed" in words(await admin.taps(button(report, "↻")), "edited")


async def test_admins_page_through_users(
    app: AnyApplication, admin: Person, conversation: RecordedConversation
) -> None:
    for user_id in range(1_000, 1_025):
        await Person(app, conversation, user_id).writes("/start")
    page = await admin.writes("/users")
    assert "Users: 25" in words(page)
    assert "1000" in words(page)
    page = await admin.taps(button(page, "Next"))
    page = await admin.taps(button(page, "Next"))
    assert "1024" in words(page, "edited")
    assert "1024" in words(await admin.taps(callbacks.ShowUsers(10**9).pack()), "edited")
