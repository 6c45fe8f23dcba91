"""An owner says that two channels are one, sees what that puts together, and takes it back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace

from composition import Composition
from domain.calls.events import Call, Channel
from domain.filters.registry import Choice, Range, Rule
from domain.reports.figures import Window
from handlers.delivery.buttons import MuteHere
from managers.storage.postgres import PostgresManager, Row
from runtime.errors import UserFacingError
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from services.reports.rows import ReportRows
from services.running.controls import Controls
from services.running.merging import Merging
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from services.tracking.records.group import RecordServices
from services.tracking.records.refreshing import RecordsRefresh
from tests.admin.people.house import OWNER, VICTIM, House
from tests.admin.running.test_mixins import add_channel
from tests.admin.running.test_whole_bot import admin, alerted, ann, confirmed, opened
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import Person
from tests.e2e.conftest import bot, data_dir, feed, subscribe, text_of
from tests.e2e.test_dialogues import is_alert, new_call
from tests.export.conftest import telegram, unhurried
from tests.reports.kit import Shelf

__all__ = ["admin", "ann", "bot", "data_dir", "feed", "telegram", "unhurried"]


async def test_an_owner_sees_what_is_put_together_and_takes_it_back(
    house: House, owner: Person, support: Person, victim: Person
) -> None:
    now = datetime.now(UTC)
    await add_channel(house, "@old_name", "Loud", now - timedelta(hours=3), now - timedelta(days=2))
    await add_channel(house, "@new_name", "Loud again", now - timedelta(hours=1))
    await victim.taps("preset:everything")
    sets = house.made.of(SubscriberServices).sets
    await sets.set_rule(VICTIM, 1, "channel", Choice(frozenset({"@old_name"})))
    await house.written()
    controls = house.made.of(Controls)
    await owner.taps("findchannel")
    card = await owner.taps(button(await owner.writes("old_name"), "Loud"))
    assert "@old_name" in words(card, "edited")
    await owner.taps(button(card, "🔗 Same as another"))
    assert "No channel is called “zzz”" in words(await owner.writes("zzz"))
    asked = await owner.writes("https://t.me/new_name")
    sure = await owner.taps(button(asked, "Loud again"))
    text = words(sure, "edited")
    assert "@old_name · 2 calls kept" in text
    assert "@new_name · 1 call kept" in text
    assert "Filters that name the first: 1, people who muted it: 0" in text
    assert controls.merges.mains == {}, "nothing before the second tap"
    done = await owner.taps(button(sure, "Yes, one channel"))
    assert toast(done) == "Done. Every process obeys within seconds."
    assert "The same as Loud again (@new_name)" in words(done, "edited")
    assert controls.merges.mains == {"@old_name": "@new_name"}
    blocked = words(await owner.taps(button(await owner.taps(button(done, "⛔ Block …")), "Yes, block")), "edited")
    assert "what the other channel is counts" in blocked
    assert "its calls reach nobody" not in blocked
    fresh = Controls(house.postgres, lambda: now)
    await fresh.load()
    assert fresh.merges == controls.merges, "every process reads it"
    listed = await owner.taps("adchannels:merged:0")
    assert "Channels that are another one: 1" in words(listed, "edited")
    main = await owner.taps(button(await owner.taps("adchannels:latest:0"), "Loud again"))
    assert "With the calls of: @old_name" in words(main, "edited")
    assert "1.5 calls a day" in words(main, "edited"), "three in the two days since the first"
    assert "yours is support" in alert(await support.taps("separate:x"))
    separate = await owner.taps(button(done, "✂ Separate again"))
    assert "Separate again" in (toast(separate) or "")
    assert controls.merges.mains == {}
    deeds = [(one.action, one.details.partition("; ")[2]) for one in await house.deeds()]
    assert deeds == [
        ("merge channels", "@old_name into @new_name"),
        ("block channel", "@old_name"),
        ("separate channels", "@old_name from @new_name"),
    ]


async def test_the_other_is_offered_to_nobody_and_still_read_where_somebody_types_it(
    house: House, victim: Person
) -> None:
    for name in ("old", "new"):
        await add_channel(house, f"@{name}_name", f"Channel {name}", datetime.now(UTC) - timedelta(hours=1))
    await house.made.bot.services.calls.channels.restore()
    await house.made.of(Merging).merge("@old_name", "@new_name", OWNER)
    shown = only(await victim.taps("channels:1:0"), "edited")
    assert [label.strip() for label in shown.buttons if "Channel" in label] == ["Channel new"]
    await victim.taps("field:1:channel")
    await victim.writes("t.me/old_name")
    (one, *_) = (await house.subscriber()).filter_sets
    assert one.rules["channel"] == Choice(frozenset({"@old_name"}))


async def test_what_is_merged_is_no_main_and_a_main_is_merged_into_nobody(house: House) -> None:
    merging, controls = house.made.of(Merging), house.made.of(Controls)
    assert await merging.merge("@a", "@b", OWNER) == "@b"
    assert await merging.merge("@c", "@a", OWNER) == "@b", "into the main of what was named"
    for other, named, why in (
        ("@b", "@d", "merge_has_others"),
        ("@b", "@a", "merge_same"),
        ("@a", "@a", "merge_is_merged"),
        ("@d", "@d", "merge_same"),
        ("@a", "@d", "merge_is_merged"),
    ):
        with pytest.raises(UserFacingError, match=why):
            await merging.merge(other, named, OWNER)
    assert controls.merges.others == {"@b": ("@a", "@c")}
    assert await merging.separate("@a", OWNER) == "@b"
    assert await merging.separate("@a", OWNER) is None
    assert controls.merges.mains == {"@c": "@b"}


async def test_two_owners_at_once_make_no_circle(house: House) -> None:
    merging = house.made.of(Merging)
    pairs = [("@a", "@b"), ("@b", "@c"), ("@c", "@a")]
    done = await asyncio.gather(*(merging.merge(*pair, OWNER) for pair in pairs), return_exceptions=True)
    assert all(isinstance(one, str | UserFacingError) for one in done)
    fresh = Controls(house.postgres, lambda: datetime.now(UTC))
    await fresh.load()
    rows = await house.postgres.fetch("SELECT subject, main FROM controls WHERE name = 'merged' AND until IS NULL")
    assert {row["subject"]: row["main"] for row in rows} == fresh.merges.mains, "each row names a main"
    assert rows


async def test_the_record_is_of_both_and_each_has_its_own_again(house: House) -> None:
    """Nine tokens, three of them called by both; the earlier calls won."""
    refresh, records = house.made.of(RecordsRefresh), house.made.of(RecordServices).records
    await outcomes(house)
    await refresh.refresh()
    alone = {name: await life(house, name) for name in ("@old", "@new")}
    assert alone == {"@old": (6, 6), "@new": (6, 6)}
    await house.made.of(Merging).merge("@old", "@new", OWNER)
    await refresh.refresh()
    assert await life(house, "@new") == (12, 9), "three tokens were called by both"
    assert [one.channel_id for one in (await records.channels("life", 0, 10)).standings] == ["@new"]
    await house.postgres.execute("UPDATE outcomes SET updated_at = now() WHERE channel_id = '@old'")
    await refresh.refresh()
    due = await house.postgres.fetch_row("SELECT due_at FROM records WHERE kind = 'channel' AND subject = '@new'")
    now = datetime.now(UTC)
    assert due
    assert due["due_at"] < now + timedelta(hours=1), "what becomes of the other's calls changes it"
    ranked, of = await ReportRows(house.postgres).channels(Window(start=now - timedelta(days=3), end=now), 5)
    assert ([(one.tokens, one.wins.hits if one.wins else 0) for one in ranked], of) == ([(9, 6)], 1)
    await house.made.of(Merging).separate("@old", OWNER)
    await refresh.refresh()
    assert {name: await life(house, name) for name in alone} == alone


async def outcomes(house: House) -> None:
    shelf, begin = Shelf(house.postgres), datetime.now(UTC) - timedelta(days=2)
    for number in range(9):
        if number < 6:
            await shelf.call(3.0, at=begin, token=f"T{number}", channel="@old")
        if number >= 3:
            await shelf.call(1.0, at=begin + timedelta(hours=1), token=f"T{number}", channel="@new")
    await house.postgres.execute("UPDATE outcomes SET updated_at = now()")


async def life(house: House, channel_id: str) -> tuple[int, int]:
    """Calls and tokens of its whole life."""
    found = await house.made.of(RecordServices).records.find("channel", channel_id)
    assert found
    return found.by_window["life"].calls, found.by_window["life"].tokens


def call_of(feed: FeedSandbox, channel: str, of: Call | None = None) -> Call:
    """Publish a call of a new token, or of one that another call named; the feed says nothing of who called it."""
    call = new_call(feed)
    channel_of = Channel(id=channel, title=channel.removeprefix("@").title())
    return feed.publish(
        replace(
            call,
            token=of.token if of else call.token,
            channel=channel_of,
            called_at=datetime.now(UTC),
            calling_channels=None,
            first_channel=None,
            first_market_cap_usd=None,
        )
    )


async def ruled(telegram: TelegramSandbox, bot: Composition, name: str, key: str, rule: Rule) -> SandboxUser:
    """Somebody with this rule alone."""
    person = telegram.user(name)
    await subscribe(person, "everything")
    await bot.of(SubscriberServices).sets.set_rule(person.id, 1, key, rule)
    return person


async def test_a_call_of_the_other_is_one_of_the_main_for_everybody(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox, ann: SandboxUser, admin: SandboxUser
) -> None:
    of_main = await ruled(telegram, bot, "Main", "channel", Choice(frozenset({"@main"})))
    of_other = await ruled(telegram, bot, "Other", "channel", Choice(frozenset({"@other"})))
    neither = await ruled(telegram, bot, "Neither", "channel", Choice(excluded=frozenset({"@other"})))
    of_two = await ruled(telegram, bot, "Two", "calling_channels", Range(minimum=2.0))
    for channel, people in (("@main", (ann, of_main, neither)), ("@other", (ann, of_other))):
        call = call_of(feed, channel)
        for person in people:
            await alerted(person, call)
    # Whoever mutes the other mutes what it turns out to be.
    await ann.tap_data(ann.messages[-1], MuteHere("channel", call.token.address).pack())
    await bot.of(Journal).drain_all()
    await opened(admin, "/channels", "the latest first")
    await admin.tap("Other")
    await admin.next_message(where=lambda m: "Last call" in text_of(m))
    await admin.tap("🔗 Same as another channel …")
    await admin.next_message(where=lambda m: "become its calls" in text_of(m))
    await admin.send("@main")
    await admin.next_message(where=lambda m: "Which of these is" in text_of(m))
    assert "obeys within seconds" in await confirmed(admin, "Main", "Yes, one channel")

    call = call_of(feed, "@other")
    for person in (of_main, of_other):
        await alerted(person, call)
    again = call_of(feed, "@main", of=call)
    third = call_of(feed, "@third", of=call)
    told = await of_two.next_message(where=lambda m: call.token.address in copied_addresses(m))
    assert "Third" in text_of(told), "the second call was of no new channel"
    await bot.of(Journal).drain_all()
    rows = await bot.connections.postgres.fetch(
        "SELECT channel_id, document #>> '{channel,id}' AS known_as, document ->> 'calling_channels' AS callers"
        " FROM calls WHERE call_id = ANY($1) ORDER BY number",
        [call.id, again.id, third.id],
    )
    assert [tuple(row) for row in rows] == [("@other", "@main", "1"), ("@third", "@third", "2")], "again: by nobody"
    await of_other.send(f"/why {call.token.address}")
    newest = await of_other.next_message(where=lambda m: "Called by Third" in text_of(m))
    await of_other.tap_data(newest, newest["reply_markup"]["inline_keyboard"][0][0]["callback_data"])
    why = text_of(await of_other.next_message(where=lambda m: "Called by Main" in text_of(m)))
    assert "✓ Channels @\u2060other" in why, "the stored call says by which names it was known"

    await opened(admin, "/channels", "the latest first")
    await admin.tap("Other")
    await admin.next_message(where=lambda m: "The same as" in text_of(m))
    assert "Separate again" in (await admin.tap("✂ Separate again"))["text"]
    await alerted(of_other, call_of(feed, "@other"))
    last = call_of(feed, "@main")
    for person in (ann, of_main, neither):
        await alerted(person, last)
    assert [sum(map(is_alert, one.messages)) for one in (ann, of_main, of_other, neither)] == [4, 3, 3, 3]


class Delayed:
    """PostgreSQL whose answers come when they may."""

    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres
        self.read, self.may_answer = asyncio.Event(), asyncio.Event()

    async def fetch(self, *asked: Any) -> list[Row]:
        rows = await self._postgres.fetch(*asked)
        self.read.set()
        await self.may_answer.wait()
        return rows


async def test_what_was_read_before_something_was_done_does_not_undo_it(house: House) -> None:
    postgres = Delayed(house.postgres)
    controls = Controls(cast("PostgresManager", postgres), lambda: datetime.now(UTC))
    loading = asyncio.create_task(controls.load())
    await postgres.read.wait()
    put = await Controls(house.postgres, lambda: datetime.now(UTC)).put("feature", "trials", "", 7)
    controls.note(put)
    postgres.may_answer.set()
    await loading
    assert controls.is_off("trials")
