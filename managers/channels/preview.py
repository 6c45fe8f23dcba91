"""Channels by their public pages on t.me: no account, twenty posts a page, edits by reading again.

Telegram documents none of this. The pages tell neither of deletions nor when something was edited. Nothing is
remembered from one page to the next, `ETag` included: a page that was not written down has to be given again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final, NoReturn

import aiohttp
from msgspec.structs import replace
from yarl import URL

from managers.channels.base import BlockedError, ChannelClosedError, NotServedError, Page
from managers.channels.preview_page import MAX_BYTES, Seen, read_landing, read_page
from managers.http.answers import FailedError, ForeignAnswerError
from managers.http.request_budget import pause_s
from managers.http.visiting import Visited, visit
from runtime.clock import now

TIMEOUT_S: Final = 10.0
EMPTY_PAGES: Final = 5
"""So many pages on which nobody has written anything, or nothing that can be read, are passed in search of posts."""

_NAME: Final = re.compile(r"@[a-z][a-z0-9_]{2,31}")
_HEADERS: Final = {
    "Accept": "text/html",
    "Accept-Language": "en",
    "User-Agent": "Mozilla/5.0 (compatible; TokenFilterBot)",
}


class TelegramPreview:
    """`newest` costs one request, two where the channel is not shown; `before` one, hardly ever more."""

    name: str = "telegram-preview"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str = "https://t.me",
        *,
        clock: Callable[[], datetime] = now,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`timeout_s` for each request."""
        self._session = session
        self._base = URL(base_url.rstrip("/"))
        self._clock = clock
        self._timeout_s = timeout_s

    async def newest(self, channel: str) -> Page:
        return (await self._page(channel.lower(), {})).page

    async def before(self, channel: str, number: int) -> Page:
        channel, unreadable, unread = channel.lower(), 0, tuple[int, ...]()
        for _ in range(EMPTY_PAGES):
            seen = await self._page(channel, {"before": str(number)})
            if seen.last_number is not None and seen.last_number >= number:
                raise ForeignAnswerError(f"a page of {channel} with other posts than those before {number}")
            unreadable += seen.page.unreadable
            unread = (*seen.page.unread, *unread)
            if seen.page.posts or seen.page.first_number is None:
                return replace(seen.page, unreadable=unreadable, unread=unread)
            number = seen.page.first_number
        raise FailedError(f"no post on {EMPTY_PAGES} pages of {channel}")

    async def _page(self, channel: str, params: Mapping[str, str]) -> Seen:
        if not _NAME.fullmatch(channel):
            raise ChannelClosedError(channel, "not_found")
        answer = await self._visit(f"/s/{channel[1:]}", params)
        if answer.is_redirect:
            await self._refuse(channel, answer.headers["Location"])
        return read_page(answer.body, channel, now=self._clock())

    async def _refuse(self, channel: str, location: str) -> NoReturn:
        """Raise what a redirect means: the page about the name says whether anybody has it."""
        try:
            target = self._base.join(URL(location))
        except ValueError as error:
            raise ForeignAnswerError("a redirect to nowhere") from error
        if target.host != self._base.host:
            raise ForeignAnswerError(f"a redirect to {target.host}"[:200])
        path = target.path.rstrip("/").lower()
        if path.startswith(("/+", "/joinchat/")):
            raise ChannelClosedError(channel, "private")
        if path != f"/{channel[1:]}":
            raise ForeignAnswerError(f"a redirect to {path}"[:200])
        answer = await self._visit(path, {})
        if answer.is_redirect:
            raise ForeignAnswerError(f"redirects from the page about {channel}")
        raise ChannelClosedError(channel, read_landing(answer.body, channel))

    async def _visit(self, path: str, params: Mapping[str, str]) -> Visited:
        answer = await visit(
            self._session,
            f"{self._base}{path}",
            params=params,
            headers=_HEADERS,
            timeout_s=self._timeout_s,
            max_bytes=MAX_BYTES,
        )
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise BlockedError("HTTP 429", for_s=pause_s(answer.headers))
        if answer.status != HTTPStatus.OK and not answer.is_redirect:
            raise NotServedError(f"HTTP {answer.status} from {self._base.host}")
        return answer
