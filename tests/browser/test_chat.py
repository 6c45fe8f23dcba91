from __future__ import annotations

import re
import struct
import zlib

import pytest
from playwright.async_api import expect
from telegram import (
    Bot,
    BotCommand,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    ReplyParameters,
)
from telegram.constants import ChatAction, ParseMode
from telegram.error import Forbidden

from sandbox.telegram.server import TelegramSandbox
from tests.browser.chat_page import ChatPage
from tests.browser.dialogue import Dialogue

pytestmark = pytest.mark.browser

ADDRESS = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"


def keyboard(*rows: tuple[InlineKeyboardButton, ...]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(rows)


def key(text: str, data: str | None = None) -> InlineKeyboardButton:
    return InlineKeyboardButton(text, callback_data=data or text)


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


async def begun(telegram: TelegramSandbox, name: str) -> int:
    """A person who has written to the bot, so that it may write back; the chat's id."""
    user = telegram.user(name)
    await user.send("/start")
    return user.chat_id


async def test_a_new_person_starts_the_bot_and_gets_an_answer(
    chat: ChatPage, telegram: TelegramSandbox, dialogue: Dialogue
):
    telegram.user("demo")
    await chat.open(telegram.url)
    user_id = await chat.new_user("Grace")
    await chat.send("/start")
    assert await dialogue.next_text() == "/start"

    await dialogue.bot.send_message(user_id, "Hello, Grace.")
    await chat.wait_for_message("Hello, Grace.")
    await chat.send("line one\nline two")
    assert await dialogue.next_text() == "line one\nline two"
    assert await chat.messages() == ["/start", "Hello, Grace.", "line one\nline two"]
    assert chat.page.url == f"{telegram.url}/#user={user_id}"


async def test_a_deep_link_opens_the_chat_and_the_list_switches_it(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada, brook = await begun(telegram, "Ada"), await begun(telegram, "Brook")
    await bot.send_message(ada, "for Ada")
    await bot.send_message(brook, "for Brook")
    await chat.open(telegram.url, brook)
    assert await chat.messages() == ["/start", "for Brook"]
    await chat.open(telegram.url, "Ada")
    assert await chat.messages() == ["/start", "for Ada"]
    await expect(chat.part("user-last").first).to_have_text("for Ada")


async def test_an_unknown_person_in_the_address_is_said_to_be_unknown(chat: ChatPage, telegram: TelegramSandbox):
    await chat.page.goto(f"{telegram.url}/#user=1")
    await expect(chat.part("toast")).to_have_text("There is no such person here.")


async def test_entities_become_elements(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await bot.send_message(
        ada,
        f"🎉 <b>Moon <i>Cat</i></b> <code>{ADDRESS}</code>\n"
        '<a href="https://example.org/x">chart</a> <s>old</s> <u>new</u> <tg-spoiler>secret</tg-spoiler>\n'
        "<blockquote>said</blockquote>\n<pre>a &lt; b</pre>\nthen /help",
        parse_mode=ParseMode.HTML,
    )
    await chat.open(telegram.url, ada)
    text = chat.message("Moon Cat").get_by_test_id("message-text")
    await expect(text.locator("strong")).to_have_text("Moon Cat")
    await expect(text.locator("strong em")).to_have_text("Cat")
    await expect(text.locator("code").first).to_have_text(ADDRESS)
    await expect(text.locator("s")).to_have_text("old")
    await expect(text.locator("u")).to_have_text("new")
    await expect(text.locator("blockquote")).to_have_text("said")
    await expect(text.locator("pre code")).to_have_text("a < b")
    link = text.locator("a")
    await expect(link).to_have_attribute("href", "https://example.org/x")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")

    spoiler = text.get_by_role("button", name="Hidden text")
    await spoiler.press("Enter")
    await expect(text.locator(".spoiler")).to_have_class("spoiler shown")
    await text.locator("code").first.click()
    await expect(chat.part("toast")).to_have_text("Copied to the clipboard")
    assert await chat.page.evaluate("navigator.clipboard.readText()") == ADDRESS
    await text.locator(".command").click()
    await expect(chat.message("/help")).to_have_attribute("data-from", "user")


async def test_hostile_text_is_shown_and_does_nothing(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    hostile = (
        '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
        "<iframe srcdoc='<script>parent.owned=1</script>'></iframe>{{7*7}}\"'`\u202eevil\u2066"
    )
    ada = await begun(telegram, "Ada")
    mallory = await begun(telegram, hostile[:64])
    await chat.open(telegram.url, ada)
    markup = keyboard((key(hostile[:64], "x"),))
    message = await bot.send_message(ada, hostile, reply_markup=markup)
    await bot.send_message(ada, "answer", reply_parameters=ReplyParameters(message.message_id))
    await bot.set_my_commands([BotCommand("run", hostile)])
    await chat.wait_for_message("answer")
    await expect(chat.part("user").filter(has_text="onerror")).to_have_attribute("data-user-id", str(mallory))

    shown = await chat.message("{{7*7}}").get_by_test_id("message-text").text_content()
    assert shown == message.text
    injected = "#app img, #app iframe, #app script, .messages [onerror], .people-list [onerror]"
    assert await chat.page.locator(injected).count() == 0
    assert await chat.page.evaluate("window.owned") is None


async def test_a_tap_shows_the_answer_as_toast_or_dialog_or_follows_a_link(
    chat: ChatPage, telegram: TelegramSandbox, dialogue: Dialogue
):
    ada = await begun(telegram, "Ada")
    await dialogue.bot.send_message(ada, "Filters", reply_markup=keyboard((key("Save"), key("Why"), key("Go"))))
    await chat.open(telegram.url, ada)

    await chat.tap("Save")
    tap = await dialogue.next_tap()
    assert tap.data == "Save"
    await expect(chat.button("Save")).to_have_attribute("aria-busy", "true")
    await tap.answer("Saved.")
    await expect(chat.part("toast")).to_have_text("Saved.")
    await expect(chat.button("Save")).not_to_have_attribute("aria-busy", "true")

    await chat.tap("Why")
    await (await dialogue.next_tap()).answer("Because it passed.", show_alert=True)
    await expect(chat.part("dialog-text")).to_have_text("Because it passed.")
    await chat.page.keyboard.press("Escape")
    await expect(chat.part("dialog")).to_be_hidden()

    await chat.tap("Go")
    await (await dialogue.next_tap()).answer(url="https://t.me/token_filter_bot?start=x")
    await chat.part("start").click()
    assert await dialogue.next_text() == "/start x"


async def test_url_and_copy_buttons(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    row = (
        InlineKeyboardButton("Chart", url="https://example.org/chart"),
        InlineKeyboardButton("Copy", copy_text=CopyTextButton(ADDRESS)),
    )
    await bot.send_message(ada, "Moon Cat", reply_markup=keyboard(row))
    await chat.open(telegram.url, ada)
    await expect(chat.button("Chart")).to_have_attribute("href", "https://example.org/chart")
    await expect(chat.button("Chart")).to_have_attribute("rel", "noopener noreferrer")
    await expect(chat.button("Chart")).to_have_attribute("target", "_blank")
    await chat.tap("Copy")
    await expect(chat.part("toast")).to_have_text("Copied to the clipboard")
    assert await chat.page.evaluate("navigator.clipboard.readText()") == ADDRESS


async def test_edits_and_deletions_are_live_and_keep_the_focus(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    message = await bot.send_message(ada, "page 1", reply_markup=keyboard((key("Back"), key("Next"))))
    other = await bot.send_message(ada, "to be deleted")
    await chat.open(telegram.url, ada)
    await expect(chat.message("page 1").get_by_test_id("edited")).to_have_count(0)
    await chat.button("Next").focus()

    await message.edit_text("page 2", reply_markup=keyboard((key("Back"), key("Further"))))
    await chat.wait_for_message("page 2")
    await expect(chat.message("page 2").get_by_test_id("edited")).to_have_text("edited")
    await expect(chat.message("page 2").get_by_test_id("edited")).to_have_attribute("title", re.compile("/help"))
    await expect(chat.button("Further")).to_be_focused()
    await bot.delete_message(ada, other.message_id)
    await expect(chat.part("message")).to_have_count(2)
    assert await chat.messages() == ["/start", "page 2"]


async def test_the_command_menu_filters_and_sends(chat: ChatPage, telegram: TelegramSandbox, dialogue: Dialogue):
    ada = await begun(telegram, "Ada")
    await dialogue.bot.set_my_commands(
        [
            BotCommand("settings", "Choose filters"),
            BotCommand("status", "Your plan"),
            BotCommand("help", "Commands"),
        ]
    )
    await chat.open(telegram.url, ada)
    commands, field = chat.part("command"), chat.part("composer-input")
    await chat.part("command-button").click()
    await expect(commands).to_have_count(3)
    await chat.page.keyboard.press("Escape")
    await expect(chat.part("command-menu")).to_be_hidden()

    await field.press_sequentially("/s")
    await expect(commands).to_have_count(2)
    await field.press("ArrowDown")
    await field.press("Enter")
    await chat.wait_for_message("/status")
    await expect(field).to_have_value("")
    assert [await dialogue.next_text() for _ in range(2)] == ["/start", "/status"]

    await field.press_sequentially("/he")
    await field.press("Tab")
    await expect(field).to_have_value("/help ")
    await dialogue.bot.set_my_commands([BotCommand("why", "Explain")])
    await field.fill("/")
    await expect(commands).to_have_count(1)
    await commands.click()
    assert await dialogue.next_text() == "/why"


async def test_blocking_and_unblocking(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    await chat.part("block").click()
    await expect(chat.part("unblock")).to_be_visible()
    await expect(chat.part("composer-input")).to_be_hidden()
    with pytest.raises(Forbidden):
        await bot.send_message(ada, "still there?")
    await chat.part("unblock").click()
    await expect(chat.part("composer-input")).to_be_visible()
    await bot.send_message(ada, "welcome back")
    await chat.wait_for_message("welcome back")


async def test_photos_documents_and_quotes(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    photo = await bot.send_photo(ada, png(320, 180), caption="<b>Best</b> calls", parse_mode=ParseMode.HTML)
    await bot.send_document(ada, b"mint,multiple\n", filename="calls.csv")
    await bot.send_message(ada, "2.4x", reply_parameters=ReplyParameters(photo.message_id))
    await expect(chat.message("Best calls").locator("strong")).to_have_text("Best")
    image = chat.message("Best calls").get_by_test_id("photo")
    await image.scroll_into_view_if_needed()
    await chat.page.wait_for_function("document.querySelector('img.media')?.naturalWidth === 320")
    await expect(chat.part("document")).to_contain_text("calls.csv")
    await expect(chat.message("2.4x").get_by_test_id("quote")).to_contain_text("Best calls")


async def test_a_picture_that_cannot_be_had_leaves_its_caption(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    await chat.page.route("**/sandbox/api/files/*", lambda route: route.fulfill(status=404))
    await bot.send_photo(ada, png(320, 180), caption="Best calls")
    await expect(chat.message("Best calls").get_by_test_id("media-missing")).to_contain_text("Photo")


async def test_what_the_bot_is_doing_is_shown_until_it_writes(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    await bot.send_chat_action(ada, ChatAction.TYPING)
    await expect(chat.part("chat-note")).to_have_text("typing…")
    await bot.send_message(ada, "done")
    await expect(chat.part("chat-note")).to_have_text("You are Ada")
