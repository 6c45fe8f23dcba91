"""The whole bot reads channels: what admins see and do of it, what people suggest, and `/why` on a post."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.intake import Intake
from composition import Composition
from domain.channels.names import is_post_link, post_named
from managers.channels.base import BlockedError, ChannelClosedError
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.administration.audit import AuditService, Whose
from services.channels.listed import ListedChannels
from services.channels.polling import PollingService
from services.channels.rows import ReadChannel
from services.channels.taking import TakingService
from services.stores.journal import Journal
from tests.channels.channel_book import ChannelBook
from tests.channels.listening import SETTINGS, listening
from tests.channels.support import ALPHA, mint
from tests.e2e.conftest import ADMIN, subscribe, telegram, text_of

__all__ = ["telegram"]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def book() -> ChannelBook:
    return ChannelBook()


@pytest.fixture
async def bot(
    telegram: TelegramSandbox, book: ChannelBook, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[Composition]:
    settings = SETTINGS.model_copy(update={"data_dir": tmp_path})
    async with listening(telegram, book, redis_url, postgres_dsn, settings) as composition:
        await until(lambda: book.asked[ALPHA] >= 2)
        yield composition


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


async def until(is_so: Callable[[], bool]) -> None:
    """The bot works in this process: what it has come to is seen and not told."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


async def said(user: SandboxUser, text: str, has: str) -> JsonObject:
    await user.send(text)
    return await user.next_message(where=lambda m: has in text_of(m))


async def shown(user: SandboxUser, button: str, has: str) -> JsonObject:
    """Tap, and await what takes the place of the menu."""
    await user.tap(next(label for message in reversed(user.messages) for label in labels(message) if button in label))
    return await user.next_message(where=lambda m: has in text_of(m))


def labels(message: JsonObject) -> list[str]:
    return [button["text"] for button in callback_buttons(message)]


async def one(bot: Composition, channel: str) -> ReadChannel:
    found = await bot.of(ListedChannels).find(channel)
    assert found is not None
    return found


async def deeds(bot: Composition) -> list[tuple[str, str, str]]:
    """What was done, oldest first; how a deed ended is written down after its answer was given."""
    async with asyncio.timeout(20):
        while True:
            await bot.of(Journal).drain_all()
            page = await bot.of(AuditService).page(Whose(), 0, 100)
            if all(deed.outcome != "begun" for deed in page.deeds):
                return [(deed.action, deed.details, deed.outcome) for deed in reversed(page.deeds)]
            await asyncio.sleep(0.01)


async def posted(bot: Composition, book: ChannelBook, *texts: str, channel: str = ALPHA) -> None:
    """Post, and wait until it was read."""
    taking = bot.of(TakingService)
    before = taking.verdicts.total()
    for text in texts:
        book.post(channel, text, datetime.now(UTC))
    await until(lambda: taking.verdicts.total() == before + len(texts))


async def test_admins_see_how_each_channel_is_doing_and_add_pause_and_remove_them(
    bot: Composition, book: ChannelBook, admin: SandboxUser
) -> None:
    await posted(bot, book, f"CA: {mint(1)}", "$FROG at 45k looks spicy", "$CAT at 20k", "good morning")
    listed = text_of(await said(admin, "/channels", "Channels that are read: 1"))
    assert "Alpha @" in listed.replace("\u2060", "")
    assert re.search(r"[01] calls?, 4 posts since \d\d:\d\d UTC", listed)
    assert "looked at every 1s" in listed
    card = text_of(await shown(admin, "Alpha", "What became of its posts"))
    assert "named in the settings" in card
    assert "⚠ 2 × a symbol, and no address" in card
    assert "✓ 1 × its address stands after a label" in card
    assert "more, of" not in card
    assert "Paused" in (await admin.tap("⏸ Pause"))["text"]
    assert (await one(bot, ALPHA)).state == "paused"
    assert "those calls come late" in (await admin.tap("▶ Read it"))["text"]
    await shown(admin, "🗑 Remove …", "Answer within 60 seconds")
    assert (await admin.tap("Yes, remove it"))["text"] == "Removed."
    assert (await one(bot, ALPHA)).state == "removed"
    await said(admin, "/channels", "None yet")
    await shown(admin, "➕ Add …", "Which channel?")
    await said(admin, "t.me/+AbCdEf", "is no public channel")
    await said(admin, "https://t.me/s/Beta_Calls/12", "The first look calls nothing")
    await said(admin, "/channels", "Channels that are read: 1")
    await until(lambda: book.asked["@beta_calls"] > 0)
    assert [(what, about) for what, about, end in await deeds(bot) if end == "done"] == [
        ("pause channel", f"channel={ALPHA}"),
        ("resume channel", f"channel={ALPHA}"),
        ("remove channel", f"channel={ALPHA}"),
        ("add channel", "https://t.me/s/Beta_Calls/12; @beta_calls"),
    ]


async def test_what_cannot_be_read_stands_first_with_the_reason(
    bot: Composition, book: ChannelBook, admin: SandboxUser
) -> None:
    book.problems["@zed_calls"] = ChannelClosedError("@zed_calls", "no_preview")
    await bot.of(ListedChannels).add("@zed_calls", ADMIN)
    polling = bot.of(PollingService)
    await until(lambda: any(one.problem for one in polling.listed()))
    listed = text_of(await said(admin, "/channels", "Channels that are read: 2"))
    assert listed.index("zed") < listed.index("Alpha")
    assert "🔴 it is shown in Telegram's app alone" in listed
    book.problems["@old_calls"] = ChannelClosedError("@old_calls", "moved", now="@new_calls")
    await bot.of(ListedChannels).add("@old_calls", ADMIN)
    await until(lambda: any(one.moved_to for one in polling.listed()))
    listed = text_of(await said(admin, "/channels", "Channels that are read: 3"))
    assert "now at @new_calls" in listed.replace("\u2060", "")
    book.problem = BlockedError("429 from the other side", for_s=1.0)
    await until(lambda: polling.blocked_since is not None)
    since = polling.blocked_since
    await said(admin, "/channels", f"Nothing can be read since {since:%d %b %Y, %H:%M} UTC")
    feed = text_of(await said(admin, "/sources", "made by"))
    assert "🔴 channels" in feed
    assert "429 from the other side" in feed
    assert "last page read" in feed
    health = text_of(await said(admin, "/health", "channels"))
    assert re.search(r"🔴 feed .*blocked since .*429 from the other side; last page read \d+ s ago", health), health
    book.problem = None
    await until(lambda: polling.blocked_since is None)
    book.post(ALPHA, f"CA: {mint(1)}", datetime.now(UTC))
    await until(lambda: not bot.of(Intake).feed.health().stale)
    assert "🟢 channels" in text_of(await said(admin, "/sources", "made by"))
    assert re.search(r"🟢 feed .*last page read \d+ s ago", text_of(await said(admin, "/health", "channels")))


async def test_a_gap_that_was_not_read_whole_stands_on_the_page_of_its_channel(
    bot: Composition, book: ChannelBook, admin: SandboxUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await posted(bot, book, "gm")
    monkeypatch.setattr("services.channels.paging.MAX_POSTS_BACK", 40)
    now = datetime.now(UTC)
    book.posts[ALPHA] += [replace(book.posts[ALPHA][0], number=number, posted_at=now) for number in range(2, 80)]
    await until(lambda: bot.of(PollingService).counts.cut == 1)
    await until(lambda: any(one.gap_at for one in bot.of(PollingService).listed()))
    await said(admin, "/channels", "Channels that are read: 1")
    assert "gap not read whole" in text_of(await shown(admin, "Alpha", "What became of its posts"))


async def test_a_suggestion_is_decided_and_who_made_it_is_told(
    bot: Composition, book: ChannelBook, admin: SandboxUser, ann: SandboxUser
) -> None:
    await said(ann, "/suggest", "Which channel should I read?")
    await said(ann, "no name at all!", "is no public channel")
    await said(ann, "@gems", "is suggested")
    await said(ann, "/suggest t.me/gems", "is suggested already")
    await said(ann, f"/suggest {ALPHA}", "is read already")
    for name in ("two_calls", "three_calls", "four_calls", "five_calls"):
        await bot.of(ListedChannels).suggest(name, ann.id)
    await said(ann, "/suggest @six_calls", "You have suggested 5 channels")
    listed = await said(admin, "/channels", "Channels that are read")
    assert "💡 Suggested (5)" in labels(listed)
    await shown(admin, "💡 Suggested (5)", f"by {ann.id}")
    await shown(admin, "gems", "💡 Suggested on")
    assert "is told" in (await admin.tap("✅ Read it"))["text"]
    await ann.next_message(where=lambda m: "from now on it is read" in text_of(m))
    await until(lambda: book.asked["@gems"] > 0)
    await shown(admin, "two_calls", "💡 Suggested on")
    assert "is told" in (await admin.tap("❌ Refuse"))["text"]
    await ann.next_message(where=lambda m: "decided not to read it" in text_of(m))
    await shown(admin, "📖 Read", "Channels that are read")
    await shown(admin, "➕ Add …", "Which channel?")
    await said(admin, "@three_calls", "is read from now on")
    await ann.next_message(where=lambda m: "three_calls" in text_of(m) and "from now on it is read" in text_of(m))
    assert {(await one(bot, name)).added_by for name in ("@gems", "@two_calls", "@three_calls")} == {ADMIN}
    assert [what for what, _, end in await deeds(bot) if end == "done"] == [
        "accept channel",
        "refuse channel",
        "add channel",
    ]


async def test_what_somebody_suggested_goes_with_them(bot: Composition, admin: SandboxUser, ann: SandboxUser) -> None:
    await said(ann, "/suggest @gems", "is suggested")
    menu = await said(ann, "/delete_me", "Delete your data")
    await ann.tap_data(menu, "leave")
    sure = next(one for one in ann.messages if one["message_id"] == menu["message_id"])
    await ann.tap_data(sure, sure["reply_markup"]["inline_keyboard"][0][0]["callback_data"])
    await ann.next_message(where=lambda m: "Your data is deleted" in text_of(m), timeout_s=20)
    assert await bot.of(ListedChannels).find("@gems") is None


async def test_why_on_a_post_says_what_was_made_of_it_and_what_it_meant_to_the_person(
    bot: Composition, book: ChannelBook, ann: SandboxUser
) -> None:
    called = mint(7)
    await posted(bot, book, f"$FROG\nCA: {called}")
    await ann.next_message(where=lambda m: "FROG" in text_of(m) or called[:6] in text_of(m))
    answer = await said(ann, "https://t.me/alpha/1", "Post 1 of")
    text = text_of(answer)
    assert "✓ A call: its address stands after a label" in text
    assert called in text
    assert "It passed your filters" in text
    assert "Posted" in text
    (why,) = [label for label in labels(answer) if label.startswith("Why for me")]
    await shown(ann, why, "Decided")
    await posted(bot, book, f"Still like it {called}", f"CA: {called.lower()}", "GM")
    assert "the channel has called it in another post" in text_of(await said(ann, "/why t.me/alpha/2", "Post 2 of"))
    missed = text_of(await said(ann, "/why look at https://t.me/alpha/3?single", "Post 3 of"))
    assert "an address on Solana has lost its capital letters" in missed
    assert "✗ No call: it names no token" in text_of(await said(ann, "telegram.me/Alpha/4", "Post 4 of"))


async def test_an_unknown_post_is_answered_by_whether_its_channel_is_read(
    bot: Composition, book: ChannelBook, ann: SandboxUser
) -> None:
    await posted(bot, book, "hello")
    book.post("@old_calls", f"CA: {mint(4)}", datetime.now(UTC))
    await bot.of(ListedChannels).add("@old_calls", ADMIN)
    await until(lambda: bot.of(TakingService).verdicts["call"] == 1)
    await said(ann, "t.me/old_calls/1", "It was there when I first looked")
    book.hidden = {2}
    book.post(ALPHA, f"CA: {mint(5)}", datetime.now(UTC) - timedelta(days=400))
    await posted(bot, book, "hello again")
    unread = text_of(await said(ann, "t.me/alpha/2", "when it was posted could not be read"))
    assert "later" not in unread, "of a time that nobody knows"
    await said(ann, "/why https://t.me/alpha/99", "have not come to this post yet")
    await said(ann, "/why https://t.me/unknown_one/5", "I do not read")
    await said(ann, "/suggest @unknown_one", "is suggested")
    await said(ann, "https://t.me/unknown_one/5", "an admin decides")
    await bot.of(ListedChannels).change(ALPHA, "paused", of=("read",))
    await said(ann, "https://t.me/alpha/98", "an admin has paused it")


async def test_numbers_and_health_tell_of_it(bot: Composition, book: ChannelBook, admin: SandboxUser) -> None:
    await posted(bot, book, f"CA: {mint(3)}", "GM")
    value = bot.metrics.registry.get_sample_value
    assert value("channel_posts_total", {"verdict": "call"}) == 1
    assert value("channel_post_reasons_total", {"reason": "no_token"}) == 1
    assert value("channel_calls_total") == 1
    assert value("channels_read") == 1
    assert (value("channel_post_age_seconds", {"quantile": "0.95"}) or 0) > 0
    await said(admin, "/health", "channels")


def test_posts_are_named_by_their_links() -> None:
    assert post_named("see https://t.me/Alpha_Calls/12?single now") == ("@alpha_calls", 12)
    assert post_named("t.me/s/alpha/12") == ("@alpha", 12)
    assert post_named("https://t.me/alpha/5/77") == ("@alpha", 77)
    for other in ("t.me/c/123/4", "t.me/+abc/4", "nott.me/alpha/1", "t.me/alpha", "t.me/joinchat/12", "", "t.me/a/1"):
        assert post_named(other) is None, other
    assert is_post_link("  t.me/alpha/1 ") == "t.me/alpha/1"
    assert is_post_link("what of t.me/alpha/1") is None
