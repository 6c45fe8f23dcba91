"""The whole bot in the sandbox: an admin says something to everybody, in the chat, and sees what came of it."""

from __future__ import annotations

import asyncio

import pytest

from composition import Composition
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import ADMIN, bot, data_dir, feed, subscribe, telegram, text_of

__all__ = ["bot", "data_dir", "feed", "telegram"]

SAID = "<b>Maintenance</b> tonight, 2 < 3 & all is well"
READ = "Maintenance tonight, 2 < 3 & all is well"


@pytest.fixture
async def admin(telegram: TelegramSandbox) -> SandboxUser:
    admin = telegram.user("Admin", user_id=ADMIN)
    await subscribe(admin, "everything")
    return admin


async def written(admin: SandboxUser, text: str = SAID) -> None:
    await admin.send("/broadcast")
    await admin.next_message(where=lambda m: "Broadcasts" in text_of(m))
    await admin.tap("✍ New broadcast")
    await admin.next_message(where=lambda m: "Send me the text" in text_of(m))
    await admin.send(text)
    await admin.next_message(where=lambda m: "draft" in text_of(m))


async def joe_has_left(bot: Composition, user_id: int) -> None:
    """Telegram has told the bot that somebody blocked it."""
    async with asyncio.timeout(10):
        while not (await bot.of(SubscriberServices).subscribers.require(user_id)).unreachable:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def news(person: SandboxUser) -> list[str]:
    return [text_of(m) for m in person.messages if READ in text_of(m) and "Broadcast" not in text_of(m)]


@pytest.mark.timeout(90)
async def test_everybody_gets_it_once_but_who_wants_no_news_or_has_left(
    bot: Composition, telegram: TelegramSandbox, admin: SandboxUser
) -> None:
    ann, ben, eve, joe = (telegram.user(name) for name in ("Ann", "Ben", "Eve", "Joe"))
    for person in (ann, ben, eve, joe):
        await subscribe(person, "everything")
    await ben.send("/delivery")
    await ben.next_message(where=lambda m: "News from the operator: on" in str(m))
    await ben.tap("📰 News from the operator: on")
    await ben.next_message(where=lambda m: "no more news" in text_of(m))
    joe.block()
    eve.deactivate()
    await joe_has_left(bot, joe.id)
    await bot.of(Journal).drain_all()
    await written(admin)
    assert news(admin)[-1] == READ, "it is shown to who wrote it"
    await admin.tap("🧪 Send it to me")
    await admin.tap("📣 Send now …")
    asked = await admin.next_message(where=lambda m: "Send it now to" in text_of(m))
    assert "3 people (Everybody)" in text_of(asked)
    await admin.tap("Yes, send it to all of them")
    over = await admin.next_message(where=lambda m: "Broadcast done." in text_of(m))
    assert "went to 2 of 3 people" in text_of(over)
    assert "Have blocked the bot: 1" in text_of(over)
    assert [len(news(person)) for person in (ann, ben, eve, joe)] == [1, 0, 0, 0]
    await ann.tap("🔕 No more news")
    assert not (await bot.of(SubscriberServices).subscribers.require(ann.id)).preferences.news
