"""What admins are told by itself: once when it begins, once when it ends, whatever Telegram does meanwhile.

Hours of it pass in milliseconds; the limiter is the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from domain.delivery.messages import Message
from handlers.admin.health import AdminHealthMixin
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from managers.feed.websocket import FeedHealth
from managers.redis.client import RedisManager
from managers.telegram.client import TelegramManager
from managers.telegram.rate_limiter import Lane, Slot, TelegramRateLimiter
from runtime.cancellation import end
from runtime.errors import (
    ChatMigratedError,
    DeliveryError,
    FloodError,
    MessageRefusedError,
    NotSentError,
    OutcomeUnknownError,
    RecipientGoneError,
)
from sandbox.telegram.server import TelegramSandbox
from services.cluster.members import Member
from services.monitoring.alarm_state import MAX_REPORTS_PER_HOUR, SETTLED_AFTER_S
from services.monitoring.alarms import ActiveAlarm, AlarmsService
from services.monitoring.conditions import (
    Condition,
    DeadLettersGrew,
    because,
    clocks_wrong,
    feed_away,
    feed_silent,
    flagged,
    in_words,
    journal_behind,
    nobody_answered,
    queue_filling,
    updates_waiting,
)
from services.monitoring.health import MonitoringService
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.stores.journal import JournalLag
from services.subscribers.inputs import InputsService
from tests.conversation.conftest import NOW
from tests.conversation.reading import words
from tests.conversation.telegram_wire import ADMIN_ID, Person, RecordedConversation, application
from tests.conversation.wiring import services_of
from tests.telegram.virtual_time import run, virtual_clock
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_harmless, assert_sendable, shown
from texts import Texts

ANN, BEN = 456, 457
TEXTS = Texts.load()
HOUR_S = 3600


class Scene:
    """Alarms over conditions that a test sets, to chats that fail as it says."""

    def __init__(self, *names: str, after_s: float = 5.0, chats: tuple[int, ...] = (ANN,)) -> None:
        self.wrong: dict[str, str] = {}
        self.said: list[tuple[float, int, str]] = []
        """When, to whom and what."""
        self.attempts = 0
        self.lanes: set[Lane] = set()
        self.fail: Callable[[int], DeliveryError | None] = lambda _chat_id: None
        self.looks = 0
        self._limiter = TelegramRateLimiter(clock=virtual_clock)
        self.alarms = AlarmsService(messenger=self, chat_ids=chats, texts=Texts.load(), clock=virtual_clock)
        for name in names:
            self.alarms.watch(name, lambda name=name: self.wrong.get(name), after_s=after_s)

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]:
        self.lanes.add(lane)
        return self._limiter.slot(chat_id, lane)

    async def send(self, message: Message, *, chat_id: int, slot: Slot) -> None:
        assert slot.chat_id == chat_id
        self.attempts += 1
        slot.sent_at = slot.answered_at = virtual_clock()
        if error := self.fail(chat_id):
            raise error
        assert_sendable(message.html)
        self.said.append((virtual_clock(), chat_id, message.html))

    def texts(self, chat_id: int = ANN) -> list[str]:
        return [shown(html) for _, whom, html in self.said if whom == chat_id]

    def note_look(self) -> None:
        self.looks += 1

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        job = asyncio.create_task(self.alarms.run(self.note_look))
        try:
            yield
        finally:
            await end([job])
            await self._limiter.shutdown()

    async def is_wrong(self, name: str, for_s: float, reason: str = "so it is") -> None:
        self.wrong[name] = reason
        await asyncio.sleep(for_s)
        del self.wrong[name]


def play(scene: Scene, story: Callable[[], Coroutine[None, None, None]]) -> None:
    async def staged() -> None:
        async with scene.running():
            await story()

    run(staged())


def test_every_admin_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    scene = Scene("redis", chats=(ANN, BEN))

    async def story() -> None:
        await asyncio.sleep(10)
        await scene.is_wrong("redis", 300, "does not answer")
        await asyncio.sleep(HOUR_S)

    play(scene, story)
    for chat_id in (ANN, BEN):
        began, ended = scene.texts(chat_id)
        assert began.startswith("🔴 redis does not answer · for ")
        assert ended == "🟢 redis is over after 5m. It was: does not answer"
    assert scene.lanes == {Lane.REPORT}
    assert scene.attempts == 4


def test_what_lasts_a_moment_is_not_worth_a_word() -> None:
    scene = Scene("redis", after_s=5)

    async def story() -> None:
        for _ in range(20):
            await scene.is_wrong("redis", 3)
            await asyncio.sleep(3)

    play(scene, story)
    assert scene.said == []


def test_what_flickers_is_one_alarm() -> None:
    scene = Scene("queue", after_s=5)

    async def story() -> None:
        await scene.is_wrong("queue", 20)
        for _ in range(60):
            await asyncio.sleep(2)
            await scene.is_wrong("queue", 2)
        await asyncio.sleep(60)

    play(scene, story)
    assert [text[0] for text in scene.texts()] == ["🔴", "🟢"]


def test_a_condition_that_comes_and_goes_floods_nobody_and_nothing_of_it_is_lost() -> None:
    scene = Scene("feed", "postgresql")

    async def story() -> None:
        for _ in range(80):
            await scene.is_wrong("feed", 20)
            await asyncio.sleep(20)
        await asyncio.sleep(1)
        scene.wrong["feed"] = "for good"
        # The noise of one alarm keeps no other from being heard.
        scene.wrong["postgresql"] = "gone"
        await asyncio.sleep(20)
        assert "🔴 postgresql gone" in scene.texts()[-1]
        await asyncio.sleep(HOUR_S)

    play(scene, story)
    times = [at for at, _, html in scene.said if "feed" in html]
    assert all(later - at >= HOUR_S for at, later in zip(times, times[MAX_REPORTS_PER_HOUR:], strict=False))
    last = next(text for text in reversed(scene.texts()) if "feed" in text)
    assert last.startswith("🔴 feed for good")
    assert "times since my last message" in last


def test_what_happened_while_telegram_was_away_is_told_when_it_is_back() -> None:
    scene = Scene("redis", "feed")
    scene.fail = lambda _: NotSentError("connection refused")

    async def story() -> None:
        await scene.is_wrong("redis", 240)
        scene.wrong["feed"] = "silent"
        await asyncio.sleep(600)
        assert scene.said == []
        scene.fail = lambda _: None
        await asyncio.sleep(120)

    with capture_logs() as logs:
        play(scene, story)
    [text] = scene.texts()
    over, standing = text.splitlines()
    assert over.startswith("🟢 redis is over after 4m")
    assert standing.startswith("🔴 feed silent · for 1")
    # It is tried again, with patience, and the log alone is told.
    refused = [entry for entry in logs if entry["event"] == "alarm_not_reported"]
    assert 10 <= len(refused) <= 40


def test_two_outages_that_nobody_heard_of_are_counted() -> None:
    scene = Scene("redis")
    scene.fail = lambda _: OutcomeUnknownError("bad gateway")

    async def story() -> None:
        for _ in range(2):
            await scene.is_wrong("redis", 30)
            await asyncio.sleep(30)
        scene.fail = lambda _: None
        await asyncio.sleep(120)

    play(scene, story)
    [text] = scene.texts()
    assert text == "🟢 redis is over after 30s. It was: so it is · 2 times since my last message"


@pytest.mark.parametrize("refusal", [RecipientGoneError("blocked"), MessageRefusedError("no"), FloodError(900)])
def test_a_chat_that_takes_nothing_holds_up_neither_the_others_nor_the_looking(refusal: DeliveryError) -> None:
    scene = Scene("redis", chats=(ANN, BEN))
    scene.fail = lambda chat_id: refusal if chat_id == ANN else None

    async def story() -> None:
        scene.wrong["redis"] = "gone"
        await asyncio.sleep(500)
        assert len(scene.texts(BEN)) == 1
        assert scene.attempts <= 10
        scene.fail = lambda _: None
        await asyncio.sleep(600)

    play(scene, story)
    assert [len(scene.texts(chat_id)) for chat_id in (ANN, BEN)] == [1, 1]
    assert scene.looks >= 1_000


def test_what_is_left_is_told_at_once_when_an_admin_writes_for_the_first_time() -> None:
    scene = Scene("redis", "feed", chats=(ANN, BEN))
    scene.fail = lambda _: MessageRefusedError("chat not found")

    async def story() -> None:
        scene.wrong["feed"] = "silent"
        await scene.is_wrong("redis", 65)
        await asyncio.sleep(15)
        scene.fail = lambda chat_id: MessageRefusedError("chat not found") if chat_id == BEN else None
        scene.alarms.admin_wrote(ANN)
        await asyncio.sleep(2)
        assert [text.splitlines()[0][:4] for text in scene.texts(ANN)] == ["🟢 re"]
        assert "🔴 feed" in scene.texts(ANN)[0]
        assert scene.texts(BEN) == []

    play(scene, story)


def test_somebody_who_writes_does_not_make_the_bot_ask_before_telegram_allows_it() -> None:
    scene = Scene("redis")
    scene.fail = lambda _: FloodError(900)

    async def story() -> None:
        scene.wrong["redis"] = "gone"
        await asyncio.sleep(30)
        scene.alarms.admin_wrote(ANN)
        await asyncio.sleep(30)

    play(scene, story)
    assert scene.attempts == 1


@pytest.mark.parametrize("switches", range(1, 9))
def test_the_last_word_is_how_it_stands(switches: int) -> None:
    scene = Scene("calls are held")

    async def story() -> None:
        for _ in range(switches):
            await scene.is_wrong("calls are held", 30)
            await asyncio.sleep(20)
            signs = [text[0] for text in scene.texts()]
            assert signs[-1] == "🟢"
        scene.wrong["calls are held"] = "held for long"
        await asyncio.sleep(SETTLED_AFTER_S + 20)
        assert scene.texts()[-1].startswith("🔴 calls are held held for long")
        scene.wrong.clear()
        await asyncio.sleep(20)
        assert scene.texts()[-1].startswith("🟢")

    play(scene, story)
    assert len(scene.said) <= MAX_REPORTS_PER_HOUR + 2


def test_a_chat_that_moved_is_followed() -> None:
    scene = Scene("redis")
    scene.fail = lambda chat_id: ChatMigratedError(BEN) if chat_id == ANN else None

    async def story() -> None:
        await scene.is_wrong("redis", 60)
        await asyncio.sleep(60)

    play(scene, story)
    assert [text[0] for text in scene.texts(BEN)] == ["🔴", "🟢"]


def test_everything_at_once_fits_a_message() -> None:
    names = [f"part {number:02}" for number in range(15)]
    scene = Scene(*names)

    async def story() -> None:
        scene.wrong.update(dict.fromkeys(names, "W" * 500))
        await asyncio.sleep(60)

    play(scene, story)
    assert sum(text.count("🔴") for text in scene.texts()) == 15
    assert len(scene.said) == 2


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_server_said_is_harmless(hostile: str) -> None:
    scene = Scene("redis")

    async def story() -> None:
        await scene.is_wrong("redis", 60, hostile)
        await asyncio.sleep(60)

    play(scene, story)
    assert len(scene.said) == 2
    for _, _, html in scene.said:
        assert_harmless(html)


def test_a_name_is_watched_once() -> None:
    with pytest.raises(ValueError, match="watched already"):
        Scene("redis", "redis")


def test_alarms_stand_in_health() -> None:
    scene = Scene("redis", "feed")
    monitoring = MonitoringService(metrics=Metrics(), clock=lambda: NOW, alarms=scene.alarms.active)

    async def story() -> None:
        assert (await monitoring.health()).alarms == ()
        scene.wrong["feed"] = "silent"
        await asyncio.sleep(30)
        scene.wrong["redis"] = "gone"
        await asyncio.sleep(30)
        feed, redis = (await monitoring.health_document())["alarms"]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] - a document
        assert (feed["name"], feed["reason"], redis["name"]) == ("feed", "silent", "redis")
        assert 55 <= feed["for_s"] <= 60
        scene.wrong.clear()
        await asyncio.sleep(30)
        assert (await monitoring.health()).alarms == ()

    play(scene, story)


class HealthBot(AdminHealthMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


async def test_admins_see_alarms_in_health(redis_manager: RedisManager, conversation: RecordedConversation) -> None:
    standing = [ActiveAlarm(name="token queue", reason="<b>9,000<b> of 10,000", for_s=75)]
    services = services_of(
        monitor=MonitoringService(metrics=Metrics(), clock=lambda: NOW, alarms=lambda: standing),
        inputs=InputsService(redis_manager),
        telegram=conversation,
        texts=Texts.load(),
        admin_chat_ids=frozenset({ADMIN_ID}),
    )
    app = application()
    Dispatcher(HealthBot(services)).install(app)
    async with app:
        admin = Person(app, conversation, ADMIN_ID)
        assert "🔔 token queue <b>9,000<b> of 10,000 · for 1m 15s" in words(await admin.writes("/health"))
        standing.clear()
        assert "No alarm" in words(await admin.writes("/health"))


async def test_whatever_an_admin_sends_says_that_their_chat_takes_messages(
    redis_manager: RedisManager, conversation: RecordedConversation
) -> None:
    wrote: list[int] = []
    services = services_of(
        monitor=MonitoringService(metrics=Metrics(), clock=lambda: NOW),
        inputs=InputsService(redis_manager),
        telegram=conversation,
        texts=Texts.load(),
        admin_chat_ids=frozenset({ADMIN_ID}),
        admin_wrote=wrote.append,
    )
    app = application()
    Dispatcher(HealthBot(services)).install(app)
    async with app:
        await Person(app, conversation, ADMIN_ID + 1).writes("/health")
        assert wrote == []
        for said in ("/health", "/start", "hello"):
            await Person(app, conversation, ADMIN_ID).writes(said)
    assert wrote == [ADMIN_ID] * 3


async def test_it_arrives_in_the_chat_of_an_admin() -> None:
    async with TelegramSandbox() as sandbox:
        admin = sandbox.user("Ann")
        await admin.send("/start")
        limiter = TelegramRateLimiter()
        async with TelegramManager(token=sandbox.token, api_base=sandbox.url, limiter=limiter) as telegram:
            alarms = AlarmsService(messenger=telegram, chat_ids=[admin.id], texts=Texts.load())
            alarms.watch("redis", lambda: "does <b>not</b> answer", after_s=0)
            job = asyncio.create_task(alarms.run(lambda: None))
            received = await admin.next_message()
            await end([job])
    assert received["text"].startswith("🔴 redis does <b>not<")
    assert [alarm.name for alarm in alarms.active()] == ["redis"]


def said(condition: Condition) -> str | None:
    """What an admin would read of it now."""
    reasons = condition()
    return None if reasons is None else in_words(reasons, TEXTS)


def test_a_queue_is_filling_from_80_percent_on() -> None:
    sizes = iter([0, 7_999, 8_000, 10_000])
    condition = queue_filling(lambda: next(sizes), 10_000)
    assert [said(condition) for _ in range(4)] == [
        None,
        None,
        "8,000 of 10,000 places are taken",
        "10,000 of 10,000 places are taken",
    ]


def test_a_journal_is_behind_when_its_oldest_entry_is_old() -> None:
    lags = iter([None, JournalLag(entries=9_000, age_s=60), JournalLag(entries=3, age_s=61)])
    condition = journal_behind(lambda: next(lags))
    assert [said(condition) for _ in range(3)] == [None, None, "3 entries wait, the oldest for 61 s"]


@pytest.mark.parametrize(
    ("connected", "age_s", "stale", "silent", "away"),
    [
        (True, 1.0, False, None, None),
        (True, 61.0, True, "pump has sent nothing for 61 s, longer than it may be silent", None),
        (True, None, True, "pump is connected but has sent nothing yet", None),
        (False, 5.0, False, None, "pump is not connected: refused"),
        (
            False,
            61.0,
            True,
            "pump has sent nothing for 61 s, longer than it may be silent",
            "pump is not connected: refused",
        ),
        (False, None, True, None, "pump is not connected: refused"),
    ],
)
def test_a_feed_is_silent_or_away(
    *, connected: bool, age_s: float | None, stale: bool, silent: str | None, away: str | None
) -> None:
    health = FeedHealth(source="pump", connected=connected, data_age_s=age_s, stale=stale, last_problem="refused")
    assert said(feed_silent(lambda: health)) == silent
    assert said(feed_away(lambda: health)) == away


def test_nobody_is_answered_when_any_part_says_so() -> None:
    problems: list[str | None] = [None, None]
    condition = nobody_answered(lambda: problems[0], lambda: problems[1])
    assert condition() is None
    problems[1] = "answers do not arrive"
    assert condition() == "answers do not arrive"
    problems[0] = "somebody else polls"
    assert condition() == "somebody else polls"


def test_updates_that_wait_too_long_are_an_alarm() -> None:
    ages = iter([0.0, 60.0, 61.0])
    condition = updates_waiting(lambda: next(ages), lambda: 1_234)
    assert [said(condition) for _ in range(3)] == [None, None, "1,234 wait, the oldest for 61 s"]


def test_what_is_flagged_is_an_alarm() -> None:
    reason = because("alarm.without_redis")
    assert said(flagged(lambda: True, reason)) == "working without Redis, from the local store"
    assert said(flagged(lambda: False, reason)) is None


def test_every_clock_that_is_wrong_is_named() -> None:
    own: list[float | None] = [None]
    others = [Member(owner="ada", instance="1", roles=("send",), protocol=1, started_at=NOW)]
    condition = clocks_wrong(lambda: own[0], lambda: others)
    assert said(condition) is None
    own[0] = 3_600.4
    others.append(replace(others[0], owner="ben", clock_wrong_by_s=-90.0))
    assert said(condition) == (
        "this machine's clock is 3,600 s ahead (corrected; please set it); "
        "the clock of ben is 90 s behind (corrected; please set it)"
    )


async def test_dead_letters_that_come_together_are_an_alarm_for_ten_minutes() -> None:
    now, counts = 0.0, [100]

    async def count() -> int:
        return counts[-1]

    reading = Reading(count)
    grew = DeadLettersGrew(reading, clock=lambda: now)
    assert grew() is None  # not asked yet

    async def looked(number: int) -> str | None:
        counts.append(number)
        await reading.refresh()
        return said(grew)

    # What lay there before the start came at another time.
    assert [await looked(number) for number in (100, 104)] == [None, None]
    assert await looked(105) == "5 in the last 10 minutes, 105 in all: see /dead_letters"
    # Sending letters again does not undo that they came.
    assert await looked(0) == "5 in the last 10 minutes, 0 in all: see /dead_letters"
    now = 601.0
    assert grew() is None


def test_an_alarm_without_chats_stands_all_the_same() -> None:
    scene = Scene("redis", chats=())

    async def story() -> None:
        scene.wrong["redis"] = "gone"
        await asyncio.sleep(30)
        [alarm] = scene.alarms.active()
        assert alarm == ActiveAlarm(name="redis", reason="gone", for_s=alarm.for_s)

    play(scene, story)
    assert scene.said == []


def test_who_becomes_an_admin_hears_of_what_stands_and_who_is_none_any_more_of_nothing() -> None:
    scene, added = Scene("redis", "feed"), set[int]()
    scene.alarms = AlarmsService(
        messenger=scene, chat_ids=(ANN,), texts=Texts.load(), clock=virtual_clock, added=lambda: added
    )
    for name in ("redis", "feed"):
        scene.alarms.watch(name, lambda name=name: scene.wrong.get(name), after_s=5.0)

    async def story() -> None:
        await scene.is_wrong("redis", 60)
        await asyncio.sleep(60)
        scene.wrong["feed"] = "silent"
        await asyncio.sleep(60)
        added.add(BEN)
        await asyncio.sleep(30)
        assert [text[:6] for text in scene.texts(BEN)] == ["🔴 feed"]
        added.clear()
        await asyncio.sleep(5)
        scene.wrong.clear()
        await asyncio.sleep(60)
        added.add(BEN)
        await asyncio.sleep(60)

    play(scene, story)
    assert len(scene.texts(BEN)) == 1
    assert [text[:2] for text in scene.texts(ANN)] == ["🔴 ", "🟢 ", "🔴 ", "🟢 "]
