"""Groups, topics, editing, and links into Telegram, on a phone."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Dialog, ViewportSize, expect
from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from sandbox.telegram.server import TelegramSandbox
from tests.browser.conftest import OpenTab
from tests.browser.dialogue import Dialogue

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)


async def test_a_group_with_topics_takes_commands_of_its_members_and_of_an_anonymous_admin(
    open_tab: OpenTab, telegram: TelegramSandbox, dialogue: Dialogue
) -> None:
    await telegram.user("Ann").send("/start")
    assert await dialogue.next_text() == "/start"
    telegram.user("Ben")
    tab = await open_tab(PHONE, "dark", touch=True)
    await tab.open(telegram.url)
    await tab.part("new-group-title").fill("Callers")
    await tab.part("new-group-topics").check()
    await tab.part("new-group-create").click()
    await expect(tab.part("bot-name")).to_have_text("Callers")

    async def named(dialog: Dialog) -> None:
        await dialog.accept("Gems")

    tab.page.on("dialog", lambda dialog: asyncio.ensure_future(named(dialog)))
    await tab.part("group-topic").select_option(label="New topic…")
    await expect(tab.part("message").filter(has_text="Topic “Gems” opened")).to_be_visible()
    [group] = telegram.groups()
    await tab.part("composer-input").fill("/deliver_here")
    await tab.part("send").click()
    assert await dialogue.next_text() == "/deliver_here"
    sent, topics = group.messages[-1], list(group.chat.topics)
    assert (sent["from"]["first_name"], [sent["message_thread_id"]]) == ("Ann", topics)
    assert "sender_chat" not in sent
    await tab.part("group-as").select_option(label="Ann, anonymously")
    await tab.part("composer-input").fill("/deliver_here now")
    await tab.part("send").click()
    assert await dialogue.next_text() == "/deliver_here now"
    assert group.messages[-1]["sender_chat"]["id"] == group.chat_id
    await tab.part("group-as").select_option(label="Ben")
    await expect(tab.part("chat-note")).to_have_text("You are Ben")
    await dialogue.bot.send_message(group.chat_id, "for all", message_thread_id=topics[0])
    await tab.wait_for_message("for all")
    await expect(tab.part("author").last).to_have_text(re.compile("Gems"))
    await expect(tab.part("edit-message")).to_have_count(0)
    assert not await tab.is_wider_than_screen()


async def test_an_own_message_is_edited_and_the_bot_hears_of_an_edit(
    open_tab: OpenTab, telegram: TelegramSandbox, dialogue: Dialogue
) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    tab = await open_tab(PHONE, touch=True)
    await tab.open(telegram.url, ann.id)
    await tab.send("first")
    assert [await dialogue.next_text() for _ in range(2)] == ["/start", "first"]
    await tab.part("edit-message").last.click()
    await expect(tab.part("composer-input")).to_have_value("first")
    await tab.part("composer-input").fill("second")
    await tab.part("send").click()
    await expect(tab.message("second").get_by_test_id("edited")).to_be_visible()
    await expect(tab.part("edit-strip")).to_be_hidden()
    assert [message["text"] for message in ann.messages] == ["/start", "second"]
    await tab.part("edit-message").last.click()
    await tab.part("edit-cancel").click()
    await tab.send("third")
    assert [message["text"] for message in ann.messages] == ["/start", "second", "third"]


async def test_a_link_to_the_bot_opens_with_a_start_button_and_a_shared_one_for_somebody_else(
    open_tab: OpenTab, telegram: TelegramSandbox, dialogue: Dialogue
) -> None:
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    await ann.send("/start")
    assert await dialogue.next_text() == "/start"
    tab = await open_tab(PHONE, touch=True)
    await tab.open(telegram.url, ann.id)
    await tab.send("see t.me/Token_Filter_Bot?start=set_abc-1")
    await dialogue.next_text()
    await tab.page.get_by_role("link", name="t.me/Token_Filter_Bot").click()
    await tab.part("start").click()
    assert await dialogue.next_text() == "/start set_abc-1"
    link = "https://t.me/share/url?url=https%3A%2F%2Ft.me%2Ftoken_filter_bot%3Fstart%3Dset_xyz"
    button = InlineKeyboardButton("Send the link", url=link)
    await dialogue.bot.send_message(ann.id, "Shared.", reply_markup=InlineKeyboardMarkup([[button]]))
    await tab.tap("Send the link")
    await tab.part("share-person").filter(has_text="Ben").click()
    await tab.part("start").click()
    assert await dialogue.next_text() == "/start set_xyz"
    assert [message["text"] for message in ben.messages] == ["/start set_xyz"]
    await tab.open(telegram.url, ann.id)
    await tab.tap("Send the link")
    await tab.part("share-new-name").fill("Cleo")
    await tab.part("share-new-open").click()
    await tab.part("start").click()
    assert await dialogue.next_text() == "/start set_xyz"
    assert [message["text"] for message in ben.messages] == ["/start set_xyz"], "nobody else opened it"
    await tab.open(telegram.url, ben.id)
    await ben.send("https://t.me/somebody_else?start=1")
    await expect(tab.page.get_by_role("link", name="somebody_else")).to_have_attribute("target", "_blank")
    assert len(tab.page.context.pages) == 1


async def test_a_new_group_on_a_phone_belongs_to_whom_one_has_looked_as_last(
    open_tab: OpenTab, telegram: TelegramSandbox
) -> None:
    telegram.user("demo")
    mara = telegram.user("Mara")
    await mara.send("/start")
    tab = await open_tab(PHONE, touch=True)
    await tab.open(telegram.url)
    await expect(tab.part("new-group-owner")).to_have_text("New group of demo")
    await tab.open(telegram.url, "Mara")
    await tab.part("back").tap()
    await expect(tab.part("new-group-owner")).to_have_text("New group of Mara")
    await tab.page.reload()
    await expect(tab.part("new-group-owner")).to_have_text("New group of Mara")
    await tab.part("new-group-title").fill("Traders")
    await tab.part("new-group-create").tap()
    await expect(tab.part("bot-name")).to_have_text("Traders")
    await expect(tab.part("chat-note")).to_have_text("You are Mara")
    assert [group.owner_id for group in telegram.groups()] == [mara.id]


async def test_stars_stand_where_they_are_a_persons_and_not_in_a_group(
    open_tab: OpenTab, telegram: TelegramSandbox
) -> None:
    mara = telegram.user("Mara")
    await mara.send("/start")
    mara.wallet.top_up(1_000)
    group = telegram.group("Traders", [mara])
    tab = await open_tab(PHONE, touch=True)
    await tab.open(telegram.url, mara.id)
    await expect(tab.part("stars")).to_have_text("⭐ 1,000")
    await tab.page.goto(f"{telegram.url}/#user={mara.id}&group={group.chat_id}")
    await expect(tab.part("bot-name")).to_have_text("Traders")
    await expect(tab.part("stars")).to_be_hidden()
    await tab.page.goto(f"{telegram.url}/#user={mara.id}")
    await expect(tab.part("stars")).to_have_text("⭐ 1,000")
