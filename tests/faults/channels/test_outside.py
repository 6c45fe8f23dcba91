"""The pages change or refuse, and those who are asked about tokens are away, lie or are slow."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.providers.stand_in import StandIn
from tests.faults.channels.books import figures
from tests.faults.channels.conftest import ChannelVerdict
from tests.faults.channels.listening import Listening

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(400)]

OFF_BY = 1e4
SLOW_S = 5.0


async def test_page_format_changed(listening: Listening, verdict: ChannelVerdict) -> None:
    """Nothing can be read of what comes; then somebody has taught the listener, or Telegram takes it back."""
    bot = await listening.start()
    await listening.first_look()
    await listening.posts.play(40, over_s=2)
    await asyncio.sleep(2)
    listening.outside.pages.fault = "changed"
    await listening.posts.play(120, over_s=listening.stage.size.away_s / 2, is_free=False)
    listening.outside.pages.fault = None
    verdict("The format of the pages changed, and back", await listening.finish(bot))


async def test_blocked(listening: Listening, verdict: ChannelVerdict) -> None:
    blocked_s = 2 * listening.stage.size.away_s
    bot = await listening.start()
    await listening.first_look()
    await listening.posts.play(40, over_s=2)
    await asyncio.sleep(2)
    pages = listening.outside.pages
    pages.block(blocked_s)
    await asyncio.sleep(2)
    before = pages.requests.total()
    await listening.posts.play(150, over_s=blocked_s - 4, is_free=False)
    asked = pages.requests.total() - before
    counts = await listening.finish(bot)
    verdict(f"Blocked for {blocked_s:g} s (429 with Retry-After)", counts)
    assert asked <= 8, f"{asked} requests while we were told to wait"


def provider(listening: Listening, name: str) -> StandIn:
    return next(one for one in listening.outside.providers if one.name == name)


async def played(listening: Listening, what: str, verdict: ChannelVerdict) -> None:
    bot = await listening.start()
    await listening.first_look()
    await listening.posts.play(150, over_s=15)
    await asyncio.sleep(1)
    told = await figures(listening.posts, listening.port, listening.session)
    verdict(what, await listening.finish(bot), told)


@pytest.mark.parametrize("name", ["dexscreener", "rugcheck"])
async def test_provider_down(name: str, listening: Listening, verdict: ChannelVerdict) -> None:
    provider(listening, name).status = 503
    await played(listening, f"{name} down (503)", verdict)


@pytest.mark.parametrize("name", ["dexscreener", "geckoterminal"])
async def test_provider_lies(name: str, listening: Listening, verdict: ChannelVerdict) -> None:
    liar = provider(listening, name)
    listening.posts.hears = lambda token: liar.off_by.update({token: OFF_BY})
    await played(listening, f"{name} lying by 10⁴", verdict)


@pytest.mark.parametrize("name", ["dexscreener", "rugcheck"])
async def test_provider_slow(name: str, listening: Listening, verdict: ChannelVerdict) -> None:
    provider(listening, name).delay_s = SLOW_S
    await played(listening, f"{name} slow ({SLOW_S:g} s)", verdict)


async def test_providers_well(listening: Listening, verdict: ChannelVerdict) -> None:
    await played(listening, "Nothing, and figures are asked for", verdict)
