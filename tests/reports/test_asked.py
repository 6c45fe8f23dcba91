"""Somebody asks for reports and their pictures, and chooses which come by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from domain.buttons.data import CallbackData
from domain.buttons.reports import (
    SetLight,
    SetReport,
    ShareCall,
    ShowCallChart,
    ShowReport,
    ShowReportPicture,
    ShowReports,
    ShowSharedPicture,
)
from domain.delivery.messages import Message
from domain.reports.pictures import Distribution, Equity, PriceSince, Ranking, ShareCard
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from handlers.reports.reports import ReportsMixin
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from services.delivery.media import MediaFiles
from services.reports.drawing import Drawing
from services.reports.figures import ReportFigures
from services.reports.group import ReportServices
from services.reports.pictures import PictureWords
from services.reports.rows import ReportRows
from services.subscribers.inputs import InputsService
from services.tracking.records.channel_info import ChannelInfo
from services.tracking.records.measuring import Measuring
from services.tracking.records.refreshing import RecordsRefresh
from tests.conversation.telegram_wire import USER_ID, AnyApplication, Person, RecordedConversation, application
from tests.conversation.wiring import fields_of, services_of
from tests.delivery.kit import Clock, Matcher, subscribers_store, users_service
from tests.reports.kit import EVENING, PRESET, FakePng, Shelf
from tests.texts.telegram_html import assert_sendable, shown
from texts import Texts

END = int(EVENING.timestamp())


class Bot(ReportsMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


class Chat:
    def __init__(self, redis: RedisManager, postgres: PostgresManager, app: AnyApplication) -> None:
        self.clock, self.conversation, self.pictures = Clock(), RecordedConversation(), FakePng()
        self.clock.now = EVENING
        self.shelf = Shelf(postgres)
        self.store = subscribers_store(redis)
        self.users = users_service(redis, self.store, self.clock, Matcher())
        files = MediaFiles(redis, SmartCache[str, str | None].of("media"))
        services = services_of(
            **fields_of(self.users),
            inputs=InputsService(redis),
            telegram=self.conversation,
            texts=Texts.load(),
            admin_chat_ids=frozenset[int](),
            clock=self.clock,
            reports=ReportServices(
                figures=ReportFigures(ReportRows(postgres), clock=self.clock, presets=lambda: [(PRESET, PRESET)]),
                drawing=Drawing(self.pictures, PictureWords(lambda: "filter_bot"), files),
            ),
        )
        Dispatcher(Bot(services)).install(app)
        self.person = Person(app, self.conversation)

    async def taps(self, data: CallbackData) -> Message:
        """Tap a button; returns the message that answers it."""
        [message] = [said.message for said in await self.person.taps(data.pack()) if said.message]
        assert_sendable(message.html)
        return message

    async def writes(self, text: str) -> str:
        [said] = await self.person.writes(text)
        assert_sendable(said.text or "")
        return shown(said.text or "")


@pytest.fixture
async def chat(redis_manager: RedisManager, postgres_manager: PostgresManager) -> AsyncIterator[Chat]:
    async with application() as app:
        chat = Chat(redis_manager, postgres_manager, app)
        await chat.store.save(
            Subscriber(
                user_id=USER_ID, chat_id=USER_ID, name="Ann", created_at=EVENING, paid_until=EVENING + timedelta(days=9)
            )
        )
        yield chat


async def test_a_report_of_a_window_and_what_is_not_known_is_said(chat: Chat) -> None:
    assert "You got no alert in these 24 hours." in await chat.writes("/report")
    await chat.shelf.some(USER_ID, reachable=1.1, after_a_day=0.5)
    await chat.shelf.call(40, USER_ID, at=EVENING - timedelta(days=5), name="<b>Old</b> 🚀")
    day = await chat.writes("/report 24h")
    assert "Tokens: 6 · calls in your alerts and digests: 6" in day
    assert "at best: median 1.1x, against a peak of 2x (of 6 tokens of which it is known)" in day
    week = await chat.writes("/recap")
    assert "Tokens: 7 · calls in your alerts and digests: 7" in week
    assert "Old" in week
    assert "≥ 40x in 40m" in week
    assert await chat.writes("/report 7d") == week
    assert "Too few tokens for a rate" not in week


async def test_what_was_at_its_peak_at_once_is_said_to_be_so(chat: Chat) -> None:
    await chat.shelf.call(1, USER_ID, peaked_after=timedelta())
    said = await chat.writes("/report")
    assert "≥ 1x at once" in said
    assert "0s" not in said


async def test_few_tokens_give_no_rate_and_reposts_count_once(chat: Chat) -> None:
    for _ in range(8):
        await chat.shelf.call(3, USER_ID, token="T" * 44)
    few = await chat.writes("/report")
    assert "Tokens: 1 · calls in your alerts and digests: 8" in few
    assert "Too few tokens for a rate: it takes 5." in few
    assert "%" not in few


async def test_the_other_reports_are_a_tap_away(chat: Chat) -> None:
    for peak in (1, 3, 5, 12, 1, 1):
        await chat.shelf.call(peak)
    for what, begins in (("best", "🏆 Best calls"), ("channels", "📣 Channels"), ("presets", "No preset")):
        assert shown((await chat.taps(ShowReport(what, 1))).html).startswith(begins)
    best = await chat.taps(ShowReport("best", 1))
    assert "Of all tokens tracked in the same time (6), this many reached 2x: 50%." in shown(best.html)


async def test_a_longer_window_has_all_that_a_shorter_one_has(chat: Chat) -> None:
    chat.clock.now = EVENING + timedelta(minutes=47)
    for peak in (2, 3, 5, 12, 40):
        await chat.shelf.call(peak, at=EVENING + timedelta(minutes=31))
    for what in ("best", "channels"):
        reports = [shown((await chat.taps(ShowReport(what, days))).html) for days in (1, 7, 30)]
        told = ["\n".join(report.splitlines()[1:]) for report in reports]
        assert told[0] == told[1] == told[2]
        assert all(f"to {EVENING + timedelta(minutes=45):%d %b, %H:%M}" in report.splitlines()[0] for report in reports)


async def test_what_is_compared_is_of_the_time_that_the_header_names(
    chat: Chat, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    for peak in (1, 3, 5, 12, 1):
        await chat.shelf.call(peak, USER_ID, at=EVENING)
    await chat.shelf.call(7, at=EVENING + timedelta(minutes=6))
    chat.clock.now = now = EVENING + timedelta(minutes=9, seconds=40)
    measuring = Measuring(postgres_manager)
    channels = ChannelInfo(redis_manager)
    await RecordsRefresh(postgres=postgres_manager, measuring=measuring, channels=channels, clock=lambda: now).refresh()
    for what in ("channels", "best"):
        said = shown((await chat.taps(ShowReport(what, 7))).html)
        assert f"7 days to {EVENING + timedelta(minutes=5):%d %b, %H:%M}" in said
        assert "Of all tokens tracked in the same time (5), this many reached 2x: 60%." in said
    mine = await chat.writes("/report 7d")
    assert f"7 days to {EVENING + timedelta(minutes=9):%d %b, %H:%M}" in mine
    assert "all tracked tokens in the same time: 67%" in mine


async def test_pictures_come_when_they_are_asked_for(chat: Chat) -> None:
    await chat.shelf.some(USER_ID, reachable=1.1)
    assert "Read anew at 27 Nov, 20:00" in shown((await chat.taps(ShowReportPicture("spread", 1, END))).html)
    await chat.taps(ShowReportPicture("equity", 1, END))
    await chat.taps(ShowSharedPicture("best", 1, END))
    number = chat.shelf.numbers["c5"]
    assert "T5" in shown((await chat.taps(ShareCall(number))).html)
    await chat.taps(ShowCallChart(number))
    spread, equity, best, share, price = chat.pictures.asked
    assert isinstance(spread, Distribution)
    assert spread.heading.sign == "@filter_bot"
    assert "95%" not in spread.median_label
    median, mean = spread.median_label.removeprefix("median "), spread.mean_label.removeprefix("mean ")
    assert f"median {median}, mean {mean}." in await chat.writes("/report")
    assert isinstance(equity, Equity)
    assert [line.values[-1] for line in equity.lines] == [pytest.approx(0.6)]
    assert equity.heading.note.startswith("Left out: 0 (unknown, or told in a digest). Nobody")
    assert isinstance(best, Ranking)
    assert isinstance(share, ShareCard)
    assert (share.name, share.multiple) == ("T5", "12.4x")
    assert isinstance(price, PriceSince)
    assert list(zip(price.after_s, price.multiples, strict=True))[:2] == [(0.0, 1.0), (120.0, 2.0)]
    assert max(price.multiples) == 12.4


async def test_what_is_missing_is_said_of_the_lines_that_are_drawn(chat: Chat) -> None:
    await chat.shelf.call(2.0, USER_ID, after_a_day=0.5)
    await chat.shelf.call(2.0, USER_ID)
    await chat.taps(ShowReportPicture("equity", 1, END))
    await chat.shelf.call(2.0, USER_ID, reachable=1.5)
    await chat.taps(ShowReportPicture("equity", 1, END))
    held, both = chat.pictures.asked
    assert isinstance(held, Equity)
    assert isinstance(both, Equity)
    assert len(held.lines) == 1
    assert held.heading.note.startswith("Left out, as nothing is known: 1. Fees")
    assert len(both.lines) == 2
    assert both.heading.note.startswith(
        "Left out: 2 of the first line (unknown, or told in a digest), 2 of the second."
    )


async def test_what_came_in_a_digest_could_not_be_had_from_the_first_alert_on(chat: Chat) -> None:
    await chat.shelf.some(USER_ID, reachable=1.1)
    at = EVENING - timedelta(hours=3)
    late = await chat.shelf.call(30.0, reachable=25.0)
    await chat.shelf.alert(late, USER_ID, at + timedelta(minutes=3), "digest")
    await chat.taps(ShowReportPicture("equity", 1, END))
    [equity] = chat.pictures.asked
    assert isinstance(equity, Equity)
    assert [line.values[-1] for line in equity.lines] == [pytest.approx(0.6)]
    assert equity.heading.note.startswith("Left out: 1 (unknown, or told in a digest).")
    said = await chat.writes("/report 24h")
    assert "Tokens: 7 · calls in your alerts and digests: 7" in said
    assert "at best: median 1.1x, against a peak of 2x (of 6 tokens of which it is known)" in said


async def test_reports_are_turned_on_and_off_and_pictures_made_light(chat: Chat) -> None:
    menu = await chat.taps(ShowReports())
    assert [row[0].text[0] for row in menu.keyboard[:6]] == ["🔕", "🔕", "🔔", "🔕", "🔕", "🔕"]
    await chat.taps(SetReport("daily", sent=True))
    await chat.taps(SetReport("weekly", sent=False))
    await chat.taps(SetLight(light=True))
    preferences = (await chat.users.subscribers.require(USER_ID)).preferences
    assert preferences.reports == ("daily",)
    assert preferences.light_pictures


@pytest.mark.parametrize(
    "data",
    [
        SetReport("hourly", sent=True),
        ShowReport("mine", 365),
        ShowReport("nothing", 1),
        ShowReportPicture("spread", 1, END + 999),
        ShareCall(12345),
    ],
)
async def test_a_forged_button_does_nothing(chat: Chat, data: CallbackData) -> None:
    await chat.person.taps(data.pack())
    assert chat.pictures.asked == []
    assert (await chat.users.subscribers.require(USER_ID)).revision == 1
