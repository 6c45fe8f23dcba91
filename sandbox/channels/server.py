"""Telegram's channels on loopback: pages of twenty posts without an account, and everything that can go wrong there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from sandbox.channels import pages
from sandbox.channels.posts import Closed, Media, Origin, SandboxChannel, SandboxPost

PAGE_POSTS = 20
Fault = int | Literal["proxy", "empty", "half", "changed", "drop"]
"""A status; or a 200 that is somebody else's page, nothing, the first half, in another format; or no answer at all."""

_HOST = "127.0.0.1"
_FIRST_PEER = -1_500_000_000
_CHANGES = (("tgme_widget_message", "tgx-msg"), ("tgme_channel_history", "tgx-history"), ("data-post", "data-message"))


class ChannelsSandbox:
    """`async with ChannelsSandbox() as channels:` then ask `channels.url` + `/s/<name>`.

    Channels are named with or without `@`, in any case.
    """

    def __init__(self, *, port: int = 0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.url = ""
        self.requests: Counter[str] = Counter()
        """By channel, `@name`: pages that were asked for, whatever the answer."""
        self.delay_s = 0.0
        self.fault: Fault | None = None
        """Answered instead of any page until it is taken back."""
        self._port = port
        self._clock = clock
        self._channels: dict[str, SandboxChannel] = {}
        self._former: dict[str, SandboxChannel] = {}
        self._faults: deque[Fault | None] = deque()
        self._blocked_until_s = 0.0
        self._says_how_long = True
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/s/{name}", self._serve_page)
        app.router.add_get("/{name}", self._serve_card)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, self._port).start()
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def names(self) -> tuple[str, ...]:
        """`@name` of every channel."""
        return tuple(f"@{channel.name}" for channel in self._channels.values())

    def channel(self, name: str, *, title: str | None = None) -> SandboxChannel:
        """The channel of this name; it is made if there is none."""
        key = _key(name)
        if key not in self._channels:
            bare = name.removeprefix("@")
            peer = _FIRST_PEER - len(self._channels) - len(self._former)
            self._channels[key] = SandboxChannel(name=bare, title=title or bare, peer=peer)
        return self._channels[key]

    def post(
        self,
        channel: str,
        text: str = "",
        *,
        html: str | None = None,
        at: datetime | None = None,
        media: Media | None = None,
        is_service: bool = False,
        origin: Origin | None = None,
        reply_to: int | None = None,
        author: str | None = None,
        buttons: tuple[tuple[str, str | None], ...] = (),
        views: int = 0,
    ) -> int:
        """Post plain text, or `html` as Telegram's bots write it; gives the number of the post."""
        owner = self.channel(channel)
        owner.last_number += 1
        owner.posts[owner.last_number] = SandboxPost(
            number=owner.last_number,
            html=escape(text, quote=False) if html is None else html,
            at=at or self._clock(),
            media=media,
            is_service=is_service,
            origin=origin,
            reply_to=reply_to,
            author=author,
            buttons=buttons,
            views=views,
        )
        return owner.last_number

    def edit(self, channel: str, number: int, text: str = "", *, html: str | None = None) -> None:
        post = self.channel(channel).posts[number]
        post.html = escape(text, quote=False) if html is None else html
        post.is_edited = True

    def delete(self, channel: str, number: int) -> None:
        del self.channel(channel).posts[number]

    def close(self, channel: str, why: Closed | None) -> None:
        """Show it no more; `None` shows it again."""
        self.channel(channel).closed = why

    def title(self, channel: str, title: str) -> None:
        self.channel(channel).title = title

    def rename(self, channel: str, name: str, *, keeps_old: bool = False) -> None:
        """Give it another name; the old one is nobody's then, or leads to it as a second one."""
        owner = self._channels.pop(_key(channel))
        owner.name = name.removeprefix("@")
        self._channels[_key(name)] = owner
        if keeps_old:
            self._former[_key(channel)] = owner

    def will(self, *faults: Fault | None) -> None:
        """Answer the next requests with these, each once; `None`: with what was asked for."""
        self._faults.extend(faults)

    def block(self, for_s: float, *, says_how_long: bool = True) -> None:
        """Refuse everything with 429 for so long; 0 ends it."""
        self._blocked_until_s = time.monotonic() + for_s
        self._says_how_long = says_how_long

    async def _serve_page(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.requests[f"@{_key(name)}"] += 1
        fault = await self._fault()
        if isinstance(fault, web.StreamResponse):
            return fault
        channel = self._channels.get(_key(name)) or self._former.get(_key(name))
        if channel is None or channel.closed:
            is_private = channel is not None and channel.closed == "private"
            raise web.HTTPFound(f"{self.url}/+Zm9yYmlkZGVu" if is_private else f"{self.url}/{name}")
        before = request.query.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() else None
        page = pages.channel_page(channel, channel.page(number, PAGE_POSTS), before=number)
        return _damaged(page, fault, request)

    async def _serve_card(self, request: web.Request) -> web.StreamResponse:
        fault = await self._fault()
        if isinstance(fault, web.StreamResponse):
            return fault
        name = request.match_info["name"]
        return _damaged(pages.card_page(name, self._channels.get(_key(name))), fault, request)

    async def _fault(self) -> web.StreamResponse | Fault | None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        left_s = self._blocked_until_s - time.monotonic()
        if left_s > 0:
            headers = {"Retry-After": str(int(left_s) + 1)} if self._says_how_long else {}
            return web.Response(status=429, text="Too Many Requests", headers=headers)
        fault = self._faults.popleft() if self._faults else self.fault
        if isinstance(fault, int):
            return web.Response(status=fault, text=pages.PROXY, content_type="text/html")
        if fault == "proxy":
            return web.Response(text=pages.PROXY, content_type="text/html")
        return web.Response(text="", content_type="text/html") if fault == "empty" else fault


def _damaged(page: str, fault: Fault | None, request: web.Request) -> web.Response:
    if fault == "drop" and request.transport is not None:
        request.transport.abort()
    elif fault == "half":
        page = page[: len(page) // 2]
    elif fault == "changed":
        for old, new in _CHANGES:
            page = page.replace(old, new)
    return web.Response(text=page, content_type="text/html")


def _key(name: str) -> str:
    return name.removeprefix("@").lower()
