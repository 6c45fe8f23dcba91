from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, ViewportSize, async_playwright
from telegram import Bot

from sandbox.telegram.server import TelegramSandbox
from tests.browser.chat_page import ChatPage
from tests.browser.dialogue import Dialogue
from tests.e2e.bot_process import BotProcess

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CHROMIUM_STARTS_WITHIN_S = 60.0

DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=740)

OpenTab = Callable[..., Awaitable[ChatPage]]


@pytest.fixture(scope="session")
def chromium_path() -> str:
    for name in CHROMIUM_NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    return pytest.skip(f"no chromium on this machine: none of {', '.join(CHROMIUM_NAMES)} is on the PATH")


@pytest.fixture(scope="session")
def chromium_url(chromium_path: str) -> Iterator[str]:
    """One for all tests, which have contexts of their own: it takes seconds to start."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    options = [*CHROMIUM_ARGUMENTS, "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen([chromium_path, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{_debugging_port(process, profile / 'DevToolsActivePort')}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _debugging_port(process: subprocess.Popen[bytes], told_in: Path) -> int:
    deadline = time.monotonic() + CHROMIUM_STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        if told_in.exists() and (lines := told_in.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.02)
    return pytest.fail("chromium did not start")


@pytest.fixture
async def chromium(chromium_url: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium_url)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def bot(telegram: TelegramSandbox) -> AsyncIterator[Bot]:
    async with Bot(telegram.token, base_url=f"{telegram.url}/bot", base_file_url=f"{telegram.url}/file/bot") as client:
        yield client


@pytest.fixture
def dialogue(bot: Bot) -> Dialogue:
    return Dialogue(bot)


@pytest.fixture
async def open_tab(chromium: Browser) -> AsyncIterator[OpenTab]:
    """Makes tabs with nothing in them yet; afterwards no tab may have had a script error."""
    tabs: list[ChatPage] = []

    async def make(
        viewport: ViewportSize = DESKTOP,
        color_scheme: Literal["light", "dark"] = "light",
        *,
        touch: bool = False,
    ) -> ChatPage:
        context = await chromium.new_context(
            viewport=viewport,
            color_scheme=color_scheme,
            has_touch=touch,
            is_mobile=touch,
            reduced_motion="reduce",
        )
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab = ChatPage(await context.new_page())
        tabs.append(tab)
        return tab

    yield make
    for tab in tabs:
        assert tab.problems == []


@pytest.fixture
async def chat(open_tab: OpenTab) -> ChatPage:
    """A tab on a desktop."""
    return await open_tab()


@pytest.fixture
def calls_per_minute() -> int:
    """How much is called in the sandbox; a module may have its own."""
    return 180


@pytest.fixture
async def program(calls_per_minute: int) -> AsyncIterator[BotProcess]:
    """The whole program with its sandbox as a process of its own; ready."""
    data_dir = Path(tempfile.mkdtemp(prefix="bot-"))
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0"}
    environment["SANDBOX_CALLS_PER_MINUTE"] = str(calls_per_minute)
    try:
        async with BotProcess(environment) as process:
            await process.says("Ready after")
            yield process
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture
async def chat_page_url(program: BotProcess) -> str:
    return (await program.says(r"Chat page: (http://\S+?)/?$"))[1]
