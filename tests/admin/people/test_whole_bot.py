"""The whole bot in the sandbox: who is banned gets no alert, and what admins did arrives as a file."""

from __future__ import annotations

import pytest

from composition import Composition
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.conftest import ADMIN, bot, data_dir, feed, subscribe, telegram, text_of
from tests.e2e.test_dialogues import called

__all__ = ["bot", "data_dir", "feed", "telegram"]


async def confirmed(admin: SandboxUser, asks: str, yes: str) -> str:
    await admin.tap(asks)
    await admin.next_message(where=lambda m: "Answer within 60 seconds" in text_of(m))
    return (await admin.tap(yes))["text"]


@pytest.mark.timeout(60)
async def test_banned_people_get_nothing_until_they_are_unbanned(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    admin, ann, ben = telegram.user("Admin", user_id=ADMIN), telegram.user("Ann"), telegram.user("Ben")
    for person in (ann, ben):
        await subscribe(person, "everything")
    await called(feed, ann, name="First Cat")
    await admin.send("/start")
    await admin.send(f"/user {ann.id}")
    await admin.next_message(where=lambda m: f"{ann.id}" in text_of(m))
    assert await confirmed(admin, "⛔ Ban …", "Yes, ban") == "Banned."
    count = len(ann.messages)
    await called(feed, ben, name="Second Cat")
    await ann.send("/status")
    await ben.send("/status")
    await ben.next_message(where=lambda m: "Free trial" in text_of(m))
    assert len(ann.messages) == count + 1, "her own words alone"
    assert "get calls again" in (await admin.tap("✅ Unban"))["text"]
    await called(feed, ann, name="Third Cat")
    await admin.send("/audit")
    await admin.next_message(where=lambda m: "What admins did" in text_of(m))
    assert (await admin.tap("⬇ CSV"))["text"].startswith("Sent: ")
    file = await admin.next_message(where=lambda m: "document" in m)
    assert file["document"]["file_name"] == "admin-actions.csv"
