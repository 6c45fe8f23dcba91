"""The real python-telegram-bot talks to the sandbox and cannot tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from telegram import (
    Bot,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Update,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter
from telegram.ext import CallbackQueryHandler, ChatMemberHandler, CommandHandler, filters

from domain.filters.presets import load_presets
from sandbox.telegram.limits import FloodLimits, Window
from sandbox.telegram.persona import PRESET, run_demo
from sandbox.telegram.server import DEFAULT_TOKEN, TelegramSandbox
from tests.sandbox.telegram_kit import (
    UNLIMITED,
    AnyApplication,
    Clock,
    application,
    running,
    started,
    telegram_and_bot,
)

PRESETS = InlineKeyboardMarkup([[InlineKeyboardButton("Early gems", callback_data="preset:early")]])


async def greet(update: Update, context: Any) -> None:
    assert update.effective_message is not None
    assert update.effective_user is not None
    name = update.effective_user.mention_html()
    await update.effective_message.reply_html(f"Hi {name}, {context.args}", reply_markup=PRESETS)


async def choose(update: Update, context: Any) -> None:
    query = update.callback_query
    assert query is not None
    await query.answer("Chosen", show_alert=True)
    await query.edit_message_text(f"You chose {query.data}")


def greeter(telegram: TelegramSandbox) -> AnyApplication:
    app = application(telegram)
    app.add_handler(CommandHandler("start", greet, filters.UpdateType.MESSAGE))
    app.add_handler(CallbackQueryHandler(choose, pattern="^preset:"))
    return app


async def test_a_dialogue_with_commands_buttons_and_edits() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram, running(telegram, greeter(telegram)):
        ann = telegram.user("Ann <3 😀")
        sent = await ann.send("/start deep_link")
        greeting = await ann.next_message()
        assert greeting["text"] == "Hi Ann <3 😀, ['deep_link']"
        assert greeting["message_id"] > sent["message_id"]
        mention = greeting["entities"][0]
        assert (mention["type"], mention["offset"], mention["length"]) == ("text_mention", 3, 9)
        assert mention["user"]["id"] == ann.id

        answer = await ann.tap("Early gems")
        assert answer == {"text": "Chosen", "show_alert": True, "url": ""}
        edited = await ann.next_message()
        assert edited["message_id"] == greeting["message_id"]
        assert edited["text"] == "You chose preset:early"
        assert "reply_markup" not in edited
        assert "edit_date" in edited
        with pytest.raises(LookupError):
            await ann.tap("Early gems")


async def test_an_edited_command_arrives_as_an_edited_message() -> None:
    seen: list[str] = []
    arrived = asyncio.Event()

    async def record(update: Update, context: Any) -> None:
        seen.append("edited" if update.edited_message else "new")
        if len(seen) == 2:
            arrived.set()

    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        app = application(telegram)
        app.add_handler(CommandHandler("pay", record))
        async with running(telegram, app):
            ann = telegram.user("Ann")
            message = await ann.send("/pay 1")
            await ann.send("/pay 2", edit_of=message["message_id"])
            async with asyncio.timeout(10):
                await arrived.wait()
    assert seen == ["new", "edited"]
    assert [each["text"] for each in ann.messages] == ["/pay 2"]


async def test_blocking_and_coming_back_are_told_to_the_bot() -> None:
    statuses: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def record(update: Update, context: Any) -> None:
        change = update.my_chat_member
        assert change is not None
        await statuses.put((change.old_chat_member.status, change.new_chat_member.status))

    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        app = application(telegram)
        app.add_handler(ChatMemberHandler(record, ChatMemberHandler.MY_CHAT_MEMBER))
        async with running(telegram, app):
            ann = await started(telegram)
            ann.block()
            assert await asyncio.wait_for(statuses.get(), 10) == ("member", "kicked")
            with pytest.raises(Forbidden, match="bot was blocked by the user"):
                await app.bot.send_message(ann.id, "still there?")
            await ann.send("/start")
            assert await asyncio.wait_for(statuses.get(), 10) == ("kicked", "member")
            await app.bot.send_message(ann.id, "welcome back")
            assert (await ann.next_message())["text"] == "welcome back"


async def test_the_library_raises_its_own_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    limits = FloodLimits(overall=None, private=Window(1, 60.0))
    async with telegram_and_bot(limits, clock=Clock()) as (telegram, bot):
        ann = await started(telegram)
        with pytest.raises(BadRequest, match="Chat not found"):
            await bot.send_message(12345, "hello?")
        with pytest.raises(Forbidden, match="can't initiate conversation"):
            await bot.send_message(telegram.user("Never started").id, "hello?")
        await bot.send_message(ann.id, "one")
        with pytest.raises(RetryAfter) as refusal:
            await bot.send_message(ann.id, "two")
        assert refusal.value.retry_after == timedelta(seconds=60)
        group = telegram.group("Traders", [ann])
        upgraded = group.upgrade(ann)
        with pytest.raises(ChatMigrated) as moved:
            await bot.send_message(group.chat_id, "anyone?")
        assert moved.value.new_chat_id == upgraded.chat_id
        await bot.send_message(upgraded.chat_id, "here you are")
        assert (await upgraded.next_message())["text"] == "here you are"
        upgraded.kick_bot(ann)
        with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
            await bot.send_message(upgraded.chat_id, "anyone?")


async def test_a_wrong_token_is_refused() -> None:
    async with TelegramSandbox() as telegram:
        for token in ("7000000001:ANOTHER-TOKEN-of-the-right-shape", "7000000001:x"):
            with pytest.raises(InvalidToken):
                async with Bot(token, base_url=f"{telegram.url}/bot"):
                    pytest.fail("the bot is connected")


async def test_commands_by_scope_and_language() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ben = telegram.user("Ben", language_code="de")
        await bot.set_my_commands([("start", "Start"), ("help", "Help")])
        await bot.set_my_commands([("start", "Los")], BotCommandScopeAllPrivateChats(), language_code="de")
        await bot.set_my_commands([("admin", "Admin")], BotCommandScopeChat(ann.id))
        shown = telegram.cloud.commands_of
        assert [each["command"] for each in shown(ann.chat)] == ["admin"]
        assert [each["description"] for each in shown(ben.chat)] == ["Los"]
        assert [each.command for each in await bot.get_my_commands()] == ["start", "help"]
        await bot.delete_my_commands(BotCommandScopeChat(ann.id))
        assert [each["command"] for each in shown(ann.chat)] == ["start", "help"]


async def test_a_group_hears_the_bot_and_the_bot_hears_what_is_meant_for_it() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann, ben = telegram.user("Ann"), telegram.user("Ben")
        group = telegram.group("Traders", [ann, ben])
        await group.send(ann, "just chatting")
        await group.send(ben, f"/top@{telegram.cloud.bot['username']}")
        updates = await bot.get_updates()
        assert [each.message.text for each in updates if each.message] == ["/top@token_filter_bot"]
        assert await bot.get_chat_member_count(group.chat_id) == 3
        assert [each.user.id for each in await bot.get_chat_administrators(group.chat_id)] == [ann.id]
        assert (await bot.get_chat_member(group.chat_id, ben.id)).status == "member"
        assert (await bot.get_chat_member(group.chat_id, telegram.user("Cat").id)).status == "left"
        await bot.leave_chat(group.chat_id)
        with pytest.raises(Forbidden, match="bot is not a member of the group chat"):
            await bot.send_message(group.chat_id, "bye")


async def test_the_bot_describes_itself_and_pins() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        assert (await bot.get_me()).username == "token_filter_bot"
        await bot.set_my_name("Filter")
        await bot.set_my_description("Finds calls")
        await bot.set_my_short_description("Calls")
        await bot.set_chat_menu_button(ann.id)
        assert (await bot.get_my_name()).name == "Filter"
        assert (await bot.get_my_description()).description == "Finds calls"
        assert (await bot.get_my_short_description()).short_description == "Calls"
        message = await bot.send_message(ann.id, "pin me")
        await bot.pin_chat_message(ann.id, message.message_id)
        pinned = (await bot.get_chat(ann.id)).pinned_message
        assert pinned is not None
        assert pinned.message_id == message.message_id
        await bot.unpin_chat_message(ann.id)
        assert (await bot.get_chat(ann.id)).pinned_message is None
        await bot.send_chat_action(ann.id, "typing")
        assert await bot.delete_message(ann.id, message.message_id)
        assert await bot.log_out()


async def test_the_same_name_is_the_same_person_even_after_a_restart() -> None:
    first, second = TelegramSandbox(), TelegramSandbox()
    assert first.user("demo") is first.user("demo")
    assert first.user("demo").id == second.user("demo").id
    assert first.user("another", user_id=42).id == 42
    assert first.user("whatever", user_id=42).name == "another"


async def test_the_demo_person_subscribes_once_the_bot_is_up() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = telegram.user("demo")
        asked = asyncio.Event()
        demo = asyncio.create_task(run_demo(ann))
        ann.chat.listeners.append(lambda _event, _data: asked.set())
        await asked.wait()
        async with running(telegram, greeter(telegram)):
            assert await demo
        assert ann.messages[-1]["text"] == "You chose preset:early"


async def test_the_demo_person_takes_what_leaves_alerts_for_the_hour() -> None:
    async def offer(update: Update, context: Any) -> None:
        assert update.effective_message is not None
        keys = [[InlineKeyboardButton(key, callback_data=key)] for key in ("preset:early", PRESET)]
        await update.effective_message.reply_text("Choose", reply_markup=InlineKeyboardMarkup(keys))

    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        app = application(telegram)
        app.add_handler(CommandHandler("start", offer))
        app.add_handler(CallbackQueryHandler(choose, pattern="^preset:"))
        async with running(telegram, app):
            assert await run_demo(telegram.user("demo"))
        assert telegram.user("demo").messages[-1]["text"] == f"You chose {PRESET}"
    presets = load_presets((Path(__file__).parents[2] / "config" / "presets.toml").read_text("utf-8"))
    assert PRESET in {f"preset:{preset.key}" for preset in presets}


async def test_the_demo_person_leaves_a_bot_alone_that_offers_nothing() -> None:
    async def greet_plainly(update: Update, context: Any) -> None:
        assert update.effective_message is not None
        await update.effective_message.reply_text("You are subscribed")

    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        app = application(telegram)
        app.add_handler(CommandHandler("start", greet_plainly))
        async with running(telegram, app):
            assert not await run_demo(telegram.user("demo"), answer_timeout_s=0.5)
        assert telegram.stats.messages == 1


async def test_observers_see_each_bot_message_and_nothing_of_people() -> None:
    async with telegram_and_bot() as (telegram, bot):
        seen: list[str] = []
        telegram.on_message(lambda message: seen.append(message["text"]))
        ann = await started(telegram)
        message = await bot.send_message(ann.id, "one")
        await bot.edit_message_text("two", ann.id, message.message_id)
        assert seen == ["one", "two"]


async def test_a_chat_keeps_its_newest_messages_only() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        first = await bot.send_message(ann.id, "first")
        for number in range(510):
            await ann.send(f"message {number}")
        assert len(ann.messages) == 500
        with pytest.raises(BadRequest, match="Message to edit not found"):
            await bot.edit_message_text("gone", ann.id, first.message_id)


def test_it_listens_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        TelegramSandbox(host="0.0.0.0", token=DEFAULT_TOKEN)  # noqa: S104 -- this is what is refused
