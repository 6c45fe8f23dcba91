"""Channels that somebody names: what is posted there comes as an alert that leads to the post."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from playwright.async_api import ViewportSize

from sandbox.market.words import CHANNELS
from tests.browser.conftest import OpenTab
from tests.e2e.bot_process import BotProcess

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

PHONE: Final = ViewportSize(width=390, height=844)
NAMED: Final = [channel_id for channel_id, _ in CHANNELS][:3]
TIMEOUT_MS: Final = 60_000
PICTURES: Final = os.environ.get("PICTURES_DIR")
"""Where what was seen is put, for whoever wants to look at it."""


@pytest.fixture
async def program() -> AsyncIterator[BotProcess]:
    data_dir = Path(tempfile.mkdtemp(prefix="bot-"))
    environment = {
        "DATA_DIR": str(data_dir),
        "HTTP_PORT": "0",
        "SANDBOX_PORT": "0",
        "SANDBOX_CALLS_PER_MINUTE": "400",
        "CHANNELS": ",".join(NAMED),
    }
    try:
        async with BotProcess(environment) as process:
            await process.says("Ready after")
            yield process
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


async def test_a_post_in_a_channel_becomes_an_alert_that_leads_to_it(
    open_tab: OpenTab, program: BotProcess, chat_page_url: str
) -> None:
    pages = (await program.says(r"channels \(3 configured\).*?(http://127\.0\.0\.1:\d+)"))[1]
    chat = await open_tab(PHONE, touch=True)
    await chat.open(chat_page_url)
    await chat.new_user("Grace")
    await chat.send("/start")
    await chat.wait_for_message("Hi Grace!")
    await chat.tap("Everything")
    alone = chat.page.get_by_role("button", name="Why?", exact=True)
    alert = chat.part("message").filter(has_text="market cap at call").filter(has=alone).first
    await alert.wait_for(state="attached", timeout=TIMEOUT_MS)
    links = await alert.locator("a").evaluate_all("all => all.map(one => one.href)")
    [found] = [post for link in links if (post := re.fullmatch(r"https://t\.me/(\w+)/(\d+)", link))]
    assert f"@{found[1]}" in NAMED
    assert "DexScreener" in await alert.inner_text()
    if PICTURES:
        await chat.page.screenshot(path=f"{PICTURES}/channels.png")
    await chat.tap("Why?")
    await chat.wait_for_message("every call passes")
    around = f"{pages}/s/{found[1]}?before={int(found[2]) + 1}"
    async with aiohttp.ClientSession() as session, session.get(around) as answer:
        page = await answer.text()
    assert f'data-post="{found[1]}/{found[2]}"' in page
