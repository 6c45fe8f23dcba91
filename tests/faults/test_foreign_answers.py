"""A proxy, a login page, a provider's block answers in place of Telegram or of the feed, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.proxy import FaultProxy
from tests.faults.stage import Stage

SHORT_S, FULL_S = 3.0, 20.0


def answer(status: int, body: str, content_type: str = "application/json", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", body]).encode()


PAGES = [
    *(answer(status, "<html>Blocked</html>", "text/html") for status in (403, 400, 404, 401, 409, 413, 429, 200, 502)),
    answer(302, "", "text/html", "Location: https://login.example/"),
    answer(200, ""),
    answer(200, "[]"),
    answer(200, '{"ok":false}'),
    answer(403, '{"error":{"code":403,"message":"quota exceeded"}}'),
    answer(200, '{"ok":true,"result":7}'),
    answer(503, "<html>Soon</html>", "text/html", "Retry-After: 1"),
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"ok":tr',
    b"220 mail.example ESMTP ready\r\n",
]


def pages() -> Iterator[bytes]:
    return cycle(PAGES)


async def fates(stage: Stage) -> tuple[int, int]:
    """How many people PostgreSQL takes for unreachable, and how many alerts for undeliverable."""
    async with stage.database() as connection:
        unreachable = await connection.fetchval("SELECT count(*) FROM subscribers WHERE unreachable")
        dead = await connection.fetchval("SELECT count(*) FROM deliveries WHERE status = 'dead'")
    return unreachable, dead


@pytest.mark.thorough
async def test_in_place_of_telegram(stage: Stage, verdict: Verdict) -> None:
    """From the start on, and again while alerts flow: nobody is lost for it, and the process goes on."""
    for_s = FULL_S if stage.size.full else SHORT_S
    async with FaultProxy(stage.telegram.url) as middlebox:
        middlebox.answer_instead(pages())
        async with stage.bot(TELEGRAM_API_BASE=f"http://{middlebox.authority}") as bot:
            await bot.says("Telegram cannot be reached")
            await middlebox.repair()
            await stage.warm_up()
            async with stage.playing():
                middlebox.answer_instead(pages())
                await asyncio.sleep(for_s)
                await middlebox.repair()
            counts = await stage.finish(bot)
    assert middlebox.answered_instead > len(PAGES)
    assert await fates(stage) == (0, 0)
    verdict("Somebody else answering in place of Telegram", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
async def test_in_place_of_the_feed(stage: Stage, verdict: Verdict) -> None:
    """The handshake and the HTTP side: what was called meanwhile is fetched when the feed itself answers again."""
    for_s = FULL_S if stage.size.full else SHORT_S
    async with FaultProxy(stage.feed.ws_url) as socket, FaultProxy(stage.feed.http_url) as http:
        at = {"FEED_URL": f"ws://{socket.authority}/", "FEED_API_URL": f"http://{http.authority}"}
        async with stage.bot(**at) as bot:
            await stage.warm_up()
            async with stage.playing():
                http.answer_instead(pages())
                socket.answer_instead(pages())
                await asyncio.sleep(for_s)
                await socket.repair()  # the past is still answered by somebody else
                await asyncio.wait_for(stage.feed.someone_listens.wait(), for_s * 10)
                await http.repair()
            counts = await stage.finish(bot)
    assert socket.answered_instead
    verdict("Somebody else answering in place of the feed, its socket and its HTTP side", counts)
