"""What the market's channels post, read back from their pages, next to what they have truly called."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from domain.posts.post import Post
from domain.posts.understanding import Understood, understand
from managers.channels.preview import TelegramPreview
from sandbox.channels.playing import PlayedChannels
from sandbox.channels.server import ChannelsSandbox
from sandbox.channels.styles import STYLES
from sandbox.market.market import Market
from sandbox.providers.pools import pool_of
from sandbox.world.world import Wants, open_world
from tests.channels.conftest import READ_AT

BEGAN = datetime(2026, 11, 30, 9, tzinfo=UTC)
POSTS = 3_000
LEAST_PRECISION, LEAST_RECALL = 1.0, 0.98
"""Calls that open with the sale of another token are taken for sales: the hopeful channel has such a sentence."""


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
    found = {(channel, played.token_of_pool(address) or address, number) for channel, address, number in found}
    true = {(call.channel, call.token, call.number) for call in played.calls}
    styles = {(call.channel, call.token, call.number): call.style for call in played.calls}
    missed = Counter((styles[one], read[one[0], one[2]].reason) for one in true - found)
    made_up = Counter(read[channel, number].reason for channel, _, number in found - true)
    precision, recall = len(found & true) / len(found), len(found & true) / len(true)
    said = f"{len(true)} calls, precision {precision:.4f}, recall {recall:.4f}, missed {missed}, made up {made_up}"
    assert precision >= LEAST_PRECISION, said
    assert recall >= LEAST_RECALL, said
    assert set(styles.values()) == set(STYLES)
    assert len(true) > POSTS / 2
    assert {understood.reason for understood in read.values()} >= {"result", "dip_notice", "board", "invite", "account"}


async def test_an_address_that_was_inserted_is_called_when_the_edit_is_read(
    channels: ChannelsSandbox, preview: TelegramPreview
):
    played = PlayedChannels(Market(seed=5), channels, calls_per_s=0.0)
    before: dict[tuple[str, int], Understood] = {}
    seen = 0
    for second in range(300):
        played.post_next(BEGAN + timedelta(seconds=second))
        for call in list(played.calls)[seen:]:
            post = next(post for post in (await preview.newest(call.channel)).posts[::-1] if post.number == call.number)
            understood = understand(post, before=before.get((call.channel, call.number)))
            assert [token.called_at for token in understood.calls] == [post.edited_at or call.at]
            assert (post.edited_at == READ_AT) == (call.style == "address_later")
        seen = len(played.calls)
        for channel in played.names if second % 20 == 0 else ():
            for post in (await preview.newest(channel)).posts:
                before.setdefault((channel, post.number), understand(post))
    assert {call.style for call in played.calls} >= {"address_later"}


async def test_tokens_of_channels_are_known_to_all_providers(tmp_path: Path, session: aiohttp.ClientSession):
    wants = Wants(telegram=False, feed=False, prices=True, redis=False, postgres=False, channels=True)
    async with open_world(wants, data_dir=tmp_path, port=0, calls_per_s=200, demo=False) as world:
        assert world.channels
        assert world.dexscreener
        assert len(world.channels.names) == len(set(world.channels.names)) > 20
        preview = TelegramPreview(session, world.channels.url)
        await world.channels.has_called.wait()
        call = world.channels.calls[-1]
        assert call.number in {post.number for post in (await preview.newest(call.channel)).posts}
        token = world.find_token(call.token)
        assert token
        assert token.market_cap_usd
        async with session.get(f"{world.dexscreener.url}/tokens/v1/solana/{call.token}") as answer:
            [pair] = await answer.json()
        assert pair["pairAddress"] == pool_of(call.token)
        assert world.panel()["calls"] == len(world.channels.calls)


def test_the_same_seed_posts_the_same():
    written: list[list[tuple[str, str]]] = []
    for _ in range(2):
        pages = ChannelsSandbox(clock=lambda: BEGAN)
        played = PlayedChannels(Market(seed=9), pages, calls_per_s=0.0)
        for second in range(200):
            played.post_next(BEGAN + timedelta(seconds=second))
        written.append([(name, post.html) for name in played.names for post in pages.channel(name).posts.values()])
    assert written[0] == written[1]
