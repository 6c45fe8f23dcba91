"""Whether the feed is read, on both of its sides, as the doctor says it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final

from bot.doctor.surroundings import UnhealthyError
from domain.calls.events import Call
from managers.feed.frame_log import REFUSED
from managers.feed.sources.base import Source
from managers.feed.websocket import WebSocketManager
from managers.http.answers import DeniedError
from runtime.errors import BotError
from runtime.reasons import in_short

FEED_TIMEOUT_S: Final = 12.0
FEED_POLL_S: Final = 0.05
_NO_FEED_THERE: Final = re.compile(r"HTTP (403|404|405|200)\b")
"""How a server answers at a path where it has no web socket."""


async def feed_check(source: Source) -> str:
    """Connect and wait for the first event."""
    feed = WebSocketManager(source=source, emit=_ignore, resume_cursor=lambda: None)
    reading = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(FEED_TIMEOUT_S):
            while feed.stats.last_data_at is None and not reading.done():
                if (problem := feed.health().last_problem) and problem.startswith(REFUSED):
                    raise UnhealthyError(_unread(problem))
                await asyncio.sleep(FEED_POLL_S)
    except TimeoutError:
        raise UnhealthyError(_unread(feed.health().last_problem or "connected, but nothing comes")) from None
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    return f"{source.name}: connected, data comes"


def _unread(problem: str) -> str:
    said = f"The feed cannot be read ({in_short(problem)})"
    if problem.startswith(REFUSED):
        return f"{said}: check FEED_TOKEN."
    if "HTTP 401" in problem:
        return f"{said}: check FEED_TOKEN and FEED_URL."
    if _NO_FEED_THERE.search(problem):
        return f"{said}: check the path in FEED_URL (a bot that listens serves its feed at /feed), then FEED_TOKEN."
    return f"{said}: check FEED_URL and FEED_SOURCE."


async def past_check(source: Source) -> str:
    """Ask the HTTP side, where there is one."""
    try:
        newest = await source.newest_cursor()
    except DeniedError as error:
        said = f"The feed's HTTP side does not let us in ({in_short(error)}): check FEED_TOKEN."
        raise UnhealthyError(said) from error
    except BotError as error:
        said = f"The feed's HTTP side does not answer ({in_short(error)}): check FEED_API_URL."
        raise UnhealthyError(f"{said} Without it, calls that are missed are not fetched.") from error
    if newest is None:
        raise UnhealthyError("There is no HTTP side of a feed at this path (HTTP 404): check FEED_API_URL.")
    return f"answers; its newest call is number {newest}"


async def _ignore(_call: Call) -> None:
    """Look only."""
