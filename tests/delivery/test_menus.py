"""Somebody taps and types in /delivery; their document says the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.buttons.cards import MuteToken, ShowWhy, WatchToken
from domain.buttons.data import CallbackData
from domain.calls.events import Token
from domain.subscribers.subscriber import Destination, Preferences, QuietHours, Subscriber
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from handlers.delivery.buttons import (
    AskDelivery,
    ClearDelivery,
    DeliverPrivately,
    MuteAll,
    MuteOnly,
    SetCardButton,
    SetCardField,
    SetCompact,
    SetMilestone,
    SetMilestones,
    SetSound,
    ShowMilestones,
    ShowMuted,
    Snooze,
    TakeSetting,
    UnmuteToken,
)
from handlers.delivery.milestones import MilestonesMixin
from handlers.delivery.muting import MutingMixin
from handlers.delivery.settings import DeliveryMixin
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from services.delivery.cards import alert_card
from services.delivery.policy import PolicyService
from services.plans.subscriptions import SubscriptionsService
from services.subscribers.group import SubscriberServices
from services.subscribers.inputs import InputsService
from services.subscribers.permissions import PermissionsService
from tests.conversation.telegram_wire import USER_ID, AnyApplication, Person, RecordedConversation, Said, application
from tests.conversation.wiring import fields_of, services_of
from tests.delivery.kit import ADDRESS, NOW, PLANS, Clock, Matcher, call_of, subscribers_store, users_service
from tests.texts.telegram_html import assert_sendable, shown
from texts import Texts

GROUP_ID = -100_123
GROUP = {"id": GROUP_ID, "type": "supergroup", "title": "Callers <b>", "is_forum": True}


class Bot(DeliveryMixin, MutingMixin, MilestonesMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


class Administrators:
    """Telegram's word on who administers what."""

    def __init__(self) -> None:
        self.of: set[tuple[int, int]] = set()
        self.asked = 0

    async def administers(self, chat_id: int, user_id: int) -> bool:
        self.asked += 1
        return (chat_id, user_id) in self.of


class Chat:
    def __init__(self, redis: RedisManager, app: AnyApplication) -> None:
        self.clock, self.administrators, self.conversation = Clock(), Administrators(), RecordedConversation()
        self.store = subscribers_store(redis)
        self.users: SubscriberServices = users_service(redis, self.store, self.clock, Matcher())
        services = services_of(
            **fields_of(self.users),
            inputs=InputsService(redis),
            policy=PolicyService(redis, PLANS),
            telegram=self.conversation,
            texts=Texts.load(),
            admin_chat_ids=frozenset[int](),
            bot_username=lambda: "filter_bot",
            clock=self.clock,
            subscriptions=SubscriptionsService(PLANS, clock=self.clock),
            permissions=PermissionsService(self.administrators, SmartCache[tuple[int, int], bool].of("permissions")),
        )
        Dispatcher(Bot(services)).install(app)
        self.person = Person(app, self.conversation)

    async def taps(self, data: CallbackData) -> list[Said]:
        return await self.person.taps(data.pack())

    async def preferences(self) -> Preferences:
        return (await self.users.subscribers.require(USER_ID)).preferences


@pytest.fixture
async def chat(redis_manager: RedisManager) -> AsyncIterator[Chat]:
    async with application() as app:
        chat = Chat(redis_manager, app)
        await chat.store.save(
            Subscriber(user_id=USER_ID, chat_id=USER_ID, name="Ann", created_at=NOW, paid_until=NOW + timedelta(days=9))
        )
        yield chat


def refusal_of(said: list[Said]) -> str:
    return shown(said[0].text or "")


@pytest.mark.parametrize(
    ("what", "typed", "expected", "told", "cleared"),
    [
        (
            "zone",
            "berlin",
            Preferences(time_zone="Europe/Berlin"),
            "✅ Your time zone: Europe/Berlin, where it is",
            "✅ Your time zone: UTC, where it is",
        ),
        (
            "quiet",
            "22:30 - 6",
            Preferences(quiet=QuietHours(start_minute=1350, end_minute=360)),
            "✅ Quiet hours: 22:30-06:00.",
            "✅ Quiet hours: off.",
        ),
        (
            "level",
            "80",
            Preferences(quiet=QuietHours(start_minute=1380, end_minute=420, pass_score=80)),
            "✅ In quiet hours: only 80+.",
            "✅ Quiet hours: off.",
        ),
        (
            "cap",
            "10",
            Preferences(alerts_per_hour=10),
            "✅ Alerts per hour: 10.",
            "✅ Alerts per hour: up to 60, as your plan includes.",
        ),
    ],
)
async def test_what_is_typed_is_kept_and_cleared(
    chat: Chat, what: str, typed: str, expected: Preferences, told: str, cleared: str
) -> None:
    await chat.taps(AskDelivery(what))
    refused = await chat.person.writes("what is this")
    assert "“what is this”" in refusal_of(refused)
    assert await chat.preferences() == Preferences()
    said = await chat.person.writes(typed)
    assert told in shown(said[-1].text or "").replace("\u2060", "")
    assert await chat.preferences() == expected
    said = await chat.taps(ClearDelivery("quiet" if what == "level" else what))
    assert cleared in shown(said[0].text or "")
    assert await chat.preferences() == Preferences()


async def test_more_than_the_plan_includes_shows_what_comes(chat: Chat) -> None:
    await chat.taps(AskDelivery("cap"))
    said = await chat.person.writes("61")
    assert "Per hour: up to 60, as your plan includes" in said[-1].buttons
    await chat.taps(AskDelivery("cap"))
    assert "Per hour: 60" in (await chat.person.writes("60"))[-1].buttons


async def test_suggestions_for_a_misspelled_place_can_be_tapped(chat: Chat) -> None:
    await chat.taps(AskDelivery("zone"))
    asked = await chat.person.writes("Berln")
    assert "Did you mean one of these?" in refusal_of(asked)
    await chat.taps(TakeSetting("zone", "Europe/Berlin"))
    assert (await chat.preferences()).time_zone == "Europe/Berlin"


async def test_an_abbreviation_is_asked_about_with_the_time_that_it_is_there(chat: Chat) -> None:
    await chat.taps(AskDelivery("zone"))
    [asked] = await chat.person.writes("EST")
    here = NOW.astimezone(ZoneInfo("America/New_York"))
    assert asked.buttons[f"America/\u2060New York · {here:%H:%M}"] == TakeSetting("zone", "America/New_York").pack()
    assert await chat.preferences() == Preferences()
    [told] = [one for one in await chat.taps(TakeSetting("zone", "America/New_York")) if one.text]
    assert f"✅ Your time zone: America/\u2060New York, where it is {here:%H:%M} now." in shown(told.text or "")
    assert (await chat.preferences()).time_zone == "America/New_York"


async def test_hours_that_can_be_meant_in_two_ways(chat: Chat) -> None:
    await chat.taps(AskDelivery("quiet"))
    [asked] = await chat.person.writes("10-6")
    assert list(asked.buttons)[:3] == ["22:00-06:00", "10:00-18:00", "10:00-06:00"]
    await chat.taps(TakeSetting("quiet", "22:00-06:00"))
    assert (await chat.preferences()).quiet == QuietHours(start_minute=1320, end_minute=360)
    for forged in (TakeSetting("quiet", "10-6"), TakeSetting("zone", "EST"), TakeSetting("sound", "1")):
        assert [one.how for one in await chat.taps(forged)] == ["alerted"]


async def test_an_offset_is_shown_as_it_was_typed(chat: Chat) -> None:
    await chat.taps(AskDelivery("zone"))
    [told] = await chat.person.writes("utc+2")
    assert "Your time zone: UTC+2" in shown(told.text or "")
    assert "🌍 UTC+2" in told.buttons


async def test_off_is_an_answer(chat: Chat) -> None:
    await chat.taps(AskDelivery("cap"))
    await chat.person.writes("10")
    await chat.taps(AskDelivery("cap"))
    await chat.person.writes("any")
    assert (await chat.preferences()).alerts_per_hour is None


async def test_snoozing(chat: Chat) -> None:
    await chat.taps(Snooze("8h"))
    assert (await chat.preferences()).snoozed_until == NOW + timedelta(hours=8)
    await chat.taps(Snooze("morning"))
    assert (await chat.preferences()).snoozed_until == NOW.replace(day=21, hour=8, minute=0)
    await chat.taps(Snooze("off"))
    assert (await chat.preferences()).snoozed_until is None


async def test_sounds_card_and_mutes(chat: Chat) -> None:
    await chat.taps(SetSound("digest", audible=False))
    assert (await chat.preferences()).silent == {"digest"}
    await chat.taps(SetSound("digest", audible=True))
    assert (await chat.preferences()).silent == frozenset()
    for tap in (
        SetCompact(compact=True),
        SetCardField("liquidity", shown=False),
        SetCardButton("chart", shown=False),
    ):
        said = await chat.taps(tap)
    preview = shown(said[0].text or "")
    assert "SMPL" in preview
    assert "liquidity" not in preview
    assert (await chat.preferences()).card.buttons == ("copy", "explorer", "why", "mute", "watch", "buy")
    [asked] = [one for one in await chat.taps(MuteToken(ADDRESS)) if one.text]
    assert list(asked.buttons.values()) == [MuteOnly(ADDRESS).pack(), MuteAll().pack()], "nobody knows the channel"
    [muted] = [one for one in await chat.taps(MuteOnly(ADDRESS)) if one.text]
    assert "7GCihg…W2hr is muted until Sat 21 Nov 12:20 (UTC)" in shown(muted.text or "")
    said = await chat.taps(ShowMuted(0))
    assert UnmuteToken(ADDRESS, 0).pack() in said[0].buttons.values()
    await chat.taps(UnmuteToken(ADDRESS, 0))
    assert (await chat.preferences()).muted_tokens == {}
    [all_muted] = [one for one in await chat.taps(MuteAll()) if one.text]
    assert "Everything is muted until 13:20 (UTC)" in shown(all_muted.text or "")
    assert (await chat.preferences()).snoozed_until == NOW + timedelta(hours=1)


async def from_group(chat: Chat, **fields: Any) -> list[Said]:
    return await chat.person.writes("/deliver_here", chat=GROUP, **fields)


async def test_an_administrator_sends_alerts_to_a_topic_and_back(chat: Chat) -> None:
    said = await from_group(chat, message_thread_id=7, is_topic_message=True)
    assert "Only somebody who administers" in (said[0].text or "")
    assert (await chat.preferences()).destination is None
    chat.administrators.of.add((GROUP_ID, USER_ID))
    await from_group(chat)
    assert chat.administrators.asked == 1, "the answer is believed for five minutes"


ANONYMOUS = {"id": 1_087_968_824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL = {"id": -100_9, "type": "channel", "title": "Callers"}
FORWARDED = {"type": "hidden_user", "date": 1_763_600_000, "sender_user_name": "Ann"}
AS_CHANNEL = {"id": 136_817_688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}


@pytest.mark.parametrize(
    ("sender", "sender_chat", "told"),
    [
        (ANONYMOUS, GROUP, "Turn off “Remain anonymous”"),
        (AS_CHANNEL, CHANNEL, "choose yourself"),
    ],
)
async def test_who_writes_as_the_group_or_as_a_channel_is_told_how_to_write_as_themselves(
    chat: Chat, sender: dict[str, Any], sender_chat: dict[str, Any], told: str
) -> None:
    chat.administrators.of.add((GROUP_ID, sender["id"]))
    [said] = await from_group(
        chat, **{"from": sender}, sender_chat=sender_chat, message_thread_id=7, is_topic_message=True
    )
    assert told in (said.text or "")
    assert said.message is not None
    assert said.message.thread_id == 7
    assert chat.administrators.asked == 0
    assert (await chat.preferences()).destination is None


async def test_a_topic_is_chosen(chat: Chat) -> None:
    chat.administrators.of.add((GROUP_ID, USER_ID))
    [said] = await from_group(chat, message_thread_id=7, is_topic_message=True)
    assert said.message is not None
    assert said.message.thread_id == 7
    place = Destination(chat_id=GROUP_ID, thread_id=7, title="Callers <b>")
    assert (await chat.preferences()).destination == place
    [menu] = await chat.person.writes("/delivery")
    assert "Callers" in shown(menu.text or "")
    await chat.taps(DeliverPrivately())
    assert (await chat.preferences()).destination is None
    await from_group(chat)
    await chat.person.writes("/deliver_here")
    assert (await chat.preferences()).destination is None


async def test_milestones_are_chosen_one_by_one_or_turned_off(chat: Chat) -> None:
    assert "☑ 2x" in str(await chat.taps(ShowMilestones()))
    await chat.taps(SetMilestone("1.5", told=True))
    await chat.taps(SetMilestone("3", told=False))
    wanted = await chat.preferences()
    assert [rung for rung in (1.5, 2.0, 3.0, 4.0, 5.0) if wanted.wants_milestone(rung)] == [1.5, 2.0, 5.0]
    await chat.taps(SetMilestones(told=False))
    assert (await chat.preferences()).milestones == ()
    assert "Milestones: off" in str(await chat.person.writes("/delivery"))
    await chat.taps(SetMilestones(told=True))
    assert await chat.preferences() == Preferences()
    said = await chat.taps(SetMilestone("7", told=True))
    assert await chat.preferences() == Preferences(), refusal_of(said)


async def test_no_other_command_works_in_a_group(chat: Chat) -> None:
    assert await chat.person.writes("/delivery", chat=GROUP) == []
    assert await chat.person.writes("hello", chat=GROUP) == []
    assert await chat.person.writes("/delivery", chat=GROUP, sender_chat=CHANNEL, **{"from": AS_CHANNEL}) == []


@pytest.mark.parametrize("who", ["administrator", "receiver", "anonymous"])
async def test_who_has_a_say_in_a_group_is_told_where_a_command_belongs(chat: Chat, who: str) -> None:
    chat.administrators.of.add((GROUP_ID, USER_ID))
    if who == "receiver":
        await from_group(chat)
        chat.administrators.of.clear()
    fields = {"from": ANONYMOUS, "sender_chat": GROUP} if who == "anonymous" else {}
    place = {"chat": GROUP, "message_thread_id": 7, "is_topic_message": True}
    [said] = await chat.person.writes("/delivery@filter_bot now", **place, **fields)
    assert said.message is not None
    assert "That is for our own chat" in said.message.html
    assert (said.message.thread_id, said.message.keyboard[0][0].url) == (7, "https://t.me/filter_bot?start=group")


async def test_a_group_is_told_once_a_minute_at_most(chat: Chat) -> None:
    other = GROUP | {"id": GROUP_ID - 1}
    chat.administrators.of |= {(GROUP_ID, USER_ID), (GROUP_ID - 1, USER_ID)}
    for text in ("/delivery@other_bot", "/nonsense@filter_bot", "/nonsense"):
        assert await chat.person.writes(text, chat=GROUP) == []
    assert chat.administrators.asked == 0
    assert await chat.person.writes("/delivery", chat=GROUP, forward_origin=FORWARDED) == []
    assert len(await chat.person.writes("/delivery", chat=GROUP)) == 1
    assert await chat.person.writes("/delivery", chat=GROUP) == []
    assert len(await chat.person.writes("/delivery", chat=other)) == 1
    chat.clock.now += timedelta(seconds=59)
    assert await chat.person.writes("/delivery", chat=GROUP) == []
    chat.clock.now += timedelta(seconds=1)
    assert len(await chat.person.writes("/delivery", chat=GROUP)) == 1
    assert len(await from_group(chat)) == 1, "what is open to groups is answered as before"


PREFIXES = [data.prefix for data in CallbackData.__subclasses__() if data.__module__ == "handlers.delivery.buttons"]


@st.composite
def forged_taps(draw: st.DrawFn) -> str:
    return f"{draw(st.sampled_from(PREFIXES))}:{draw(st.text(max_size=40))}"[:64]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=forged_taps(), typed=st.text(max_size=60))
async def test_forged_taps_and_wild_answers_reach_no_error(chat: Chat, data: str, typed: str) -> None:
    said = [*await chat.person.taps(data), *await chat.person.writes(typed)]
    for one in said:
        assert "Something went wrong" not in (one.text or "")
        if one.message:
            assert_sendable(one.message.html)


def test_the_buttons_of_a_card_are_ours() -> None:
    call = replace(call_of(1), token=Token(address=ADDRESS))
    keyboard = alert_card(Texts.load(), call=call, set_names=(), speed_s=None, language="en", may_repeat=False).keyboard
    data = [button.data for row in keyboard for button in row if button.data]
    assert data == [ShowWhy.of(ADDRESS, call.id).pack(), MuteToken(ADDRESS).pack(), WatchToken(ADDRESS).pack()]
