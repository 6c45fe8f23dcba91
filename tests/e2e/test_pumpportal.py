"""PumpPortal's frames, as captured and as feared, through a real socket to real chats."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from pathlib import Path

import aiohttp

from domain.calls.addresses import is_mint
from sandbox.feed.replay import ReplaySandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, set_filter, subscribe

FRAMES = Path(__file__).parents[1] / "feed" / "frames" / "pumpportal.jsonl"


def launches(frames: list[bytes]) -> set[str]:
    """Tokens that were launched according to the file, counted without the code under test."""
    found: set[str] = set()
    for frame in frames:
        try:
            body = json.loads(frame)
        except ValueError:
            continue
        match body:
            case {"txType": "create", "mint": str(mint)} if is_mint(mint):
                found.add(mint)
            case _:
                pass
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def test_each_launch_reaches_whom_it_passes_exactly_once(
    telegram: TelegramSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    frames = FRAMES.read_bytes().splitlines()
    expected = launches(frames)
    counts: Counter[tuple[int, str]] = Counter()

    def saw(message: JsonObject) -> None:
        for address in copied_addresses(message):
            counts[message["chat"]["id"], address] += 1

    telegram.on_message(saw)
    taker, refuser = telegram.user("takes all"), telegram.user("takes none")
    port = free_port()
    async with PriceSandbox() as prices:
        environment = process_environment(
            telegram=telegram,
            redis_url=redis_url,
            postgres_dsn=postgres_dsn,
            data_dir=data_dir,
            FEED_SOURCE="pumpportal",
            FEED_URL=f"ws://127.0.0.1:{port}/",
            PRICE_API_URL=prices.url,
        )
        async with BotProcess(environment) as bot:
            await bot.says("Ready after")
            await subscribe(taker, "everything")
            await subscribe(refuser, "everything")
            await set_filter(refuser, "market_cap_usd", "900M -")
            async with ReplaySandbox(frames, port=port) as feed:
                async with asyncio.timeout(60):
                    await feed.finished.wait()
                while not expected <= {address for chat_id, address in counts if chat_id == taker.chat_id}:
                    await taker.next_message(timeout_s=30, where=lambda m: bool(copied_addresses(m)))
                counted = await metrics(bot)
            bot.interrupt()
            assert await bot.exit_code() == 0, bot.output

    told = {address for chat_id, address in counts if chat_id == taker.chat_id}
    print(f"{len(frames)} frames, {len(expected)} launches, {sum(counts.values())} alerts")  # noqa: T201 - the counts
    assert expected <= told
    assert set(counts.values()) == {1}
    assert not [pair for pair in counts if pair[0] == refuser.chat_id]
    assert counted["feed_malformed"] > 0
    assert counted["feed_refused"] > 0
    assert counted["feed_repeats"] > 0


async def metrics(bot: BotProcess) -> dict[str, float]:
    """What the bot says of itself at /metrics."""
    address = (await bot.says(r"Health: (http://\S+)/healthz"))[1]
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as answer:
        text = await answer.text()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
