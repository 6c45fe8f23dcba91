"""The chat page as a person uses it: open it, pick a chat, write, tap, read."""

from __future__ import annotations

import re

from playwright.async_api import ConsoleMessage, Error, Locator, Page, expect

WAIT_S = 15.0
"""How long to wait for something that must happen."""


class ChatPage:
    """One tab. `problems` collects script errors and refusals of the content policy; it must stay empty."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_S * 1000)
        page.on("pageerror", self._on_error)
        page.on("console", self._on_console)

    def _on_error(self, error: Error) -> None:
        self.problems.append(str(error))

    def _on_console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.problems.append(message.text)

    def part(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    async def open(self, url: str, user: str | int | None = None) -> None:
        """Open the page at `url` (scheme, host and port) and there the chat of `user`, a name or an id."""
        if isinstance(user, int):
            await self.page.goto(f"{url}/#user={user}")
            await self.wait_until_live()
            return
        await self.page.goto(f"{url}/")
        if user is not None:
            name = re.compile(f"^{re.escape(user)}$")
            person = self.part("user").filter(has=self.page.locator(".person-name", has_text=name))
            await person.first.click()
            await self.wait_until_live()

    async def wait_until_live(self) -> None:
        """The messages of whom the address names are loaded and their event stream is open."""
        await self.page.wait_for_function(
            """() => {
                const { state, userId } = document.getElementById("connection").dataset;
                return state === "live" && location.hash === `#user=${userId}`;
            }"""
        )

    async def new_user(self, name: str) -> int:
        """Make a person, who is then the one who chats; the id."""
        known = {await row.get_attribute("data-user-id") for row in await self.part("user").all()}
        await self.part("new-user-name").fill(name)
        await self.part("new-user-create").click()
        await self.page.wait_for_function(
            "known => location.hash.startsWith('#user=') && !known.includes(location.hash.slice(6))",
            arg=sorted(user_id for user_id in known if user_id is not None),
        )
        await self.wait_until_live()
        return int(self.page.url.partition("#user=")[2])

    async def send(self, text: str) -> None:
        """Write `text` to the bot; in a chat without messages `/start` is sent by the Start button."""
        own = self.page.locator("[data-testid=message][data-from=user]")
        shown = await own.count()
        if await self.part("start").is_visible():
            if text != "/start":
                raise ValueError("a chat that has not begun takes nothing but /start")
            await self.part("start").click()
        else:
            await self.part("composer-input").fill(text)
            await self.part("send").click()
        await own.nth(shown).wait_for(state="attached")

    async def tap(self, button_text: str) -> None:
        """Press the newest inline button whose label holds `button_text`."""
        await self.button(button_text).click()

    async def tap_under(self, substring: str, button_text: str) -> None:
        """Press the button whose label begins with `button_text`, under the newest message that holds `substring`."""
        begins = re.compile(rf"^{re.escape(button_text)}")
        await self.message(substring).get_by_test_id("inline-button").filter(has_text=begins).first.click()

    def button(self, text: str) -> Locator:
        return self.part("inline-button").filter(has_text=text).last

    def message(self, substring: str) -> Locator:
        """The newest message that holds `substring` in its text or caption."""
        having = self.part("message-text").filter(has_text=substring)
        return self.part("message").filter(has=having).last

    async def wait_for_message(self, substring: str, timeout_s: float = WAIT_S) -> str:
        """The text of the newest message that holds `substring`, as soon as there is one."""
        text = self.message(substring).get_by_test_id("message-text")
        await expect(text).to_be_attached(timeout=timeout_s * 1000)
        return await text.inner_text()

    async def messages(self) -> list[str]:
        """The texts and captions on the page, oldest first."""
        return await self.part("message-text").all_inner_texts()

    async def is_wider_than_screen(self) -> bool:
        """True if anything can be scrolled sideways."""
        return await self.page.evaluate(
            """() => ["html", "#scroller", "#people-list", "#stats"].some((name) => {
                const node = document.querySelector(name);
                return node.scrollWidth > node.clientWidth;
            })"""
        )
