"""Who reads a listener in another process over the socket tells the same as who reads the channels themselves."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from embedded.postgres import EmbeddedPostgres
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from tests.channels.outside import LISTEN_TOKEN, LOOK_S, Outside
from tests.databases import TEMPLATE, administer
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, set_filter, subscribe

POSTS: Final = 60
"""Some thirty calls: a trial has forty alerts an hour."""
LISTENER, ALONE, READER = "listener", "alone", "reader"
FILTERS: Final = {"ann": None, "bob": ("market_cap_usd", "40k - 400k"), "cid": ("risk_score", "0 - 50")}
WITHIN_S: Final = 150


@pytest.fixture
async def databases(postgres_server: EmbeddedPostgres) -> AsyncIterator[dict[str, str]]:
    names = {name: f"of_{name}" for name in (LISTENER, ALONE, READER)}
    for database in names.values():
        await administer(postgres_server, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE}")
    yield {name: postgres_server.dsn_of(database) for name, database in names.items()}
    for database in names.values():
        await administer(postgres_server, f"DROP DATABASE {database} WITH (FORCE)")


class Trio:
    """A listener, a bot that reads it, and one that reads the channels alone; each with stores of its own."""

    def __init__(self, redis_url: str, databases: dict[str, str], directory: Path) -> None:
        self._redis_urls = {name: f"{redis_url}?db={number}" for number, name in enumerate(databases)}
        self._databases = databases
        self._directory = directory
        self.telegrams = {ALONE: TelegramSandbox(), READER: TelegramSandbox()}

    async def start(self, outside: Outside, stack: AsyncExitStack) -> None:
        for telegram in self.telegrams.values():
            await stack.enter_async_context(telegram)
        listener = await self._started(
            stack,
            {
                "REDIS_URL": self._redis_urls[LISTENER],
                "DATABASE_URL": self._databases[LISTENER],
                "DATA_DIR": tempfile.mkdtemp(dir=self._directory),
                "HTTP_PORT": "0",
                "LISTEN_TOKEN": LISTEN_TOKEN,
                **outside.reading,
            },
            "--role",
            "listen",
        )
        place = (await listener.says(r"Health: http://(\S+)/healthz"))[1] + "/feed"
        feed = {
            "FEED_SOURCE": "native",
            "FEED_URL": f"ws://{place}",
            "FEED_API_URL": f"http://{place}",
            "FEED_TOKEN": LISTEN_TOKEN,
        }
        await self._started(stack, self._environment(ALONE, FEED_SOURCE="channels", **outside.reading))
        await self._started(stack, self._environment(READER, **feed))

    async def has_looked(self, name: str) -> bool:
        """Whether every channel was looked at: what is posted from now on is called."""
        asked = "SELECT count(*) > 0 AND count(*) = count(read_to) AS so FROM read_channels"
        [row] = await self._fetch(name, asked)
        return row["so"]

    async def called(self, name: str) -> set[str]:
        """Return the tokens of all calls that were written down; nothing while some are not understood."""
        if await self._fetch(name, "SELECT FROM unresolved_calls"):
            return set()
        asked = "SELECT frame::json -> 'token' ->> 'address' AS address FROM channel_calls"
        return {row["address"] for row in await self._fetch(name, asked)}

    def told(self, where: str) -> dict[str, Counter[str]]:
        """Return how often each person was told of each token."""
        people = {name: self.telegrams[where].user(name) for name in FILTERS}
        return {
            name: Counter(address for message in user.messages for address in copied_addresses(message))
            for name, user in people.items()
        }

    async def _fetch(self, name: str, statement: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._databases[name])
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    def _environment(self, name: str, **more: str) -> dict[str, str]:
        return process_environment(
            telegram=self.telegrams[name],
            redis_url=self._redis_urls[name],
            postgres_dsn=self._databases[name],
            data_dir=Path(tempfile.mkdtemp(dir=self._directory)),
            **more,
        )

    async def _started(self, stack: AsyncExitStack, environment: dict[str, str], *arguments: str) -> BotProcess:
        bot = await stack.enter_async_context(BotProcess(environment, "run", *arguments))
        await bot.says("Ready after")
        return bot


async def wants(user: SandboxUser, wish: tuple[str, str] | None) -> None:
    await subscribe(user, "everything")
    if wish:
        await set_filter(user, *wish)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 - other processes
        await asyncio.sleep(LOOK_S)


@pytest.mark.thorough
@pytest.mark.timeout(WITHIN_S + 10)
async def test_a_bot_that_reads_a_listener_tells_the_same_as_one_that_reads_channels(
    databases: dict[str, str], redis_url: str, data_dir: Path
) -> None:
    trio = Trio(redis_url, databases, data_dir)
    async with Outside(seed=19) as outside, AsyncExitStack() as stack, asyncio.timeout(WITHIN_S):
        outside.post(40)  # what stood there before calls nothing
        await trio.start(outside, stack)
        people = [(one.user(name), wish) for one in trio.telegrams.values() for name, wish in FILTERS.items()]
        await asyncio.gather(*(wants(user, wish) for user, wish in people))
        for where in (LISTENER, ALONE):
            await until(partial(trio.has_looked, where))
        for _ in range(POSTS):
            outside.post()
            await asyncio.sleep(LOOK_S)
        outside.played.finish()
        await outside.looked_at(6)

        async def is_complete() -> bool:
            said = await trio.called(LISTENER)
            alone, reader = _sets(trio.told(ALONE)), _sets(trio.told(READER))
            return bool(said) and said == await trio.called(ALONE) == alone["ann"] and alone == reader

        await until(is_complete)
    alone, reader = trio.told(ALONE), trio.told(READER)
    assert alone == reader
    assert all(set(tokens.values()) == {1} for tokens in alone.values())
    assert 0 < len(alone["bob"]) < len(alone["ann"]) > len(alone["cid"]) > 0


def _sets(told: dict[str, Counter[str]]) -> dict[str, set[str]]:
    return {name: set(tokens) for name, tokens in told.items()}
