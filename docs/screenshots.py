"""Takes the pictures of the README: `python docs/screenshots.py [DIRECTORY]`, by default docs/images/.

Starts the bot with nothing configured, chats with it in a headless Chromium as a newcomer would, and waits until
ordinary alerts are in view. Needs chromium on the PATH and a font with coloured emoji (Debian: chromium,
fonts-noto-color-emoji). Takes one to three minutes.
"""  # noqa: INP001 - a script beside the documents, not a package

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)
CALLS_PER_MINUTE = 50
ALERT_WAIT_S = 120
ORDINARY = re.compile(r"^[A-Z][\w. ]+ · [$A-Z0-9.\u2060]+\n.*Liq.*Price.*mint.*📣 [\w. №]+\n.*sent in", re.DOTALL)
"""A card with every figure, of a token and a channel that are called as most are."""


@asynccontextmanager
async def running_bot() -> AsyncGenerator[str]:
    """Run the bot in an empty directory; the address of its chat page."""
    with tempfile.TemporaryDirectory(prefix="screenshots-", ignore_cleanup_errors=True) as data_dir:
        ports = {"HTTP_PORT": "0", "SANDBOX_PORT": "0", "SANDBOX_CALLS_PER_MINUTE": str(CALLS_PER_MINUTE)}
        environment = {"PATH": os.defpath, "DATA_DIR": data_dir} | ports  # nothing of a bot that is set up here
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "main.py", "run", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
        )
        stdout = program.stdout
        assert stdout  # noqa: S101 - for the type checker: a pipe was asked for
        address = ""
        try:
            async for line in stdout:
                if found := re.search(rb"Chat page: (http://\S+/)", line):
                    address = found[1].decode()
                if b"Ready after" in line:
                    break
            if not address:
                raise RuntimeError("the bot did not start; see what `python main.py run` says")
            reader = asyncio.create_task(stdout.read())  # a full pipe would stop the bot
            yield address
            program.send_signal(signal.SIGINT)
            await reader
            await program.wait()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()


async def open_page(browser: Browser, url: str, viewport: ViewportSize, *, dark: bool, scale: int) -> Page:
    page = await browser.new_page(
        viewport=viewport,
        color_scheme="dark" if dark else "light",
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    await page.goto(url)
    return page


async def begin(page: Page) -> None:
    """Say hello, take a preset and change one of its numbers."""
    await page.get_by_test_id("new-user-name").fill("Grace")
    await page.get_by_test_id("new-user-create").click()
    await page.get_by_test_id("start").click()
    await page.get_by_role("button", name="Early gems").click()
    await page.get_by_role("button", name="Size · 2").click()
    await page.get_by_role("button", name="Market cap: $20k – $300k").click()
    await expect(page.get_by_test_id("messages").get_by_text("Send me a range")).to_be_visible()
    await page.get_by_test_id("composer-input").fill("20k - 2M")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_text("✅ Market cap: $20k – $2M")).to_be_visible()
    await page.get_by_text("20k - 2M", exact=True).last.evaluate("node => node.scrollIntoView()")
    await page.evaluate("document.activeElement.blur()")


async def wait_for_ordinary_alerts(page: Page, count: int) -> None:
    """Return as soon as the last `count` messages are ordinary alerts."""
    texts = page.get_by_test_id("message-text")
    async with asyncio.timeout(ALERT_WAIT_S):
        while True:
            shown = await texts.all_inner_texts()
            if all(ORDINARY.match(text) for text in shown[-count:]):
                return
            await texts.nth(len(shown)).wait_for(state="attached", timeout=ALERT_WAIT_S * 1000)


async def take(images: Path) -> None:
    """Write the pictures into a directory that exists."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with running_bot() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        phone = await open_page(browser, url, PHONE, dark=True, scale=2)
        await begin(phone)
        await phone.screenshot(path=images / "phone.png")
        desktop = await open_page(browser, phone.url, DESKTOP, dark=False, scale=1)
        await desktop.wait_for_timeout(60_000)  # so that the charts of the side panel have something to show
        await wait_for_ordinary_alerts(desktop, 1)
        await desktop.evaluate("document.activeElement.blur()")
        await desktop.screenshot(path=images / "chat.png")
        await browser.close()


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(directory))
