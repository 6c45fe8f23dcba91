"""What a person reads: one message, whatever is in it, and nothing of anybody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from domain.buttons.cards import ShowWhy
from domain.calls.addresses import call_tag
from domain.calls.events import Call, Channel, ChannelRecord, Disagreement, Origin, Token
from domain.delivery.messages import Message
from domain.filters.explanation import explain
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Range, Rule, Words
from domain.stored.journal import DecidedCall
from domain.subscribers.subscriber import Card, Preferences, QuietHours, Subscriber
from domain.why.verdicts import figures_read, judge
from handlers.conversation.base import Services, Turn
from handlers.conversation.menus import View
from handlers.why.buttons import ShowNearMisses
from handlers.why.cards import explanation_card
from handlers.why.misses import near_misses_card
from handlers.why.why import WhyMixin
from runtime.errors import UserFacingError
from services.claims.claiming import alerts_of
from services.delivery.cards import Shown, card_of
from services.why.answers import (
    CallExplanation,
    Delivery,
    EarlierCall,
    Explanation,
    NearMiss,
    NearMisses,
    Outcome,
)
from tests.conversation.telegram_wire import MENU_ID, RecordedConversation, Said
from tests.conversation.wiring import fields_of, services_of
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_sendable, shown, units
from tests.why.support import World, mint
from texts import Texts

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEXTS = Texts.load()
VIEW = View(texts=TEXTS, language="en")
HOLDERS: dict[str, Rule] = {"holders": Range(minimum=150.0), "market_cap_usd": Range(20_000.0, 2_000_000.0)}


class Bot(WhyMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


class Chat:
    """Somebody who talks to the bot."""

    def __init__(self, world: World, user_id: int) -> None:
        self.conversation = RecordedConversation()
        services = services_of(
            **fields_of(world.users),
            explanations=world.explanations,
            telegram=self.conversation,
            texts=TEXTS,
            clock=world.clock,
        )
        self.bot = Bot(services)
        self.user_id = user_id

    def turn(self, text: str = "", menu_id: int | None = None) -> Turn:
        who = self.user_id
        return Turn(user_id=who, chat_id=who, name="Ada", language="en", text=text, menu_id=menu_id)

    async def writes(self, text: str) -> Said:
        await self.bot.why(self.turn(text))
        return self.conversation.said[-1]

    async def taps(self, data: str) -> Said | str:
        """Tap a button; returns what was said, or the toast."""
        turn = self.turn(menu_id=MENU_ID)
        if data.startswith(ShowWhy.prefix + ":"):
            toast = await self.bot.show_why(turn, ShowWhy.unpack(data))
        else:
            toast = await self.bot.show_near_misses(turn, ShowNearMisses.unpack(data))
        return toast or self.conversation.said[-1]


@pytest.fixture
async def ada(world: World) -> Chat:
    await world.joins(7, HOLDERS)
    await world.tick()
    return Chat(world, 7)


async def test_a_token_that_was_held_back(world: World, ada: Chat) -> None:
    await world.decides(world.call("c1", mint(1), holders=92, market_cap_usd=402_000.0))
    said = await ada.writes(f"/why https://gmgn.ai/sol/token/eye1_{mint(1)}")
    text = shown(said.text or "")
    assert "✗ Holders 92, needs ≥ 150\n✓ Market cap $402k within $20k – $2M\n" in text
    assert re.search(r"\nAll figures from the feed, \d+s old\.\n", text)
    assert "None of your filters let it through" in text
    assert "Received" in text
    assert said.how == "sent"


async def test_a_tap_under_an_alert_answers_with_a_new_message(world: World, ada: Chat) -> None:
    call = world.call("c1", mint(1), holders=200, market_cap_usd=402_000.0)
    await world.decides(call)
    said = await ada.taps(ShowWhy.of(mint(1), call.id).pack())
    assert isinstance(said, Said)
    assert said.how == "sent"
    assert said.message is not None
    assert said.message.reply_to == MENU_ID
    assert "It passed your filters" in shown(said.text or "")
    assert "(all 2 rules passed)" in shown(said.text or "")
    assert await ada.taps(ShowWhy.of(mint(1), "another").pack()) == TEXTS.plain("toast.why_gone", days=14)


async def test_what_let_it_pass_stands_first_and_a_source_is_said_once(world: World) -> None:
    await world.joins(8, {"holders": Range(minimum=500.0)}, HOLDERS, {"market_cap_usd": Range(minimum=1.0)}, {})
    await world.tick()
    await world.decides(world.call("c1", mint(1), holders=200, market_cap_usd=402_000.0))
    text = shown((await Chat(world, 8).writes(f"/why {mint(1)}")).text or "")
    titles = [line for line in text.splitlines() if line.startswith(("✓ set", "✗ set"))]
    assert titles == [
        "✓ set 2 (all 2 rules passed)",
        "✓ set 3 (its one rule passed)",
        "✓ set 4",
        "✗ set 1 (its one rule failed)",
    ]
    assert "✓ set 4\nNo rules: every call passes." in text
    assert text.count("the feed, ") == 1


async def test_a_card_names_the_filters_that_why_says_it_passed(world: World) -> None:
    await world.joins(8, {"holders": Range(minimum=500.0)}, HOLDERS, {"market_cap_usd": Range(minimum=1.0)}, {})
    await world.tick()
    call = world.call("c1", mint(1), holders=200, market_cap_usd=402_000.0)
    [request] = await world.decides(call)
    [alert] = alerts_of(request)
    judged = (await world.why(8, call)).judged
    passed = [one.filter_set.number for one in judged.sets if one.verdict.passed]
    assert [alert.set_number, *alert.also] == passed == [2, 3, 4]


async def test_a_filter_has_the_name_that_it_has_now_and_one_that_is_gone_keeps_its_own(world: World) -> None:
    await world.joins(8, HOLDERS)
    await world.tick()
    await world.decides(world.call("c1", mint(1), holders=200, market_cap_usd=402_000.0))
    await world.tick()

    async def said() -> str:
        return shown((await Chat(world, 8).writes(f"/why {mint(1)}")).text or "")

    [first] = (await world.users.subscribers.require(8)).filter_sets
    await world.edits(8, filter_sets=(structs.replace(first, name="Moon shots"),))
    assert "✓ Moon shots (all 2 rules passed)" in await said()
    await world.tick()
    await world.edits(8, filter_sets=())
    assert "✓ set 1 (all 2 rules passed)" in await said()
    await world.tick()
    await world.edits(8, filter_sets=(structs.replace(first, name="Another one", rules={}),))
    assert "✓ set 1 (all 2 rules passed)" in await said()


async def test_a_figure_of_another_source_keeps_its_own(world: World) -> None:
    await world.joins(8, {**HOLDERS, "liquidity_usd": Range(minimum=1.0)})
    await world.tick()
    jupiter = {"liquidity_usd": Origin("jupiter", NOW)}
    call = world.call("c1", mint(1), holders=200, market_cap_usd=402_000.0, liquidity_usd=9_000.0, origins=jupiter)
    await world.decides(call)
    text = shown((await Chat(world, 8).writes(f"/why {mint(1)}")).text or "")
    assert re.search(r"Liquidity \$9k, needs ≥ \$1 \(Jupiter, .+ old\)\n", text)
    assert re.search(r"\nThe other figures from the feed, .+ old\.\n", text)


@pytest.mark.parametrize(("key", "of_feed"), [("channel_win_rate", False), ("channel_win_rate_30d", True)])
async def test_our_own_record_of_a_channel_is_not_said_to_be_the_feeds(
    world: World, key: str, *, of_feed: bool
) -> None:
    await world.joins(8, {**HOLDERS, key: Range(minimum=40.0)})
    await world.tick()
    call = world.call("c1", mint(1), holders=200)
    own, other = ChannelRecord(win_rate_percent=10.0, own_tokens=10), ChannelRecord(win_rate_percent=10.0)
    channel = structs.replace(call.channel, record=own, record_30d=other)
    call = structs.replace(call, channel=channel)
    await world.decides(call)
    text = shown((await Chat(world, 8).writes(f"/why {mint(1)}")).text or "")
    assert ("10%, needs ≥ 40% (my own record, 10 tokens)" in text) != of_feed
    card = shown(card_of(TEXTS, Shown(call=call, decided_at=NOW), language="en", card=Card()).html)
    assert "my own record, 10 tokens" in card.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("age", "said"), [(0.007, "1s"), (1.4, "1s"), (42.0, "42s"), (62.0, "1m 2s")])
def test_the_card_and_its_explanation_say_the_same_age(age: float, said: str) -> None:
    rules: dict[str, Rule] = {"market_cap_usd": Range(1.0), "liquidity_usd": Range(1.0)}
    subscriber = Subscriber(
        user_id=7,
        chat_id=7,
        name="Ann",
        created_at=NOW,
        paid_until=NOW + timedelta(days=1),
        filter_sets=(FilterSet(user_id=7, number=1, name="", rules=rules),),
    )
    origins = {name: Origin("jupiter", NOW - timedelta(seconds=age)) for name in rules}
    token = Token(address=mint(1), market_cap_usd=50_000.0, liquidity_usd=9_000.0, origins=origins)
    call = Call(id="c", token=token, channel=Channel(id="@a"), called_at=NOW, received_at=NOW)
    decided = DecidedCall(call=call, decided_at=NOW, reason="first_check", checked_channels=())
    judged = judge(subscriber, call, NOW, given_up=None)
    one = CallExplanation(decided=decided, shown=call, outcome="accepted", judged=judged)
    found = Explanation(address=token.address, calls=(one,), subscriber=subscriber)
    assert f"All figures from Jupiter, {said} old." in shown(explanation_card(VIEW, found, NOW).html)
    card = card_of(TEXTS, Shown(call=call, decided_at=NOW), language="en", card=Card()).html
    assert f"Jupiter · {said} old" in shown(card).replace("\N{NO-BREAK SPACE}", " ")


async def test_what_another_source_says_stands_beside_the_rule_that_reads_it(world: World) -> None:
    await world.joins(8, {"liquidity_usd": Range(minimum=1.0), "market_cap_usd": Range(minimum=1.0)})
    await world.tick()
    call = world.call(
        "c1",
        mint(1),
        market_cap_usd=50_000.0,
        liquidity_usd=9_000.0,
        origins={name: Origin("dexscreener", NOW) for name in ("liquidity_usd", "market_cap_usd")},
        disputed={"market_cap_usd": Disagreement("jupiter", 120_000.0)},
    )
    await world.decides(call)
    lines = shown((await Chat(world, 8).writes(f"/why {mint(1)}")).text or "").splitlines()
    [flagged] = [line for line in lines if "⚠️ $120k (Jupiter)" in line]
    assert flagged.startswith("✓ Market cap $50k, needs ≥ $1")


async def test_who_comes_late_is_told_since_when_calls_were_checked_for_them(world: World) -> None:
    await world.decides(*(world.call(f"old{n}", mint(100 + n), holders=92) for n in range(5)))
    await world.joins(7)
    await world.tick()
    await world.decides(world.call("joined", mint(200), holders=92))
    chat = Chat(world, 7)
    assert "No filter of yours was on today" in shown((await chat.writes("/why")).text or "")
    await world.changes(7, HOLDERS)
    began = (await world.explanations.near_misses(7)).since
    assert began is not None
    since = f"{began:%H:%M}"
    assert f"Calls checked since {since}: 0." in shown((await chat.writes("/why")).text or "")
    await world.tick()
    await world.decides(world.call("new", mint(201), holders=92), world.call("fits", mint(202), holders=500))
    assert f"failed a single rule: 1, of 2 checked since {since}" in shown((await chat.writes("/why")).text or "")


async def test_near_misses_are_listed_and_explained(world: World, ada: Chat) -> None:
    assert "No near misses today" in ((await ada.writes("/why")).text or "")
    calls = [world.call(f"c{n}", mint(n), holders=92, market_cap_usd=402_000.0) for n in range(10)]
    await world.decides(*calls)
    said = await ada.writes("/why")
    text = shown(said.text or "")
    assert "Holders 92, needs ≥ 150" in text
    assert text.count("needs ≥ 150") == 8
    page = await ada.taps(said.buttons[TEXTS.plain("button.next")] or "")
    assert isinstance(page, Said)
    assert page.how == "edited"
    assert shown(page.text or "").count("needs ≥ 150") == 2
    explained = await ada.taps(page.buttons["Why 10: COIN"] or "")
    assert isinstance(explained, Said)
    assert explained.how == "sent"
    assert "1 of 2 rules failed" in shown(explained.text or "")


async def test_other_calls_of_the_token_are_a_button_each(world: World, ada: Chat) -> None:
    await world.decides(world.call("c1", mint(1), holders=92, market_cap_usd=402_000.0))
    await world.tick()
    await world.decides(world.call("c2", mint(1), channel="@beta", holders=200, market_cap_usd=402_000.0))
    said = await ada.writes(f"/why {mint(1)}")
    assert "✗ did not pass your filters, ⊘ brought no alert for another reason." in shown(said.text or "")
    (button,) = said.buttons.values()
    assert button == f"why:{mint(1)}:{call_tag('c1')}"
    one = await ada.taps(button or "")
    assert isinstance(one, Said)
    assert one.buttons == {"Its other calls": f"whytoken:{mint(1)}"}


async def test_an_earlier_call_that_passed_is_named_where_the_newest_did_not(world: World, ada: Chat) -> None:
    await world.decides(world.call("c1", mint(1), holders=200, market_cap_usd=402_000.0))
    await world.tick()
    for number in range(2, 12):
        await world.decides(world.call(f"c{number}", mint(1), channel=f"@beta{number}", holders=92, market_cap_usd=4e5))
        await world.tick()
    said = await ada.writes(f"/why {mint(1)}")
    text = shown(said.text or "")
    assert "None of your filters let it through" in text
    assert "✓ The @\u2060alpha" in "".join(said.buttons), "whatever came between"
    assert re.search(r"\n✓ An earlier call of it passed: that of The @\u2060alpha, .+ Its button is below\.\n", text)


async def test_what_is_no_token_or_unknown(world: World, ada: Chat) -> None:
    assert "no token address" in ((await ada.writes("/why not")).text or "")
    assert mint(5) in ((await ada.writes(f"/why {mint(5)}")).text or "")
    with pytest.raises(UserFacingError, match=r"user\.unknown"):
        await Chat(world, 9).writes(f"/why {mint(5)}")


async def test_a_forged_button_shows_the_callers_own(world: World, ada: Chat) -> None:
    await world.joins(8, {"holders": Range(minimum=8_888.0)})
    await world.tick()
    call = world.call("c1", mint(1), holders=92)
    await world.decides(call)
    mine, theirs = [await chat.taps(ShowWhy.of(mint(1), call.id).pack()) for chat in (ada, Chat(world, 8))]
    assert isinstance(mine, Said)
    assert isinstance(theirs, Said)
    assert "8,888" in shown(theirs.text or "")
    assert "8,888" not in shown(mine.text or "")
    assert "None of your filters let it through" in shown(mine.text or "")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text() | st.lists(st.sampled_from([mint(1), "https://", "solscan.io/token/", "\u202e", "<b>"])).map("".join)
)
async def test_whatever_is_asked_there_is_an_answer(ada: Chat, text: str) -> None:
    said = await ada.writes(f"/why {text}")
    assert_sendable(said.text or "")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=st.text(max_size=12), tag=st.text(max_size=8), page=st.integers())
async def test_whatever_button_is_forged_nothing_breaks(ada: Chat, address: str, tag: str, page: int) -> None:
    assert await ada.bot.show_why(ada.turn(menu_id=MENU_ID), ShowWhy(address, tag))
    await ada.bot.show_near_misses(ada.turn(menu_id=MENU_ID), ShowNearMisses(page))


# every message fits

LONG = "W" * 300
STATUSES: Any = ("queued", "in_flight", "sent", "merged", "digest", "withheld", "dead")


def hostile_call(text: str) -> Call:
    token = Token(
        address=mint(1),
        name=text,
        symbol=text,
        holders=10**15,
        market_cap_usd=1e-17,
        launchpad=text,
        origins={"holders": Origin(text, NOW - timedelta(days=400))},
    )
    return Call(
        id="c" * 128,
        token=token,
        channel=Channel(id="x" * 64, title=text),
        called_at=NOW - timedelta(days=3),
        received_at=NOW,
        text=text * 20,
    )


def rule_of(field: FilterField, text: str, missing: Any) -> Rule:
    wait_minutes = 60 if missing == "wait" else 0
    if field.unit == "choice":
        many = frozenset(f"{text[:60]}{n}" for n in range(100))
        return Choice(many, missing=missing, wait_minutes=wait_minutes)
    if field.unit == "text":
        return Words(tuple(f"{text[:48]}{n}" for n in range(20)), missing=missing, wait_minutes=wait_minutes)
    return Range(1.23456789, 999_999_999.0, missing=missing, wait_minutes=wait_minutes)


def hostile_subscriber(text: str, sets: int) -> Subscriber:
    policies = ("fail", "wait", "pass")
    return Subscriber(
        user_id=7,
        chat_id=7,
        name=text,
        created_at=NOW,
        paid_until=NOW + timedelta(days=1),
        preferences=Preferences(
            time_zone="America/Argentina/ComodRivadavia",
            quiet=QuietHours(start_minute=1380, end_minute=420),
            alerts_per_hour=10**6,
            snoozed_until=NOW + timedelta(days=1),
            muted_tokens={mint(1): NOW + timedelta(days=1)},
        ),
        filter_sets=tuple(
            FilterSet(
                user_id=7,
                number=number,
                name=text,
                enabled=number % 5 != 0,
                rules={"gone": Range(1.0), **{f.key: rule_of(f, text, policies[number % 3]) for f in FIELDS}},
            )
            for number in range(sets)
        ),
    )


def explained(outcome: Outcome, text: str, sets: int) -> Iterator[CallExplanation]:
    call = hostile_call(text)
    judged = judge(hostile_subscriber(text, sets), call, NOW, given_up=None)
    decided = DecidedCall(call=call, decided_at=NOW, reason="first_check", checked_channels=())
    if outcome != "accepted":
        earlier = EarlierCall(call_id="c", channel=text, at=NOW)
        yield CallExplanation(decided=decided, shown=call, outcome=outcome, judged=judged, earlier=earlier)
        return
    yield CallExplanation(decided=decided, shown=call, outcome=outcome, judged=judged)
    for status in STATUSES:
        delivery = Delivery(
            status=status,
            set_number=1,
            decided_at=NOW + timedelta(minutes=3),
            sent_at=NOW + timedelta(days=400),
            latency_s=1e9,
            may_repeat=True,
            reason=text,
        )
        yield CallExplanation(
            decided=decided, shown=call, outcome=outcome, judged=judged, delivery=delivery, late_s=180.0
        )


@pytest.mark.parametrize("text", [LONG, *HOSTILE])
def test_every_explanation_fits_one_message(text: str) -> None:
    text = text[:200]  # as feeds are cut
    for outcome in get_args(Outcome):
        for sets in (0, 2, 13):
            for one in explained(outcome, text, sets):
                subscriber = one.judged.subscriber
                assert subscriber is not None
                found = Explanation(address=mint(1), calls=(one, *[one] * 8), subscriber=subscriber)
                check(explanation_card(VIEW, found, NOW + timedelta(days=13)))


def test_times_are_those_of_their_zone_and_figures_are_short_beside_a_limit() -> None:
    rules: dict[str, Rule] = {"market_cap_usd": Range(None, 1e6), "liquidity_usd": Range(None, 20_000.0)}
    subscriber = Subscriber(
        user_id=7,
        chat_id=7,
        name="Ann",
        created_at=NOW,
        paid_until=NOW + timedelta(days=1),
        preferences=Preferences(time_zone="Asia/Tokyo"),
        filter_sets=(FilterSet(user_id=7, number=1, name="", rules=rules),),
    )
    token = Token(address=mint(1), symbol="FROG", market_cap_usd=1_005_419.41, liquidity_usd=20_000.3)
    call = Call(id="c", token=token, channel=Channel(id="@a"), called_at=NOW, received_at=NOW)
    decided = DecidedCall(call=call, decided_at=NOW, reason="first_check", checked_channels=())
    judged = judge(subscriber, call, NOW, given_up=None)
    one = CallExplanation(decided=decided, shown=call, outcome="failed", judged=judged)
    found = Explanation(address=token.address, calls=(one,), subscriber=subscriber)
    said = shown(explanation_card(VIEW, found, NOW).html)
    assert "Market cap $1.01M, needs ≤ $1M" in said
    assert "Liquidity $20,000.3, needs ≤ $20k" in said
    assert f"Called {NOW.astimezone(ZoneInfo('Asia/Tokyo')):%d %b %Y, %H:%M}" in said
    assert said.replace("\u2060", "").endswith("Times: Asia/Tokyo")


@pytest.mark.parametrize("text", [LONG, *HOSTILE])
def test_every_page_of_near_misses_fits_one_message(text: str) -> None:
    call = hostile_call(text)
    decided = DecidedCall(call=call, decided_at=NOW, reason="first_check", checked_channels=())
    filter_set = hostile_subscriber(text, 1).filter_sets[0]
    found = tuple(
        NearMiss(decided=decided, filter_set=filter_set, rule=rule) for rule in explain(filter_set, call).rules
    )
    misses = NearMisses(found=found, calls_checked=2000, complete=False, since=NOW, time_zone="Europe/Berlin")
    for page in range(-1, 9):
        check(near_misses_card(VIEW, misses, page))


@pytest.mark.parametrize(
    ("count", "complete", "said"),
    [
        (100, False, "Calls that failed a single rule: the newest 100, of 300 checked"),
        (99, False, "Calls that failed a single rule: 99, of 300 checked"),
        (99, True, "Calls that failed a single rule: 99, of 300 checked"),
    ],
)
def test_a_search_that_ended_early_is_no_count(count: int, complete: bool, said: str) -> None:  # noqa: FBT001
    call = hostile_call("x")
    decided = DecidedCall(call=call, decided_at=NOW, reason="first_check", checked_channels=())
    filter_set = hostile_subscriber("x", 1).filter_sets[0]
    miss = NearMiss(decided=decided, filter_set=filter_set, rule=explain(filter_set, call).rules[0])
    misses = NearMisses(found=(miss,) * count, calls_checked=300, complete=complete, since=NOW, time_zone="UTC")
    assert said in shown(near_misses_card(VIEW, misses, 0).html)


def check(message: Message) -> None:
    assert_sendable(message.html)
    for button in (button for row in message.keyboard for button in row):
        assert 1 <= units(button.text) <= 64
        assert button.data is not None
        assert len(button.data.encode()) <= 64


@pytest.mark.parametrize("field", FIELDS, ids=[field.key for field in FIELDS])
def test_a_value_knows_where_it_came_from(field: FilterField) -> None:
    """Only figures of the token have an origin; a field reads those that it is made of."""
    read = figures_read(field, hostile_call("x"))
    assert read <= set(Token.__struct_fields__)
    if field.key in Token.__struct_fields__:
        assert read == {field.key}


async def test_a_muted_channel_is_named_as_a_mute_and_is_no_rule(world: World) -> None:
    await world.joins(7, {**HOLDERS, "market_cap_usd": Range(None, 1e6)})
    chat = Chat(world, 7)
    await world.edits(7, preferences=Preferences(muted_channels={"@other": "Other", "@loud": "Loud"}))
    await world.tick()
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    text = shown((await chat.writes(f"/why {mint(1)}")).text or "")
    assert "✓ It passed your filters." in text
    assert "(all 2 rules passed)" in text
    assert "Channels" not in text
    await world.tick()
    await world.decides(world.call("c2", mint(2), channel="@loud", holders=500, market_cap_usd=50_000.0))
    text = shown((await chat.writes(f"/why {mint(2)}")).text or "")
    assert "⊘ You had muted The @\u2060loud: none of your filters takes its calls" in text
    assert "channel muted" in text
    assert "(all 2 rules passed)" in text
    await world.tick()
    await world.decides(world.call("c3", mint(1), channel="@loud", holders=500, market_cap_usd=50_000.0))
    text = shown((await chat.writes(f"/why {mint(1)}")).text or "")
    assert "⊘ You had muted The @\u2060loud: none of your filters" in text, "whoever called it before"
    assert "No near misses" in shown((await chat.writes("/why")).text or "")


@pytest.mark.parametrize("again", [False, True])
async def test_of_a_dead_token_it_is_said_that_it_is_dead_and_since_when(world: World, again: bool) -> None:  # noqa: FBT001 - a parameter
    await world.joins(7, {"holders": Range(minimum=100.0, missing="wait", wait_minutes=10)})
    await world.tick()
    died_at = datetime(2026, 11, 3, 8, 30, tzinfo=UTC)
    followed = """
        INSERT INTO outcomes (call_id, number, token_address, channel_id, called_at, opened_at, measure, price_usd,
            ended_at, ending) VALUES ($1, $2, $3, '@alpha', $4, $4, 'price', $5, $6, $7)
    """
    await world.postgres.execute(followed, "old", 1, mint(1), died_at - timedelta(days=1), 0.1, died_at, "liquidity")
    price = 0.1 if again else None
    await world.postgres.execute(followed, "c1", 2, mint(1), world.clock(), price, None, None)
    call = world.call("c1", mint(1))
    await world.decides(call)
    said = "☠️ As far as I know the token is dead, since 03 Nov 2026, 08:30 (UTC): its pool was emptied."
    for how in (f"/why {mint(1)}", ShowWhy.of(mint(1), "c1").pack()):
        chat = Chat(world, 7)
        answer = await (chat.writes(how) if how.startswith("/") else chat.taps(how))
        assert isinstance(answer, Said)
        text = shown(answer.text or "")
        assert "some figures are not known yet" in text
        assert (said in text) is not again, "one that is traded again is not dead"
