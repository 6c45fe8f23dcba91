"""What the conversation needs of this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from domain.posts.reasons import Reason
from services.channels.conditions import Blocked
from services.channels.listed import ListedChannels
from services.channels.posts import PostLookup


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelServices:
    listed: ListedChannels
    posts: PostLookup
    reads: Callable[[], bool]
    """Whether a process of this bot reads channels; the next three know of this process alone."""
    interval_of: Callable[[str], float | None] = lambda _: None
    """Seconds between two looks at a channel."""
    silent: Callable[[str], Reason | None] = lambda _: None
    """The commonest near miss of a channel that used to call and only posts now."""
    blocked: Callable[[], Blocked | None] = lambda: None
    """Since when, and why, nothing can be read."""
