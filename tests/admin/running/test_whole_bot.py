"""The whole bot in the sandbox: a blocked channel reaches nobody, held calls and a drained bot lose none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from bot.intake import Intake
from composition import Composition
from domain.calls.events import Call, Channel
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from services.monitoring.alarms import AlarmsService
from services.running.controls import Controls
from services.stores.journal import Journal
from tests.e2e.conftest import ADMIN, bot, data_dir, feed, subscribe, text_of
from tests.e2e.test_dialogues import is_alert, new_call
from tests.export.conftest import telegram, unhurried

__all__ = ["bot", "data_dir", "feed", "telegram", "unhurried"]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def admin(telegram: TelegramSandbox, bot: Composition) -> SandboxUser:
    admin = telegram.user("Admin", user_id=ADMIN)
    await admin.send("/start")
    await admin.next_message()
    return admin


@pytest.fixture
async def ann(telegram: TelegramSandbox, bot: Composition) -> SandboxUser:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    return ann


def call_of(feed: FeedSandbox, channel: str = "@loud", age: timedelta = timedelta()) -> Call:
    call = replace(new_call(feed), channel=Channel(id=channel, title=channel.removeprefix("@").title()))
    return feed.publish(replace(call, called_at=datetime.now(UTC) - age))


async def alerted(user: SandboxUser, call: Call) -> None:
    await user.next_message(where=lambda m: call.token.address in copied_addresses(m))


async def until(is_so: Callable[[], bool]) -> None:
    """The bot works in this process: what it has come to is seen and not told."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


async def confirmed(admin: SandboxUser, asks: str, yes: str) -> str:
    await admin.tap(asks)
    await admin.next_message(where=lambda m: "Answer within 60 seconds" in text_of(m))
    return (await admin.tap(yes))["text"]


async def opened(admin: SandboxUser, command: str, says: str) -> str:
    await admin.send(command)
    return text_of(await admin.next_message(where=lambda m: says in text_of(m)))


async def test_a_blocked_channel_reaches_nobody_and_what_it_called_can_be_fetched_again(
    bot: Composition, feed: FeedSandbox, ann: SandboxUser, admin: SandboxUser
) -> None:
    await alerted(ann, call_of(feed))
    await bot.of(Journal).drain_all()
    assert "@loud" in await opened(admin, "/channels", "the latest first")
    await admin.tap("Loud")
    await admin.next_message(where=lambda m: "Last call" in text_of(m))
    assert "obeys within seconds" in await confirmed(admin, "⛔ Block …", "Yes, block")
    counts = bot.metrics.counts
    second = call_of(feed)
    await until(lambda: counts.calls_blocked == 1)
    await bot.of(Journal).drain_all()
    await ann.send(f"/why {second.token.address}")
    await ann.next_message(where=lambda m: "blocked for everybody" in text_of(m))
    await alerted(ann, call_of(feed, "@quiet"))
    assert sum(map(is_alert, ann.messages)) == 2
    assert "obeys within seconds" in (await admin.tap("✅ Unblock"))["text"]
    await opened(admin, "/sources", "feed, read by")
    await admin.tap("⏪ Fetch again …")
    await admin.next_message(where=lambda m: "From where" in text_of(m))
    await admin.send("0")
    await admin.next_message(where=lambda m: "Answer within 60 seconds" in text_of(m))
    assert "told to every process" in (await admin.tap("Yes, fetch again"))["text"]
    await alerted(ann, second)
    assert sum(map(is_alert, ann.messages)) == 3, "nobody gets an alert twice"


async def test_held_calls_wait_and_those_that_became_old_come_in_a_digest(
    bot: Composition, feed: FeedSandbox, ann: SandboxUser, admin: SandboxUser
) -> None:
    intake, counts, controls = bot.of(Intake), bot.metrics.counts, bot.of(Controls)
    await opened(admin, "/maintenance", "Nothing is turned off")
    await confirmed(admin, "⏸ Calls held", "Yes, hold them")
    fresh = call_of(feed)
    # It stands for an hour, as the bot sees it from now on.
    await bot.connections.postgres.execute("UPDATE controls SET since = since - interval '1 hour'")
    await controls.load()
    call_of(feed, age=timedelta(minutes=30))
    await until(lambda: intake.undecided == 2)
    assert counts.calls_received == 0
    await opened(admin, "/maintenance", "calls not decided yet: 2")
    await admin.tap("▶ End: Calls held")
    await alerted(ann, fresh)
    await until(lambda: counts.alerts_outdated == 1)
    assert (counts.alerts_claimed, counts.calls_stale) == (2, 0)
    call_of(feed, age=timedelta(hours=3))
    await until(lambda: counts.calls_stale == 1)


async def test_a_drained_bot_takes_nothing_in_sends_what_it_has_and_goes_on_where_it_was(
    bot: Composition, feed: FeedSandbox, ann: SandboxUser, admin: SandboxUser
) -> None:
    reading = bot.of(Intake).feed
    await alerted(ann, call_of(feed))
    await opened(admin, "/health", "Health")
    await admin.tap("🔧 Connections")
    await admin.next_message(where=lambda m: "No host is shut out" in text_of(m))
    await confirmed(admin, "🚰 Drain …", "Yes, drain")
    await until(lambda: not reading.stats.connected)
    missed = call_of(feed)
    await until(reading.rests)
    assert "Drained: nothing is on the way" in await opened(admin, "/maintenance", "Drained")
    told = await admin.next_message(where=lambda m: "turned off" in text_of(m) and "🔴" in text_of(m))
    assert "draining since" in text_of(told)
    assert not reading.stats.connected
    await admin.tap("▶ End: Draining")
    await alerted(ann, missed)


async def test_connections_are_made_anew_and_everything_goes_on(
    bot: Composition, feed: FeedSandbox, ann: SandboxUser, admin: SandboxUser
) -> None:
    reading = bot.of(Intake).feed
    await alerted(ann, call_of(feed))
    await opened(admin, "/health", "Health")
    await admin.tap("🔧 Connections")
    await admin.next_message(where=lambda m: "No host is shut out" in text_of(m))
    for label in ("🔌 Connect to the feed anew", "🔌 Connect to Redis anew", "🔌 Poll Telegram anew", "Log from DEBUG"):
        assert "told to every process" in (await admin.tap(label))["text"], label
    await until(lambda: reading.stats.reconnects == 1 and reading.stats.connected)
    await alerted(ann, call_of(feed))
    await admin.tap("Log from INFO")
    await admin.send("/status")
    await admin.next_message(where=lambda m: "Free trial" in text_of(m))


async def test_an_alarm_from_before_start_comes_when_the_admin_presses_it(
    telegram: TelegramSandbox, bot: Composition
) -> None:
    bot.of(AlarmsService).watch("kettle", lambda: "boils over", after_s=0)
    with capture_logs() as logs:
        await until(lambda: any(entry["event"] == "alarm_not_reported" for entry in logs))
    admin = telegram.user("Admin", user_id=ADMIN)
    async with asyncio.timeout(20):  # it is tried again by itself only after a minute
        await admin.send("/start")
        await admin.next_message(where=lambda m: "🔴 kettle boils over" in text_of(m))
