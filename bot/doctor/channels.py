"""Whether the channels that are named can be read, as the doctor says it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from bot.doctor.surroundings import UnhealthyError
from managers.channels.base import ChannelClosedError, ChannelReader, Page
from runtime.counted import counted
from runtime.errors import TransientError
from runtime.reasons import in_short

LOOKED_AT: Final = 10
"""Each is a request to somebody who does not like many."""
_WHY: Final = {
    "not_found": "nobody has this name",
    "no_preview": "it is not shown on the web: read it by a session, or leave it out",
    "moved": "it has another name by now",
    "replaced": "another channel has this name by now",
    "private": "one has to be let in: read it by a session, or leave it out",
}


async def ignored_channels() -> str:
    """Say that nobody reads those that are named."""
    raise UnhealthyError(
        "CHANNELS are named, and not read, since calls come from another feed (FEED_URL or FEED_SOURCE): take CHANNELS "
        "or FEED_URL out, or set FEED_SOURCE=channels. Where a process of the role listen reads them, it needs "
        "LISTEN_TOKEN."
    )


async def channels_check(reader: ChannelReader, channels: Sequence[str]) -> str:
    """Look at the first of them."""
    if not channels:
        return "none is named (CHANNELS): admins add them in the chat, with /channels"
    looked_at = channels[:LOOKED_AT]
    answers = await asyncio.gather(*(_look(reader, channel) for channel in looked_at))
    wrong = [answer for answer in answers if not isinstance(answer, Page)]
    if wrong:
        advice = "take them out of CHANNELS, or correct them there"
        if any(not answer.is_closed for answer in wrong):
            advice = "check the network, and PREVIEW_URL if it is set"
        said = "; ".join(answer.why for answer in wrong[:3])
        raise UnhealthyError(f"{len(wrong)} of {len(looked_at)} cannot be read ({said}): {advice}.")
    posts = sum(len(answer.posts) for answer in answers if isinstance(answer, Page))
    return f"{len(channels)} named; {counted(posts, 'post')} on {counted(len(looked_at), 'page')} looked at"


class _Unread(NamedTuple):
    why: str
    is_closed: bool
    """The other side says so of this channel."""


async def _look(reader: ChannelReader, channel: str) -> Page | _Unread:
    try:
        return await reader.newest(channel)
    except ChannelClosedError as error:
        return _Unread(f"{channel}: {_WHY[error.why]}", is_closed=True)
    except TransientError as error:
        return _Unread(f"{channel}: {in_short(error)}", is_closed=False)
