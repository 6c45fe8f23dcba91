"""Buttons of channels that are read, where somebody was quicker; what leads back; what was removed and is read anew."""

from __future__ import annotations

import pytest

from composition import Composition
from handlers.admin.running.reading_buttons import (
    AcceptSuggestion,
    AskRemoveReading,
    PauseReading,
    RefuseSuggestion,
    ResumeReading,
    ShowReading,
)
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.updates import JsonObject
from services.channels.listed import ListedChannels
from tests.channels.channel_book import ChannelBook
from tests.channels.support import ALPHA
from tests.channels.test_chat import admin, ann, book, bot, deeds, one, posted, said, shown
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
    await until_read_again(bot)


async def until_read_again(bot: Composition) -> None:
    while (await one(bot, ALPHA)).read_to is None:
        pass


async def test_back_leads_to_where_one_came_from(bot: Composition, admin: SandboxUser, ann: SandboxUser) -> None:
    listed = bot.of(ListedChannels)
    for number in range(10):
        await listed.add(f"beta_{number}", 7)
    await said(admin, "/channels", "Channels that are read: 11")
    await shown(admin, "Next", "beta_8")
    await shown(admin, "beta_8", "in the list since")
    await shown(admin, "Back", "beta_8")
    await said(ann, "/suggest @gems", "is suggested")
    menu = await said(admin, "/channels", "Channels that are read")
    await admin.tap_data(menu, ShowReading("suggested", 0).pack())
    await shown(admin, "gems", "💡 Suggested on")
    await shown(admin, "👤 Who suggested it", str(ann.id))
    await shown(admin, "Back", "💡 Suggested on")
