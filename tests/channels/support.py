"""A channel that is read by a test, and what is needed around it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final

from solders.pubkey import Pubkey

from services.channels.history import CallHistory
from services.channels.listed import ListedChannels
from services.channels.paging import Reading
from services.channels.rows import ChannelRows, ReadChannel
from services.channels.taking import TakingService
from tests.channels.channel_book import ChannelBook

NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
ALPHA: Final = "@alpha"


def mint(seed: int) -> str:
    return str(Pubkey(Random(seed).randbytes(32)))


@dataclass
class Kit:
    rows: ChannelRows
    listed: ListedChannels
    history: CallHistory
    taking: TakingService
    book: ChannelBook

    async def channel(self, name: str = ALPHA) -> ReadChannel:
        found = await self.rows.find(name)
        assert found is not None
        return found

    async def look(self, name: str = ALPHA) -> ReadChannel:
        page = await self.book.newest(name)
        reading = Reading(posts=page.posts, title=page.title, unread=page.unread)
        return await self.taking.take(await self.channel(name), reading)

    async def called(self, since: int = 0) -> list[tuple[str, str]]:
        frames = [json.loads(kept.frame) for kept in await self.history.since(since, 1000)]
        return [(frame["id"], frame["token"]["address"]) for frame in frames]
