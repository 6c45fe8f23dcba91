"""Listeners as processes, what they read, and who reads them."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp

from tests.channels.outside import LISTEN_TOKEN, LOOK_S, Outside
from tests.faults.channels.books import ChannelCounts, Posts, Told, counts
from tests.faults.process import Bot
from tests.faults.stage import STARTS_WITHIN_S, Stage


class Listening:
    """`async with Listening(stage, outside) as listening:` then start listeners, and post."""

    def __init__(self, stage: Stage, outside: Outside) -> None:
        self.stage = stage
        self.outside = outside
        self.posts = Posts(outside)
        self._ports: list[int] = []
        self.told = Told(self._ports)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(self, **more: str) -> Bot:
        """Run a listener until the end; `more` is for its environment."""
        usual = self.stage.environment()
        environment = {name: usual[name] for name in ("REDIS_URL", "DATABASE_URL")} | {
            "DATA_DIR": tempfile.mkdtemp(dir=self.stage.data_dir),
            "HTTP_PORT": "0",
            "LISTEN_TOKEN": LISTEN_TOKEN,
            **self.outside.reading,
            **more,
        }
        bot = await self._stack.enter_async_context(Bot(environment, "run", "--role", "listen"))
        await bot.says("Ready after", timeout_s=STARTS_WITHIN_S)
        said = await bot.says(r"Health: http://127\.0\.0\.1:(\d+)/")
        if not self._ports:
            self._ports.append(int(said[1]))
            reading = asyncio.create_task(self.told.run())
            self._stack.push_async_callback(_ended, reading)
        self._ports.append(int(said[1]))
        return bot

    @property
    def port(self) -> int:
        return self._ports[-1]

    async def first_look(self) -> None:
        """Wait until every channel was looked at: what is posted from now on is called."""
        async with asyncio.timeout(60):
            while True:
                async with self.stage.database() as connection:
                    looked_at = await connection.fetchval(
                        "SELECT count(*) > 0 AND count(*) = count(read_to) FROM read_channels"
                    )
                if looked_at:
                    return
                await asyncio.sleep(LOOK_S)

    async def everything_told(self) -> None:
        """Wait until nothing is missing, or nothing comes any more."""
        self.posts.finish()
        loop, before, until_s = asyncio.get_running_loop(), -1, 0.0
        while self.posts.called.keys() - self.told.calls:
            if len(self.told.frames) != before:
                before, until_s = len(self.told.frames), loop.time() + self.stage.size.patience_s
            if loop.time() > until_s:
                return
            await asyncio.sleep(LOOK_S)

    async def finish(self, *bots: Bot, ahead_s: float = 0.0) -> ChannelCounts:
        await self.everything_told()
        await self.outside.looked_at(2)  # whatever would come twice has had its time
        again = await self.told.again(self.session)
        await self._explain()
        for bot in bots:
            await self.stage.end(bot)
            if "Traceback" in bot.output:
                self.stage.complaints.append(re.sub(r"(?s).*(Traceback)", r"\1", bot.output))
        return counts(self.posts, self.told, again, ahead_s=ahead_s)

    async def _explain(self) -> None:
        """Print what was made of the posts whose calls were lost."""
        lost = self.posts.called.keys() - self.told.calls
        async with self.stage.database() as connection:
            for channel, token in sorted(lost):
                number = self.posts.numbers[channel, token]
                made = await connection.fetchrow(
                    "SELECT verdict, reason, read_at FROM read_posts WHERE lower(channel) = $1 AND number = $2",
                    channel,
                    number,
                )
                print(channel, token, number, dict(made) if made else "never read")  # noqa: T201 - what was lost


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
