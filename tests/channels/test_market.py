"""What the market's channels post, read back from their pages, next to what they have truly called."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from domain.posts.post import Post
from domain.posts.understanding import Understood, understand
from managers.channels.preview import TelegramPreview
from sandbox.channels.playing import PlayedChannels
from sandbox.channels.server import ChannelsSandbox
from sandbox.market.market import Market
from sandbox.providers.pools import pool_of

BEGAN = datetime(2026, 11, 30, 9, tzinfo=UTC)
POSTS = 3_000
LEAST_PRECISION, LEAST_RECALL = 1.0, 1.0


@pytest.fixture
async def played(channels: ChannelsSandbox) -> PlayedChannels:
    played = PlayedChannels(Market(seed=20_261_130), channels, calls_per_s=0.0)
    for second in range(POSTS):
        played.post_next(BEGAN + timedelta(seconds=second))
    played.finish()
    return played


async def history(preview: TelegramPreview, channel: str) -> list[Post]:
    """Every post that the pages still show, the oldest first."""
    read = list((await preview.newest(channel)).posts)
    while read:
        page = await preview.before(channel, read[0].number)
        assert page.unreadable == 0
        if not page.posts:
            break
        read[:0] = page.posts
    return read


async def test_calls_are_read_back_from_the_pages(played: PlayedChannels, preview: TelegramPreview):
    found: set[tuple[str, str, int]] = set()
    read: dict[tuple[str, int], Understood] = {}
    for channel in played.names:
        earlier: set[str] = set()
        for post in await history(preview, channel):
            understood = read[channel, post.number] = understand(post, earlier=earlier)
            for token in understood.calls:
                found.add((channel, token.address, post.number))
                earlier.add(token.address)
    # Whoever knows pools names the token of one.
    by_pool = {pool_of(call.token): call.token for call in played.calls}
    found = {(channel, by_pool.get(address, address), number) for channel, address, number in found}
    true = {(call.channel, call.token, call.number) for call in played.calls}
    styles = {(call.channel, call.token, call.number): call.style for call in played.calls}
    missed = Counter((styles[one], read[one[0], one[2]].reason) for one in true - found)
    made_up = Counter(read[channel, number].reason for channel, _, number in found - true)
    precision, recall = len(found & true) / len(found), len(found & true) / len(true)
    said = f"{len(true)} calls, precision {precision:.4f}, recall {recall:.4f}, missed {missed}, made up {made_up}"
    assert (precision, recall) >= (LEAST_PRECISION, LEAST_RECALL), said
