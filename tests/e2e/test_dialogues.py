"""A person and the bot, with everything between them real: Telegram's wire, Redis, PostgreSQL, the feed's socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace
from solders.pubkey import Pubkey

from composition import Composition
from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Range
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.stores import keys
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import ADMIN, set_filter, subscribe, text_of


def is_alert(message: JsonObject) -> bool:
    return bool(copied_addresses(message))


async def called(feed: FeedSandbox, user: SandboxUser, **token: object) -> JsonObject:
    """Publish a call with these figures and return the alert for it."""
    call = publish(feed, **token)
    return await user.next_message(where=lambda m: call.token.address in copied_addresses(m))


def publish(feed: FeedSandbox, **token: object) -> Call:
    call = new_call(feed)
    return feed.publish(replace(call, token=replace(call.token, **token)))


def new_call(feed: FeedSandbox) -> Call:
    """Return the next call of a token that nobody has called: a repost would tell nobody anything new."""
    call = feed.market.next_call(datetime.now(UTC))
    while call.token.address in feed.emitted:
        call = feed.market.next_call(datetime.now(UTC))
    return call


async def test_a_new_person_gets_a_trial_picks_a_preset_and_is_told_of_a_call(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    greeting = await ann.next_message()
    assert "Ann" in greeting["text"]
    assert "7" in greeting["text"]
    await ann.tap_data(greeting, "preset:everything")
    alert = await called(feed, ann, name="Moon Cat", symbol="MCAT", market_cap_usd=123_456.0)
    assert "Moon Cat" in text_of(alert)
    assert "123" in text_of(alert)


async def test_the_next_call_obeys_a_changed_filter(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    saved = await set_filter(ann, "market_cap_usd", "50k - 100k")
    assert "$50k" in text_of(saved)
    too_large = publish(feed, market_cap_usd=100_001.0)
    alert = await called(feed, ann, market_cap_usd=100_000.0)
    assert too_large.token.address not in copied_addresses(alert)
    assert sum(map(is_alert, ann.messages)) == 1


NO_RANGES = ("5²", "abc", "NaN", "Infinity", "1e999", "100k - 50k", "🚀", "<b>", "1" * 4096)


async def test_bad_input_is_explained_and_changes_nothing(bot: Composition, telegram: TelegramSandbox) -> None:
    async def type_in(person: SandboxUser, typed: str) -> None:
        await subscribe(person, "everything")
        before = await bot.of(SubscriberServices).subscribers.require(person.id)
        answer = await set_filter(person, "market_cap_usd", typed)
        assert "stays at" in text_of(answer), typed
        assert await bot.of(SubscriberServices).subscribers.require(person.id) == before

    # Each by somebody else, at the same time: a chat takes three messages in three seconds.
    await asyncio.gather(*(type_in(telegram.user(f"Ann {n}"), typed) for n, typed in enumerate(NO_RANGES)))


async def test_a_token_is_told_once_whoever_calls_it_again(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    first = publish(feed)
    for n in range(5):
        feed.publish(replace(first, id=f"again-{n}", cursor=None))
    await called(feed, ann)
    assert [address for m in ann.messages for address in copied_addresses(m)].count(first.token.address) == 1


async def test_pause_and_resume(bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox) -> None:
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    await subscribe(ann, "everything")
    await subscribe(ben, "everything")
    await ann.send("/pause")
    await ann.next_message(where=lambda m: "/resume" in m.get("text", ""))
    await called(feed, ben)
    assert not any(map(is_alert, ann.messages))
    await ann.send("/resume")
    await ann.next_message(where=lambda m: "Alerts are on" in m.get("text", ""))
    await called(feed, ann)


async def held_in_quiet_hours(feed: FeedSandbox, ann: SandboxUser, ben: SandboxUser) -> Call:
    """Somebody's call that came in their quiet hours; somebody else got it."""
    await ann.tap_data(await delivery_menu(ann), "dask:quiet")
    question = await ann.next_message(where=lambda m: "When should I be quiet" in text_of(m))
    await ann.send("0:00-23:59")
    await ann.next_message(where=lambda m: m["message_id"] > question["message_id"] and "00:00-23:59" in text_of(m))
    call = publish(feed)
    await ben.next_message(where=lambda m: call.token.address in copied_addresses(m))
    return call


async def delivery_menu(person: SandboxUser) -> JsonObject:
    await person.send("/delivery")
    return await person.next_message(where=lambda m: "How alerts reach you" in text_of(m))


async def test_what_was_held_comes_when_quiet_hours_are_turned_off(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    await subscribe(ann, "everything")
    await subscribe(ben, "everything")
    call = await held_in_quiet_hours(feed, ann, ben)
    await until(lambda: bot.metrics.counts.alerts_deferred == 1)
    assert not any(map(is_alert, ann.messages))
    await ann.tap_data(await delivery_menu(ann), "dask:quiet")
    question = await ann.next_message(where=lambda m: "When should I be quiet" in text_of(m))
    await ann.tap_data(question, "dclear:quiet")
    answer = await ann.next_message(where=lambda m: "Quiet hours: off" in text_of(m))
    assert "1 call that was held comes now." in text_of(answer)
    digest = await ann.next_message(where=lambda m: "While it was quiet" in text_of(m))
    assert call.token.address in text_of(digest)


async def test_who_blocks_the_bot_is_left_alone_until_he_comes_back(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    await subscribe(ann, "everything")
    await subscribe(ben, "everything")
    paid_until = (await bot.of(SubscriberServices).subscribers.require(ann.id)).paid_until
    ann.chat.is_blocked = True  # without the update that usually tells of it
    (missed,) = copied_addresses(await called(feed, ben))
    await until(lambda: bot.metrics.counts.alerts_deferred == 1)
    gone = await bot.of(SubscriberServices).subscribers.require(ann.id)
    assert gone.unreachable
    assert gone.paid_until == paid_until
    await ann.send("/start")
    await ann.next_message(where=lambda m: "Welcome back" in m.get("text", ""))
    digest = await ann.next_message(where=lambda m: "could not reach you" in m.get("text", ""))
    assert missed in digest["text"]
    await called(feed, ann)


async def test_a_long_digest_is_one_message_whose_rest_is_shown_on_request(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    ann.chat.is_blocked = True  # without the update that usually tells of it
    addresses = [publish(feed).token.address for _ in range(20)]
    await until(lambda: bot.metrics.counts.alerts_deferred == len(addresses))
    await ann.send("/start")
    digest = await ann.next_message(where=lambda m: "could not reach you" in m.get("text", ""))
    assert "And 5 more" in digest["text"]
    assert not copied_addresses(digest), "the page says that what comes in a digest is not timed"
    first = [address for address in addresses if address in digest["text"]]
    assert len(first) == 15
    asks = digest["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    async with asyncio.timeout(10):
        while "written down" in ((await ann.tap_data(digest, asks)).get("text") or ""):  # noqa: ASYNC110 - Telegram has no event
            await asyncio.sleep(0.05)
    rest = await ann.next_message(where=lambda m: "Calls 16 to 20 of 20" in m.get("text", ""))
    assert sorted([*first, *(address for address in addresses if address in rest["text"])]) == sorted(addresses)
    assert "the order is that of the first message" in rest["text"], "its figures are newer"
    await ann.send("/digest")
    again = await ann.next_message(where=lambda m: "Calls 1 to 15 of 20" in m.get("text", ""))
    assert sorted(address for address in addresses if address in again["text"]) == sorted(first)
    await ann.tap_data(again, _data_of(again, "Next"))
    await ann.next_message(where=lambda m: "Calls 16 to 20" in m.get("text", ""))
    await bot.connections.redis.delete(keys.TOLD_ORDER.of(ann.id))
    await ann.send("/digest")
    anew = await ann.next_message(where=lambda m: "Calls 1 to 15 of 20" in m.get("text", ""))
    assert "the order may be another than in the first message" in anew["text"]


def _data_of(message: JsonObject, text: str) -> str:
    rows: list[list[JsonObject]] = message["reply_markup"]["inline_keyboard"]
    return next(button["callback_data"] for row in rows for button in row if text in button["text"])


async def test_a_channel_is_muted_by_one_tap_and_listed_by_name(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    first = publish(feed, name="Moon Cat", symbol="MCAT")
    alert = await ann.next_message(where=lambda m: first.token.address in copied_addresses(m))
    channel = first.channel
    title = channel.title or channel.id
    own = _labels(alert)
    asked = await _asked_under(ann, alert)
    assert _labels(asked) == [
        *own,
        "🔇 $MCAT · Moon Cat for a day",
        f"🔇 Channel {title}",
        "😴 Everything for 1 hour",
        "‹ Back",
    ]
    await ann.tap("‹ Back", asked)
    assert _labels(await ann.next_message(where=lambda m: m["message_id"] == alert["message_id"])) == own
    asked = await _asked_under(ann, alert)
    toast = await ann.tap_data(asked, _data_of(asked, "Channel"))
    assert f"{title} is muted" in toast["text"].replace("\u2060", "")
    muted = await ann.next_message(where=lambda m: f"🔔 Channel {title} muted · undo" in _labels(m))
    assert muted["message_id"] == alert["message_id"], "the alert itself shows it"
    assert "🔇 Muted" in _labels(muted)
    silenced = feed.publish(replace(new_call(feed), channel=channel))
    other = Channel(id="@another", title="Another")
    heard = feed.publish(replace(new_call(feed), channel=other))
    await ann.next_message(where=lambda m: heard.token.address in copied_addresses(m))
    assert not any(silenced.token.address in copied_addresses(m) for m in ann.messages)
    toast = await ann.tap_data(muted, _data_of(muted, "undo"))
    assert f"{title}: you get its calls again" in toast["text"].replace("\u2060", "")
    assert _labels(await ann.next_message(where=lambda m: m["message_id"] == alert["message_id"])) == own
    for what in ("for a day", "Everything"):
        asked = await _asked_under(ann, alert)
        toast = await ann.tap_data(asked, _data_of(asked, what))
        assert "muted until" in toast["text"]
    await ann.send("/delivery")
    delivery = await ann.next_message(where=lambda m: "How alerts reach you" in m.get("text", ""))
    await ann.tap("🔇 Muted: 2", delivery)
    listed = await ann.next_message(where=lambda m: "Muted: 1 token." in m.get("text", ""))
    assert "Everything is muted until" in listed["text"]
    toast = await ann.tap_data(listed, _data_of(listed, "Everything"))
    assert toast["text"] == "🔔 Everything is unmuted.\n🟢 Alerts are on."
    toast = await ann.tap_data(listed, _data_of(listed, "MCAT"))
    assert "$MCAT · Moon Cat: you get its alerts again" in toast["text"].replace("\u2060", "")
    await ann.next_message(where=lambda m: "Nothing is muted" in m.get("text", ""))


async def test_to_undo_what_was_unmuted_elsewhere_changes_nothing_and_says_so(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    call = publish(feed, name="Moon Cat", symbol="MCAT")
    alert = await ann.next_message(where=lambda m: call.token.address in copied_addresses(m))
    title, own = call.channel.title or call.channel.id, _labels(alert)
    for what, name in (("for a day", "$MCAT · Moon Cat"), ("Channel", title)):
        asked = await _asked_under(ann, alert)
        await ann.tap_data(asked, _data_of(asked, what))
        muted = await ann.next_message(where=lambda m: any("undo" in label for label in _labels(m)))
        await ann.send("/delivery")
        delivery = await ann.next_message(where=lambda m: "How alerts reach you" in m.get("text", ""))
        await ann.tap("🔇 Muted: 1", delivery)
        listed = await ann.next_message(where=lambda m: "🔇 Muted: 1 " in m.get("text", ""))
        await ann.tap_data(listed, _data_of(listed, "✖"))
        before = await bot.of(SubscriberServices).subscribers.require(ann.id)
        toast = await ann.tap_data(muted, _data_of(muted, "undo"))
        assert f"{name} is not muted any more" in toast["text"].replace("\u2060", "")
        plain = await ann.next_message(where=lambda m: m["message_id"] == alert["message_id"])
        assert _labels(plain) == own
        assert await bot.of(SubscriberServices).subscribers.require(ann.id) == before


def _labels(message: JsonObject) -> list[str]:
    rows: list[list[JsonObject]] = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"].replace("\u2060", "") for row in rows for button in row]


async def _asked_under(person: SandboxUser, alert: JsonObject) -> JsonObject:
    """The alert, once it asks what to mute."""
    await person.tap_data(alert, _data_of(alert, "🔇 Mute"))
    return await person.next_message(where=lambda m: m["message_id"] == alert["message_id"] and "‹ Back" in _labels(m))


async def test_the_end_of_a_trial_stops_alerts_and_keeps_the_settings(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    await subscribe(ann, "everything")
    await subscribe(ben, "everything")
    ended = replace(
        await bot.of(SubscriberServices).subscribers.require(ann.id),
        paid_until=bot.bot.services.conversation.clock() - timedelta(seconds=1),
    )
    await bot.of(SubscriberServices).subscribers._save(ended)  # pyright: ignore[reportPrivateUsage] - time passes for nobody else
    await called(feed, ben)
    assert not any(map(is_alert, ann.messages))
    assert (await bot.of(SubscriberServices).subscribers.require(ann.id)).filter_sets


async def test_status_and_help(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await ann.send("/status")
    assert "trial" in (await ann.next_message(where=lambda m: "rial" in m.get("text", "")))["text"].lower()
    await ann.send("/help")
    text = (await ann.next_message(where=lambda m: "/settings" in m.get("text", "")))["text"]
    assert "/health" not in text


async def test_admin_commands_are_for_admins(bot: Composition, telegram: TelegramSandbox) -> None:
    ann, admin = telegram.user("Ann"), telegram.user("Admin", user_id=ADMIN)
    await ann.send("/users")
    assert "don't know" in (await ann.next_message())["text"]
    await admin.send("/health")
    report = (await admin.next_message())["text"]
    assert "redis" in report.lower()
    await admin.send("/users")
    await admin.next_message()
    await admin.send("/help")
    assert "/health" in (await admin.next_message())["text"]


async def test_an_admin_gets_their_menu_with_their_first_command(bot: Composition, telegram: TelegramSandbox) -> None:
    def menu_of(person: SandboxUser) -> set[str]:
        return {each["command"] for each in telegram.cloud.commands_of(person.chat)}

    ann, admin = telegram.user("Ann"), telegram.user("Admin", user_id=ADMIN)
    await until(lambda: "start" in menu_of(admin))
    assert "health" not in menu_of(admin)
    await admin.send("/start")
    await ann.send("/start")
    await until(lambda: "health" in menu_of(admin))
    assert "health" not in menu_of(ann)


async def test_an_edited_command_is_not_run_twice(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    sent = await ann.send("/start")
    await ann.next_message()
    await ann.send("/start again", edit_of=sent["message_id"])
    assert "follow edits" in (await ann.next_message())["text"]
    await ann.send("/help")
    assert "/settings" in (await ann.next_message())["text"]


async def test_settings_survive_an_empty_redis(bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await bot.of(Journal).drain_all()
    await bot.connections.redis.transaction([("FLUSHALL",)])
    await ann.send("/status")
    assert "trial" in (await ann.next_message(where=lambda m: "rial" in m.get("text", "")))["text"].lower()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.01)


async def test_a_call_that_lacks_a_figure_is_told_late_when_the_figure_arrives(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await bot.of(SubscriberServices).sets.set_rule(
        ann.id, 1, "holders", Range(minimum=100, missing="wait", wait_minutes=5)
    )
    mint = str(Pubkey.new_unique())
    young = Token(address=mint, name="Late Bloomer", market_cap_usd=50_000.0, liquidity_usd=9_000.0)
    channel = Channel(id="@somebody", title="Somebody")
    now = datetime.now(UTC)
    feed.publish(Call(id="early", token=young, channel=channel, called_at=now, received_at=now))
    await called(feed, ann, holders=150)
    assert mint not in {address for message in ann.messages for address in copied_addresses(message)}
    known = replace(young, holders=400)
    feed.publish(Call(id="again", token=known, channel=channel, called_at=now, received_at=now))
    alert = await ann.next_message(timeout_s=30, where=lambda m: mint in copied_addresses(m))
    assert "after the call" in text_of(alert)
