"""Buttons of channels that are read, where somebody was quicker; what leads back; what was removed and is read anew."""

from __future__ import annotations

import asyncio

import pytest

from composition import Composition
from handlers.admin.running.reading_buttons import (
    AcceptSuggestion,
    AskRemoveReading,
    PauseReading,
    RefuseSuggestion,
    ResumeReading,
    ShowRead,
    ShowReading,
)
from managers.channels.base import BlockedError
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.updates import JsonObject
from services.channels.listed import ListedChannels
from services.channels.polling import PollingService
from tests.channels.channel_book import ChannelBook
from tests.channels.support import ALPHA
from tests.channels.test_chat import admin, ann, book, bot, deeds, one, posted, said, shown, until
from tests.e2e.conftest import telegram, text_of

__all__ = ["admin", "ann", "book", "bot", "telegram"]
pytestmark = pytest.mark.timeout(60)


def now_shown(user: SandboxUser, message: JsonObject) -> str:
    return text_of(next(one for one in user.messages if one["message_id"] == message["message_id"]))


async def test_who_comes_second_sees_the_channel_as_it_is_and_that_it_was_done(
    bot: Composition, book: ChannelBook, admin: SandboxUser, ann: SandboxUser
) -> None:
    await posted(bot, book, "gm")
    listed = bot.of(ListedChannels)
    menu = await said(admin, "/channels", "Channels that are read: 1")
    await listed.change(ALPHA, "paused", of=("read",))
    assert "done already" in (await admin.tap_data(menu, PauseReading(ALPHA).pack()))["text"]
    assert "⏸ Paused" in now_shown(admin, menu)
    await listed.change(ALPHA, "removed", of=("paused",))
    assert "done already" in (await admin.tap_data(menu, AskRemoveReading(ALPHA).pack()))["text"]
    assert "changed it meanwhile" in (await admin.tap_data(menu, PauseReading(ALPHA).pack()))["text"]
    assert "🗑 Removed" in now_shown(admin, menu)
    await said(ann, "/suggest @gems", "is suggested")
    await listed.decide("@gems", 5, is_accepted=False)
    assert "done already" in (await admin.tap_data(menu, RefuseSuggestion("@gems").pack()))["text"]
    assert "❌ Refused" in now_shown(admin, menu)
    assert "changed it meanwhile" in (await admin.tap_data(menu, AcceptSuggestion("@gems").pack()))["text"]
    assert {end for _, _, end in await deeds(bot)} == {"refused"}


async def test_a_removed_channel_that_is_read_again_is_said_to_start_anew(
    bot: Composition, book: ChannelBook, admin: SandboxUser
) -> None:
    await posted(bot, book, "gm")
    await bot.of(ListedChannels).change(ALPHA, "removed", of=("read",))
    menu = await said(admin, "/channels", "None yet")
    answer = await admin.tap_data(menu, ResumeReading(ALPHA).pack())
    assert "The first look calls nothing" in answer["text"]
    await until_read(bot, ALPHA)


async def until_read(bot: Composition, channel: str) -> None:
    """Until its first look is over: only its row says so."""
    async with asyncio.timeout(20):
        while (await one(bot, channel)).read_to is None:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


async def test_back_leads_to_where_one_came_from(bot: Composition, admin: SandboxUser, ann: SandboxUser) -> None:
    listed = bot.of(ListedChannels)
    for number in range(10):
        await listed.add(f"beta_{number}", 7)
    menu = await said(admin, "/channels", "Channels that are read: 11")
    await admin.tap_data(menu, ShowRead("@beta_8").pack())
    card = next(one for one in admin.messages if one["message_id"] == menu["message_id"])
    (back,) = [one["callback_data"] for one in callback_buttons(card) if "Back" in one["text"]]
    assert back == ShowReading("read", 1).pack()
    await said(ann, "/suggest @gems", "is suggested")
    menu = await said(admin, "/channels", "Channels that are read")
    await admin.tap_data(menu, ShowReading("suggested", 0).pack())
    await admin.tap_data(menu, ShowRead("@gems").pack())
    await shown(admin, "👤 Who suggested it", str(ann.id))
    await shown(admin, "Back", "💡 Suggested on")


async def test_what_stands_in_the_way_of_adding_and_suggesting_is_said(
    bot: Composition, admin: SandboxUser, ann: SandboxUser
) -> None:
    listed = bot.of(ListedChannels)
    await said(admin, "/channels", "Channels that are read: 1")
    await shown(admin, "➕ Add …", "Which channel?")
    await said(admin, " ".join(f"@many_{number}" for number in range(60)), "60 names; I take 50 at once")
    assert len(await listed.all()) == 1
    await said(admin, "@beta", "The first look calls nothing")
    assert [about for _, about, end in await deeds(bot) if end == "done"] == ["@beta"], "said once"
    await until_read(bot, "@beta")
    await listed.change("@beta", "paused", of=("read",))
    await said(ann, "/suggest @beta", "the admins have paused it")
    await shown(admin, "➕ Add …", "Which channel?")
    await said(admin, "@beta", "was paused and is read again")
    await listed.change("@beta", "removed", of=("read",))
    await said(ann, "/suggest @beta", "took it off the list. They are not asked again")
    await said(ann, "/suggest gems extra", "one channel at a time")
    await said(ann, "/suggest @gems @more_gems", "one channel at a time")
    await said(ann, "/suggest please read @gems", "@gems is suggested".replace("@", "@\u2060"))
    await said(ann, "/suggest @gems", "is suggested already")
    await listed.decide("@gems", 5, is_accepted=False)
    await said(ann, "/suggest @gems", "decided not to read it. They are not asked again")


async def test_a_channel_without_a_title_is_named_once(bot: Composition, admin: SandboxUser, ann: SandboxUser) -> None:
    await bot.of(ListedChannels).suggest("untitled", 5)
    linked = text_of(await said(ann, "@untitled", "untitled"))
    assert linked.partition("\n")[0].count("untitled") == 1
    await bot.of(ListedChannels).decide("@untitled", 5, is_accepted=True)
    await bot.of(ListedChannels).change("@untitled", "paused", of=("read",))
    menu = await said(admin, "/channels", "Channels that are read")
    await admin.tap_data(menu, AskRemoveReading("@untitled").pack())
    assert now_shown(admin, menu).partition("?")[0].count("untitled") == 1


async def test_of_a_post_that_was_not_read_yet_it_is_said_when_it_will_be(
    bot: Composition, book: ChannelBook, ann: SandboxUser
) -> None:
    await posted(bot, book, "gm")
    await said(ann, "https://t.me/alpha/99", "I look at this channel every 1s")
    await said(ann, "https://t.me/c/1234567890/12", "a post in a private chat")
    await said(ann, "/why https://t.me/c/1234567890/4/12?single", "a post in a private chat")
    book.problem = BlockedError("429", for_s=20.0)
    await until(lambda: bot.of(PollingService).blocked_since is not None)
    blocked = text_of(await said(ann, "https://t.me/alpha/99", "I can read no channel"))
    assert "every" not in blocked
