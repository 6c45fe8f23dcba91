"""What /delivery says of quiet hours, the alerts per hour and what holds alerts back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Preferences, QuietHours, Subscriber
from handlers.delivery.buttons import AskDelivery, ClearDelivery, MuteAll, ShowMuted, UnmuteAll, UnmuteHere
from managers.redis.client import RedisManager
from tests.conversation.telegram_wire import USER_ID, Said, application
from tests.delivery.kit import ADDRESS, NOW
from tests.delivery.test_menus import Chat
from tests.texts.telegram_html import shown


@pytest.fixture
async def chat(redis_manager: RedisManager) -> AsyncIterator[Chat]:
    some = FilterSet(user_id=USER_ID, number=1, name="Any", rules={})
    ann = Subscriber(user_id=USER_ID, chat_id=USER_ID, name="Ann", created_at=NOW, filter_sets=(some,))
    async with application() as app:
        chat = Chat(redis_manager, app)
        await chat.store.save(replace(ann, paid_until=NOW + timedelta(days=9)))
        yield chat


async def test_no_limit_of_ones_own_is_as_many_as_the_plan_has(chat: Chat) -> None:
    [asked] = [one for one in await chat.taps(AskDelivery("cap")) if one.text]
    assert asked.buttons["As many as your plan has (60)"] == ClearDelivery("cap").pack()
    text = shown(asked.text or "")
    assert "Milestones and personal alerts do not count" in text
    assert "at the next full hour" in text
    assert "As many as your plan has (60)" in (await chat.person.writes("what"))[-1].buttons


async def test_what_comes_in_quiet_hours_is_said_while_there_are_any(chat: Chat) -> None:
    async def menu() -> Said:
        return (await chat.person.writes("/delivery"))[-1]

    off = await menu()
    assert "quiet hours" not in shown(off.text or "")
    assert not any("In quiet hours" in label for label in off.buttons)
    await chat.taps(AskDelivery("quiet"))
    await chat.person.writes("23-7")
    on = await menu()
    assert "During quiet hours no calls come" in shown(on.text or "")
    assert "Milestones and personal alerts come without a sound." in shown(on.text or "")
    assert "In quiet hours: no calls" in on.buttons
    await chat.taps(AskDelivery("level"))
    await chat.person.writes("80")
    assert "During quiet hours only calls with a score of 80 or better come" in shown((await menu()).text or "")


async def test_undoing_that_everything_is_muted_says_what_still_holds_alerts_back(chat: Chat) -> None:
    quiet = QuietHours(start_minute=12 * 60, end_minute=13 * 60)
    await chat.users.subscribers.change(USER_ID, lambda s: replace(s, preferences=Preferences(quiet=quiet)))
    await chat.taps(MuteAll())
    [toast] = [one.text for one in await chat.taps(UnmuteHere("all", ADDRESS)) if one.how == "answered"]
    assert "Quiet until 13:00 (UTC)" in (toast or "").replace("\u2060", "")
    await chat.users.subscribers.change_preferences(USER_ID, lambda p: replace(p, quiet=None))
    [toast] = [one.text for one in await chat.taps(UnmuteHere("all", ADDRESS)) if one.how == "answered"]
    assert toast == "🔔 Everything is unmuted.\n🟢 Alerts are on."


async def test_the_menu_does_not_send_people_to_itself(chat: Chat) -> None:
    preferences = Preferences(quiet=QuietHours(start_minute=12 * 60, end_minute=13 * 60))
    await chat.users.subscribers.change(
        USER_ID,
        lambda s: replace(s, preferences=preferences),
    )
    text = shown((await chat.person.writes("/delivery"))[-1].text or "")
    assert "Quiet until 13:00 (UTC)" in text
    assert "/delivery" not in text


async def test_that_everything_is_muted_stands_in_the_list_and_is_ended_there(chat: Chat) -> None:
    await chat.taps(MuteAll())
    assert "🔇 Muted: 1" in (await chat.person.writes("/delivery"))[-1].buttons
    [listed] = [one for one in await chat.taps(ShowMuted(0)) if one.text]
    text = shown(listed.text or "")
    assert "Everything is muted until 13:20 (UTC)" in text
    assert "Nothing is muted" not in text
    assert "🔇 Muted:" not in text
    assert listed.buttons["✖ Everything · until 13:20 (UTC)"] == UnmuteAll(0).pack()
    shown_then, toast = await chat.taps(UnmuteAll(0))
    assert toast.text == "🔔 Everything is unmuted.\n🟢 Alerts are on."
    assert "Nothing is muted" in shown(shown_then.text or "")
    assert (await chat.preferences()).snoozed_until is None
    assert "🔇 Muted: 0" in (await chat.person.writes("/delivery"))[-1].buttons


async def test_who_types_mute_reads_what_is_muted_and_how_to_mute(chat: Chat) -> None:
    [told] = await chat.person.writes("/mute")
    assert "Nothing is muted. The button 🔇 under an alert" in shown(told.text or "")
    muted = {"@a": "Alpha"}
    await chat.users.subscribers.change_preferences(USER_ID, lambda p: replace(p, muted_channels=muted))
    [told] = await chat.person.writes("/mute")
    assert "🔇 Muted: 1 channel. Tap one to get its calls again." in shown(told.text or "")
