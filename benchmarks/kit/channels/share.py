"""What the listener itself takes: from a page that has arrived to the frame at whoever reads the socket. Real time.

The pages are in a process of their own; polling, the HTTP edge and the reader of the socket are in this one, so the
reader's own time counts as the listener's.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import numpy as np
from prometheus_client import CollectorRegistry
from solders.pubkey import Pubkey
from websockets.asyncio.client import connect

from benchmarks.kit.processes import Part, in_own_process
from benchmarks.kit.report import Row, at_most, for_comparison
from domain.prices.readings import TokenRef
from embedded.postgres import EmbeddedPostgres
from managers.channels.base import Page
from managers.channels.preview import TelegramPreview
from managers.storage.postgres import PostgresManager
from migrations import migrate
from runtime.clock import now
from sandbox.channels.server import ChannelsSandbox
from services.channels.history import CallHistory
from services.channels.listed import ListedChannels
from services.channels.polling import PollingService
from services.channels.resolving import Resolver
from services.channels.rows import ChannelRows
from services.channels.taking import TakingService
from services.channels.turns import ChannelTurns
from web.app import HealthReport, create_app
from web.channel_feed import ChannelFeed
from web.server import HttpServer

CHANNELS: Final = 40
CALLS_PER_S: Final = 5.0
REQUESTS_PER_S: Final = 20.0
TARGET_MS: Final = 50.0
_SHOWN: Final = "a token that is long enough"
_TEXT: Final = "{}\n\nDev looks active, chart is clean. MCap: $45.2K\n\nCA: {}\n\nNFA, DYOR"


@asynccontextmanager
async def pages() -> AsyncGenerator[ChannelsSandbox]:
    async with ChannelsSandbox() as channels:
        yield channels


class _Noting:
    """The reader of pages, and when each post was on one first."""

    name = "noting"

    def __init__(self, reader: TelegramPreview) -> None:
        self._reader = reader
        self.came_at_s: dict[tuple[str, int], float] = {}
        self.looks = 0

    async def newest(self, channel: str) -> Page:
        return await self._ask(self._reader.newest(channel))

    async def before(self, channel: str, number: int) -> Page:
        return await self._ask(self._reader.before(channel, number))

    async def _ask(self, asked: Awaitable[Page]) -> Page:
        page = await asked
        came_at_s = time.perf_counter()
        for post in page.posts:
            self.came_at_s.setdefault((page.channel, post.number), came_at_s)
        self.looks += 1
        return page


def rows(calls: int) -> list[Row]:
    took_ms = asyncio.run(_measure(calls))
    p50, p99, most = np.percentile(took_ms, (50, 99, 100))
    what = f"listener's own share, {CALLS_PER_S:g} calls/s of {CHANNELS} channels: page → frame"
    return [
        for_comparison(f"{what}, p50", float(p50), "ms"),
        at_most(f"{what}, p99", float(p99), "ms", TARGET_MS),
        for_comparison(f"{what}, the slowest of {len(took_ms):,}", float(most), "ms"),
    ]


async def _measure(calls: int) -> list[float]:
    names = [f"@channel_{number}" for number in range(CHANNELS)]
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bot-share-")))
        server = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        await migrate(server.dsn)
        postgres = await stack.enter_async_context(PostgresManager(server.dsn))
        part = await stack.enter_async_context(in_own_process(pages))
        for name in names:
            await part.ask("post", name, "gm")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        reader = _Noting(TelegramPreview(session, await part.ask("url")))
        history, polling, listed = _listener(postgres, reader)
        await listed.configured(names)
        feed = ChannelFeed(history=history, token=_SHOWN, clock=now, channel=_nobody, token_of=_nobody)
        app = create_app(health=_well, metrics=CollectorRegistry(), routes=[feed.router])
        edge = await stack.enter_async_context(HttpServer(app, "127.0.0.1", 0))
        socket = await stack.enter_async_context(connect(f"ws://127.0.0.1:{edge.port}/feed"))
        await socket.send(json.dumps({"type": "subscribe", "topics": ["calls"], "since": 1, "token": _SHOWN}))
        polls = asyncio.create_task(polling.run(lambda: None))
        while reader.looks < 2 * CHANNELS:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.05)
        posting = asyncio.create_task(_post(part, names, calls))
        took_ms: list[float] = []
        while len(took_ms) < calls:
            frame = json.loads(await socket.recv())
            if frame["type"] == "call":
                came_at_s = reader.came_at_s[frame["channel"]["id"], int(frame["id"].split("/")[2])]
                took_ms.append((time.perf_counter() - came_at_s) * 1e3)
        await posting
        polls.cancel()
        await asyncio.gather(polls, return_exceptions=True)
    return took_ms


def _listener(postgres: PostgresManager, reader: _Noting) -> tuple[CallHistory, PollingService, ListedChannels]:
    rows = ChannelRows(postgres)
    history = CallHistory(postgres, rows, now)
    resolver = Resolver(lookups=[], rows=rows, is_token=_unknown, clock=now, written=history.wake)
    taking = TakingService(rows=rows, resolver=resolver, clock=now, written=history.wake)
    listed = ListedChannels(postgres, rows, now)
    polling = PollingService(
        reader=reader,
        turns=ChannelTurns(taking),
        listed=listed,
        requests_per_s=REQUESTS_PER_S,
        at_least_s=1.0,
        clock=now,
    )
    return history, polling, listed


async def _post(pages: Part, names: Sequence[str], calls: int) -> None:
    random = Random(19)
    for _ in range(calls):
        mint = str(Pubkey(random.randbytes(32)))
        await pages.ask("post", random.choice(names), _TEXT.format("Smooth Cat ($CAT)", mint))
        await asyncio.sleep(random.expovariate(CALLS_PER_S))


async def _unknown(_: TokenRef) -> bool:
    return False


async def _nobody(_: str, __: str | None = None) -> None:
    return None


async def _well() -> HealthReport:
    return {"ok": True}
