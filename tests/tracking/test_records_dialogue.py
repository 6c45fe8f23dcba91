"""What people read of records, with everything between a call and the message real."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from composition import Composition
from domain.calls.events import Channel
from domain.reports.figures import PersonFigures
from handlers.filters.buttons import SetEnabled
from managers.storage.postgres import PostgresManager
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.calls.channels import ChannelsService
from services.reports.group import ReportServices
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from services.tracking.records.group import RecordServices
from services.tracking.records.refreshing import RecordsRefresh
from tests.e2e.conftest import ADMIN, bot, data_dir, feed, subscribe, telegram, text_of
from tests.feed.support import a_call
from tests.tracking.kit import address

__all__ = ["bot", "data_dir", "feed", "telegram"]

OUTCOME = """
    INSERT INTO outcomes (call_id, number, token_address, channel_id, called_at, opened_at, measure, price_usd, symbol,
        peak_multiple, peak_at, updated_at, ended_at, ending, shown_at)
    VALUES ($1, $2, $3, $4, $5, $5, 'price', 0.01, $6, $7, $5, $8, $8, 'silence', $8)
"""

_CLAIM = """
    INSERT INTO claims (call_id, user_id, token_address, claimed_at, document) VALUES ($1, $2, $3, $4, $5::jsonb)
"""
_DELIVERY = """
    INSERT INTO deliveries (call_id, user_id, kind, set_number, status, decided_at, sent_at, may_repeat)
    VALUES ($1, $2, 'alert', 1, 'sent', $3, $3, false)
"""


@pytest.fixture
async def admin(telegram: TelegramSandbox) -> SandboxUser:
    user = telegram.user("Admin", user_id=ADMIN)
    await user.send("/start")
    await user.next_message()
    return user


async def past_calls(
    bot: Composition, *multiples: float, channel: str = "alpha", first: int = 1, hours: float = 1
) -> None:
    """Calls of so many hours ago that have ended with these peaks."""
    postgres: PostgresManager = bot.connections.postgres
    now = datetime.now(UTC)
    for number, multiple in enumerate(multiples, first):
        at = now - timedelta(hours=hours, milliseconds=number)
        symbol = f"T{number}"
        values = (f"past{number}", 10_000 + number, address(number), channel, at, symbol, multiple, now)
        await postgres.execute(OUTCOME, *values)


def is_answer(message: JsonObject) -> bool:
    return not text_of(message).startswith(("🔴", "🚀"))


async def asked(user: SandboxUser, command: str) -> str:
    await user.send(command)
    return text_of(await user.next_message(where=is_answer))


async def tapped(user: SandboxUser, message: JsonObject, data: str) -> JsonObject:
    """Tap a button and return the message that says what came of it."""
    await user.tap_data(message, data)
    return await user.next_message(where=is_answer)


async def yes_to(user: SandboxUser, question: JsonObject) -> JsonObject:
    await user.tap("Yes, correct it", question)
    return await user.next_message(where=is_answer)


async def test_the_best_channels_and_calls(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    assert "No channel has a record of this time yet." in await asked(ann, "/top")
    await past_calls(bot, 1.0, 1.2, 2.5, 3.0, 7.5, 1.1)
    await past_calls(bot, 1.0, 1.0, channel="few", first=20)
    await bot.of(RecordsRefresh).refresh()
    await ann.send("/top")
    top = await ann.next_message()
    assert (
        "1. alpha\n50% reached 2x (95% interval 19–81%)\nTokens: 6, still followed: 0 · median peak 1.85x"
        in text_of(top)
    )
    assert "2. few · too few tokens for a rate: 2 of 5" in text_of(top)
    assert "A rate takes 5 tokens; those that are still followed count as they stand" in text_of(top)
    assert "Of all 8 tokens that I followed in this time, 38% reached 2x" in text_of(top)
    calls = await tapped(ann, top, "top:calls:30d:0")
    assert text_of(calls).startswith("Best calls · 30 days\n\n1. 7.5x · T5\nalpha · 1h ago · ended\n")
    assert "2. 3x · T4" in text_of(calls)
    day = await tapped(ann, calls, "top:calls:24h:0")
    assert text_of(day).startswith("Best calls · 24 hours")


async def test_the_page_of_a_channel_says_what_top_says_and_how_much_a_rate_takes(
    bot: Composition, telegram: TelegramSandbox
) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    call = replace(a_call(), channel=Channel(id="@alpha", title="Alpha"))
    await bot.of(ChannelsService).enrich([call])
    assert "A rate takes 5 tokens that it called." in await asked(ann, "https://t.me/alpha")
    await past_calls(bot, 1.0, 1.2, 2.5, channel="@alpha")
    await bot.of(RecordsRefresh).refresh()
    assert "tokens 3, of which I still follow 0. A rate takes 5." in await asked(ann, "https://t.me/alpha")
    await past_calls(bot, 3.0, 7.5, 1.1, channel="@alpha", first=4)
    await bot.of(RecordsRefresh).recompute([("channel", "@alpha")])
    rate = "50% reached 2x (95% interval 19–81%)"
    assert rate in await asked(ann, "/top")
    page = await asked(ann, "https://t.me/alpha")
    assert rate in page
    assert "get to know it within an hour" in page
    await bot.of(ChannelsService).restore()
    page = await asked(ann, "https://t.me/alpha")
    assert rate in page
    assert "within an hour" not in page


async def told(bot: Composition, user_id: int, numbers: range) -> None:
    """Somebody's first filter let these calls through, and they got their alerts."""
    postgres, now = bot.connections.postgres, datetime.now(UTC)
    for number in numbers:
        call_id = f"past{number}"
        document = json.dumps({"set_number": 1})
        await postgres.execute(_CLAIM, call_id, user_id, address(number), now, document)
        await postgres.execute(_DELIVERY, call_id, user_id, now)


async def test_what_became_of_somebodys_alerts(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await ann.next_message()
    assert "Alerts that you got will stand here." in await asked(ann, "/performance")
    await past_calls(bot, 1.0, 1.3, 2.5, 1.0, 7.5, 9.0, hours=0)
    await told(bot, ann.id, range(1, 6))
    await bot.of(RecordsRefresh).refresh()
    shown = await asked(ann, "/performance")
    counts = "Tokens: 5 · calls in your alerts and digests: 5 · still followed, counted as they stand: 0"
    assert f"Your alerts · 7 days\n\n{counts}" in shown
    assert "40% reached 2x (95% interval 12–77%); of all tokens in the same time 50%" in shown
    assert "Best\n1. 7.5x · T5" in shown
    assert "9x" not in shown
    assert "time to the peak: at once (median)" in shown
    await ann.send("/settings")
    menu = await ann.next_message(where=lambda message: "set:1" in str(message.get("reply_markup")))
    opened = await tapped(ann, menu, "set:1")
    began = f"{datetime.now(UTC):%d %b %Y}"
    assert f"📊 What passed this filter by the rules it had then, sent or held · since {began}" in text_of(opened)
    assert "\nTokens: 5 · 40% reached 2x" in text_of(opened)
    assert f"As of {began}" in text_of(opened)
    off = await tapped(ann, opened, SetEnabled(1, False).pack())
    assert "\nTokens: 5 · 40% reached 2x" in text_of(off), "also after a change"


async def test_what_a_filter_says_of_times_is_in_the_zone_of_the_person(
    bot: Composition, telegram: TelegramSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await ann.next_message()
    await past_calls(bot, 1.0, hours=0)
    await told(bot, ann.id, range(1, 2))
    await bot.of(RecordsRefresh).refresh()
    subscribers = bot.of(SubscriberServices).subscribers
    await subscribers.change_preferences(ann.id, lambda p: replace(p, time_zone="Asia/Tokyo"))
    await ann.send("/settings")
    menu = await ann.next_message(where=lambda message: "set:1" in str(message.get("reply_markup")))
    shown = text_of(await tapped(ann, menu, "set:1"))
    at = re.search(r"As of (.*) \(Asia/\u2060?Tokyo\)", shown)
    assert at
    now = datetime.now(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None)
    assert abs(datetime.strptime(at[1], "%d %b %Y, %H:%M:%S") - now) < timedelta(minutes=3)  # noqa: DTZ007 - local
    assert "UTC" not in shown


async def test_what_a_filter_has_brought_since_when_and_without_a_rate_where_it_is_little(
    bot: Composition, telegram: TelegramSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await ann.next_message()

    async def card() -> str:
        await bot.of(RecordsRefresh).refresh()
        await ann.send("/settings")
        menu = await ann.next_message(where=lambda message: "set:1" in str(message.get("reply_markup")))
        return text_of(await tapped(ann, menu, "set:1"))

    assert "📊" not in await card()
    await bot.of(Journal).drain_all()
    earlier = "UPDATE subscriber_changes SET changed_at = changed_at - interval '40 days'"
    await bot.connections.postgres.execute(earlier)  # somebody has had the filter for so long
    await past_calls(bot, 9.0, hours=24 * 29)
    await told(bot, ann.id, range(1, 2))
    few = next(line for line in (await card()).split("\n") if line.startswith("📊"))
    assert few == "📊 What passed this filter by the rules it had then, sent or held · 30 days · tokens: 1"


async def test_every_screen_shows_the_same_rate_of_the_same_tokens(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await ann.next_message()
    await bot.of(Journal).drain_all()
    earlier = "UPDATE subscriber_changes SET changed_at = changed_at - interval '1 day'"
    await bot.connections.postgres.execute(earlier)  # the filter is older than the calls
    await past_calls(bot, 1.0, 1.3, 2.5, 1.0, 7.5, hours=1)
    await told(bot, ann.id, range(1, 6))
    await bot.of(RecordsRefresh).refresh()
    records, reports = bot.of(RecordServices).records, bot.of(ReportServices).figures
    before = await records.base("30d")
    assert before is not None
    assert (before.hits, before.n) == (2, 5)
    await past_calls(bot, *[1.0] * 5, channel="beta", first=20, hours=1)
    await bot.of(RecordsRefresh).refresh()
    base = await records.base("30d")
    assert base is not None
    assert (base.hits, base.n) == (2, 10)
    for window in (reports.window(30), reports.window(30, shared=True)):
        assert (await reports.presets(window)).base == (await reports.channels(window)).base == base
    mine = await reports.person(ann.id, reports.window(30))
    assert isinstance(mine, PersonFigures)
    assert mine.record.base_percent == base.percent
    standings = (await records.channels("30d", 0, 10)).standings
    assert {one.record.base_percent for one in standings} == {base.percent}
    of_set = await records.of_set(ann.id, 1)
    assert of_set is not None
    assert of_set.by_window["30d"].base_percent == base.percent
    assert (await records.performance(ann.id, "30d")).record.base_percent == base.percent


async def test_an_admin_corrects_what_a_call_counts_for(
    bot: Composition, telegram: TelegramSandbox, admin: SandboxUser
) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    await past_calls(bot, 1.0, 1.2, 2.5, 3.0, 80.0, 1.1)
    await bot.of(RecordsRefresh).refresh()
    assert "I don't know this command" in await asked(ann, "/correct")
    assert "Send me the token's address" in await asked(admin, "/correct")
    await admin.send(address(5))
    offered = await admin.next_message(where=is_answer)
    call = await tapped(admin, offered, "corcall:10005")
    assert "It counts with 80x." in text_of(call)
    offered = await tapped(admin, call, "corcalls:10005")
    from_channel = await tapped(admin, offered, "corcall:10005")
    assert "It counts with 80x." in text_of(from_channel)
    sure = await tapped(admin, call, "corask:10005:repost")
    assert "repost, not counted. Correct it?" in text_of(sure)
    done = await yes_to(admin, sure)
    assert "It does not count: repost, not counted." in text_of(done)
    assert f"{ADMIN} · repost, not counted" in text_of(done)
    assert "1. alpha\n40% reached 2x" in await asked(ann, "/top")
    asked_price = await tapped(admin, done, "corask:10005:price")
    assert "It stands at $0.01" in text_of(asked_price)
    await admin.send("0.1")
    corrected = await yes_to(admin, await admin.next_message(where=is_answer))
    assert "at the call it was $0.1" in text_of(corrected)
    corrections = bot.bot.services.of(RecordServices).corrections
    assert await corrections.correct(10_005, "restore", ADMIN)
    assert not await corrections.correct(10_005, "restore", ADMIN)
    restored = await corrections.call(10_005)
    assert (restored.multiple, restored.excluded) == (80, None)
    assert [one.action for one in await corrections.history(restored)] == ["restore", "price", "repost"]
