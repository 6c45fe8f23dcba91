"""Who reads a listener in another process over the socket tells the same as who reads the channels themselves."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from tests.channels.outside import LISTEN_TOKEN, LOOK_S, Outside
from tests.conftest import TEMPLATE, administer
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, set_filter, subscribe

POSTS: Final = 60
"""Some thirty calls: a trial has forty alerts an hour."""
READERS: Final = ("listen", "all", "reads_over_the_socket")
FILTERS: Final = {"ann": None, "bob": ("market_cap_usd", "40k - 400k"), "cid": ("risk_score", "0 - 50")}


@pytest.fixture
async def databases(postgres_server: Any) -> AsyncIterator[dict[str, str]]:
    for name in READERS:
        await administer(postgres_server, f"CREATE DATABASE {name}_{id(READERS)} TEMPLATE {TEMPLATE}")
    yield {name: postgres_server.dsn_of(f"{name}_{id(READERS)}") for name in READERS}
    for name in READERS:
        await administer(postgres_server, f"DROP DATABASE {name}_{id(READERS)} WITH (FORCE)")


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(seed=19) as outside:
        yield outside


async def called(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        waiting = await connection.fetchval("SELECT count(*) FROM unresolved_calls")
        calls = await connection.fetch("SELECT frame::json -> 'token' ->> 'address' AS address FROM channel_calls")
        return {row["address"] for row in calls} if not waiting else set()
    finally:
        await connection.close()


async def wants(user: SandboxUser, wish: tuple[str, str] | None) -> None:
    await subscribe(user, "everything")
    if wish:
        await set_filter(user, *wish)


def told(user: SandboxUser) -> Counter[str]:
    return Counter(address for message in user.messages for address in copied_addresses(message))


@pytest.mark.timeout(150)
@pytest.mark.thorough
async def test_a_bot_that_reads_a_listener_tells_the_same_as_one_that_reads_channels(
    outside: Outside, databases: dict[str, str], redis_url: str, data_dir: Path
) -> None:
    outside.post(40)  # what stood there before calls nothing
    telegrams = {name: TelegramSandbox() for name in READERS[1:]}
    async with AsyncExitStack() as stack, asyncio.timeout(140):
        for one in telegrams.values():
            await stack.enter_async_context(one)

        async def started(name: str, *arguments: str, **more: str) -> BotProcess:
            ours = {
                "REDIS_URL": f"{redis_url}?db={READERS.index(name)}",
                "DATABASE_URL": databases[name],
                "DATA_DIR": tempfile.mkdtemp(dir=data_dir),
                "HTTP_PORT": "0",
            }
            if name in telegrams:
                directory = Path(ours["DATA_DIR"])
                ours = process_environment(
                    telegram=telegrams[name], redis_url=ours["REDIS_URL"], postgres_dsn=databases[name], data_dir=directory
                )
            bot = await stack.enter_async_context(BotProcess(ours | more, "run", *arguments))
            await bot.says("Ready after")
            return bot

        listener = await started("listen", "--role", "listen", LISTEN_TOKEN=LISTEN_TOKEN, **outside.reading)
        port = (await listener.says(r"Health: http://127\.0\.0\.1:(\d+)/"))[1]
        place = f"127.0.0.1:{port}/feed"
        await started("all", FEED_SOURCE="channels", **outside.reading)
        await started(
            "reads_over_the_socket",
            FEED_SOURCE="native",
            FEED_URL=f"ws://{place}",
            FEED_API_URL=f"http://{place}",
            FEED_TOKEN=LISTEN_TOKEN,
        )
        people = {(where, name): one.user(name) for where, one in telegrams.items() for name in FILTERS}
        await asyncio.gather(*(wants(user, FILTERS[name]) for (_, name), user in people.items()))
        await outside.looked_at(4)
        for _ in range(POSTS):
            outside.post()
            await asyncio.sleep(LOOK_S)
        outside.played.finish()
        await outside.looked_at(6)
        while not (said := await called(databases["listen"])) or said != await called(databases["all"]):
            await asyncio.sleep(LOOK_S)
        for where in telegrams:
            while set(told(people[where, "ann"])) != said:
                await asyncio.sleep(LOOK_S)
        for name in ("bob", "cid"):
            while set(told(people["all", name])) != set(told(people["reads_over_the_socket", name])):
                await asyncio.sleep(LOOK_S)
    told_to = {name: told(people["all", name]) for name in FILTERS}
    print({name: len(found) for name, found in told_to.items()}, len(said))
    assert told_to == {name: told(people["reads_over_the_socket", name]) for name in FILTERS}
    assert all(set(found.values()) == {1} for found in told_to.values())
    assert len(told_to["ann"]) > len(told_to["bob"]) > 0
    assert len(told_to["ann"]) > len(told_to["cid"]) > 0
