from __future__ import annotations

import asyncio
import random

import pytest
from playwright.async_api import expect
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import ParseMode

from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.server import TelegramSandbox
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PHONE, OpenTab
from tests.browser.dialogue import Dialogue
from tests.browser.test_chat import begun

pytestmark = pytest.mark.browser

LONG_WORD = "W" * 400
ENTITY_TYPES = (
    "bold",
    "italic",
    "code",
    "pre",
    "blockquote",
    "text_link",
    "spoiler",
    "bot_command",
    "unheard_of",
)


async def test_a_phone_never_scrolls_sideways(open_tab: OpenTab, telegram: TelegramSandbox, bot: Bot):
    name = "\u202e" + "W" * 60
    ada = await begun(telegram, name)
    rows = [
        [InlineKeyboardButton(str(number), callback_data=str(number)) for number in range(8)],
        [
            InlineKeyboardButton(LONG_WORD[:64], callback_data="a"),
            InlineKeyboardButton("b", callback_data="b"),
        ],
    ]
    html = "".join(f"<{tag}>{LONG_WORD}</{tag}>\n" for tag in ("b", "code", "pre", "blockquote"))
    await bot.send_message(ada, html, parse_mode=ParseMode.HTML, reply_markup=InlineKeyboardMarkup(rows))

    tab = await open_tab(PHONE, "dark", touch=True)
    await tab.open(telegram.url)
    await expect(tab.part("chat")).to_be_hidden()
    assert not await tab.is_wider_than_screen()
    await tab.part("user").tap()
    await tab.wait_for_message("WWW")
    await expect(tab.part("people")).to_be_hidden()
    assert not await tab.is_wider_than_screen()
    for box in [await button.bounding_box() for button in await tab.part("inline-button").all()]:
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]

    await tab.part("stats-toggle").tap()
    await expect(tab.part("stats")).to_be_visible()
    assert not await tab.is_wider_than_screen()
    await tab.part("stats-close").tap()
    await expect(tab.part("stats")).to_be_hidden()
    await tab.part("back").tap()
    await expect(tab.part("people")).to_be_visible()


async def test_a_reader_who_scrolled_up_stays_there_and_hears_of_new_messages(chat: ChatPage, open_tab: OpenTab):
    async with (
        TelegramSandbox(limits=FloodLimits.off()) as telegram,
        Bot(telegram.token, base_url=f"{telegram.url}/bot") as bot,
    ):
        ada = await begun(telegram, "Ada")
        for number in range(40):
            await bot.send_message(ada, f"call number {number}")
        await chat.open(telegram.url, ada)
        await expect(chat.message("call number 39")).to_be_in_viewport()
        await bot.send_message(ada, "at the end")
        await expect(chat.message("at the end")).to_be_in_viewport()

        scroller, pill = chat.part("scroller"), chat.part("new-messages")
        await scroller.evaluate("node => node.scrollTo(0, 0)")
        await expect(pill).to_be_visible()
        await bot.send_message(ada, "one more")
        await expect(pill).to_have_text("1 new")
        await bot.send_message(ada, "and another")
        await expect(pill).to_have_text("2 new")
        assert await scroller.evaluate("node => node.scrollTop") == 0
        await pill.click()
        await expect(chat.message("and another")).to_be_in_viewport()
        await expect(pill).to_be_hidden()


async def test_buttons_that_were_just_used_stay_in_view_while_alerts_arrive(open_tab: OpenTab):
    async with (
        TelegramSandbox(limits=FloodLimits.off()) as telegram,
        Bot(telegram.token, base_url=f"{telegram.url}/bot") as bot,
    ):
        ada = await begun(telegram, "Ada")
        for number in range(30):
            await bot.send_message(ada, f"call number {number}")
        menu = InlineKeyboardMarkup([[InlineKeyboardButton("For an hour", callback_data="hour")]])
        await bot.send_message(ada, "which one?", reply_markup=menu)
        tab = await open_tab(PHONE, touch=True)
        await tab.page.clock.install(time=1_800_000_000)
        await tab.open(telegram.url, ada)
        await expect(tab.button("For an hour")).to_be_in_viewport()
        await tab.page.clock.pause_at(1_800_000_600)
        await tab.button("For an hour").tap()
        await (await Dialogue(bot).next_tap()).answer()
        await bot.send_message(ada, "the answer\n" + "\n".join("line" * 3 for _ in range(60)))
        await expect(tab.message("the answer")).to_be_in_viewport()
        await expect(tab.button("For an hour")).to_be_in_viewport(ratio=1)
        await tab.page.clock.fast_forward(5_000)
        before = await tab.part("scroller").evaluate("node => node.scrollTop")
        for number in range(10):
            await bot.send_message(ada, f"alert {number}\n\n\n.")
        await expect(tab.part("new-messages")).to_have_text("11 new")
        await expect(tab.button("For an hour")).to_be_in_viewport(ratio=1)
        assert await tab.part("scroller").evaluate("node => node.scrollTop") == before
        await tab.part("new-messages").tap()
        await expect(tab.part("new-messages")).to_be_hidden()
        await bot.send_message(ada, "followed again")
        await expect(tab.message("followed again")).to_be_in_viewport()


async def test_a_lost_connection_is_said_and_what_was_missed_comes_back(chat: ChatPage):
    telegram = TelegramSandbox()
    async with telegram:
        ada = await begun(telegram, "Ada")
        await chat.open(telegram.url, ada)
    await expect(chat.part("connection")).to_have_text("Reconnecting…")
    await telegram.user("Ada").send("written elsewhere")
    async with telegram:
        await chat.wait_for_message("written elsewhere")
        await expect(chat.part("connection")).to_have_text("")
        await chat.send("and here")


async def test_the_theme_follows_the_system_until_it_is_chosen(open_tab: OpenTab, telegram: TelegramSandbox):
    tab = await open_tab(color_scheme="dark")
    background = "getComputedStyle(document.querySelector('.people')).backgroundColor"
    await tab.open(telegram.url)
    dark = await tab.page.evaluate(background)
    await tab.page.emulate_media(color_scheme="light")
    light = await tab.page.evaluate(background)
    assert light != dark
    await tab.part("theme").click()
    assert await tab.page.evaluate(background) == dark
    await tab.page.reload()
    assert await tab.page.evaluate(background) == dark
    await expect(tab.part("theme")).to_have_attribute("aria-pressed", "true")


async def test_live_figures(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    telegram.extra_stats = lambda: {
        "calls_per_s": 41.5,
        "calls": 12345,
        "latency_count": 1234,
        "latency_p50_ms": 3.25,
        "latency_p99_ms": 12500,
    }
    ada = await begun(telegram, "Ada")
    await bot.send_message(ada, "an alert")
    await chat.open(telegram.url, ada)
    await expect(chat.part("stat-calls_per_s")).to_have_text("41.5 calls/s")
    await expect(chat.part("stat-calls")).to_have_text("12,345")
    await expect(chat.part("stat-latency_count")).to_have_text("1,234")
    await expect(chat.part("stat-latency_p50_ms")).to_have_text("3.3 ms")
    await expect(chat.part("stat-latency_p99_ms")).to_have_text("12.5 s")
    await expect(chat.part("stat-messages")).to_have_text("1")
    await expect(chat.part("stat-alerts")).to_have_text("–")


async def test_everything_that_can_be_operated_has_a_name(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await bot.send_message(
        ada, "menu", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("Tap", callback_data="t")]])
    )
    await chat.open(telegram.url, ada)
    nameless = await chat.page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, textarea, [role=button]")]
            .filter((node) => node.checkVisibility())
            .filter((node) => !node.getAttribute("aria-label") && !node.textContent.trim())
            .filter((node) => !node.labels?.length)
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    for role in ("navigation", "main", "complementary", "log"):
        await expect(chat.page.get_by_role(role)).to_be_visible()


async def test_a_text_survives_any_entities(chat: ChatPage, telegram: TelegramSandbox):
    await chat.open(telegram.url)
    random_source = random.Random(7)
    text = "a 🎉 bc\nde שלום f <b>"
    cases = [
        [
            {
                "type": random_source.choice(ENTITY_TYPES),
                "offset": random_source.randint(-2, len(text) + 3),
                "length": random_source.randint(-1, len(text) + 3),
                "url": random_source.choice(["https://a.example", "javascript://%0aalert(1)", "", "data:text/html,x"]),
            }
            for _ in range(random_source.randint(0, 8))
        ]
        for _ in range(300)
    ]
    found = await chat.page.evaluate(
        """async ({ text, cases }) => {
            const { richText } = await import("/page/entities.js");
            return cases.map((entities) => {
                const box = document.createElement("div");
                box.append(richText(text, entities, {}));
                return [box.textContent, [...box.querySelectorAll("a")].map((a) => a.protocol)];
            });
        }""",
        {"text": text, "cases": cases},
    )
    for shown, protocols in found:
        assert shown.replace("\n", "") == text.replace("\n", "")
        assert set(protocols) <= {"https:"}


async def test_links_lead_to_the_web_or_to_telegram_only(chat: ChatPage, telegram: TelegramSandbox):
    expected = {
        "https://a.example/x": "https://a.example/x",
        "a.example:8080/x": "https://a.example:8080/x",
        "tg://user?id=1": "tg://user?id=1",
        "javascript:alert(1)": None,
        "javascript://%0aalert(1)": None,
        "  JavaScript://x": None,
        "data:text/html,<script>1</script>": None,
        "file:///etc/passwd": None,
        " ": None,
    }
    await chat.page.goto(telegram.url)
    script = """async (addresses) => {
        const { safeUrl } = await import("/page/entities.js");
        return addresses.map(safeUrl);
    }"""
    found = await chat.page.evaluate(script, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


async def test_two_tabs_show_the_same_chat(open_tab: OpenTab, telegram: TelegramSandbox):
    ada = await begun(telegram, "Ada")
    first, second = await open_tab(), await open_tab()
    await asyncio.gather(first.open(telegram.url, ada), second.open(telegram.url, ada))
    await first.send("from the first")
    await second.send("from the second")
    await first.wait_for_message("from the second")
    assert await first.messages() == await second.messages()
