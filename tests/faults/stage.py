"""Everything around the bot that can be broken, with a workload on it, and the bot itself as a process."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import asyncpg
import msgspec

from domain.calls.events import Call
from domain.subscribers.subscriber import Subscriber
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.telegram.limits import FloodLimits, Window
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.conftest import process_environment
from tests.faults.ledger import Counts, InDigest, Ledger
from tests.faults.market import Pair, Workload, made_now
from tests.faults.process import Bot
from tests.faults.proxy import FaultProxy
from tests.faults.servers import BreakablePostgres, BreakableRedis

STARTS_WITHIN_S = 60.0
HISTORY = 200_000
WARM_UP_CALLS = 5
_COLUMNS = (
    "user_id",
    "chat_id",
    "name",
    "plan",
    "paid_until",
    "paused",
    "unreachable",
    "document",
    "revision",
    "updated_at",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much a scenario plays, and for how long it breaks something."""

    full: bool
    users: int
    calls: int
    messages_per_s: int = 300
    """What the sandbox's Telegram takes, and the bot sends."""
    away_s: float
    """A dependency that goes away stays away for so long."""
    patience_s: float = 45.0
    """Nothing has come for so long: nothing more will come."""


SHORT = Size(full=False, users=100, calls=30, away_s=2.0)
FULL = Size(full=True, users=300, calls=110, away_s=60.0, patience_s=60.0)


async def store(connection: asyncpg.Connection[asyncpg.Record], subscribers: Sequence[Subscriber]) -> None:
    """Write their documents into a database with the bot's schema."""
    rows = [
        (
            *(s.user_id, s.chat_id, s.name, s.plan, s.paid_until, s.paused, s.unreachable),
            *(msgspec.json.encode(s).decode(), s.revision, s.created_at),
        )
        for s in subscribers
    ]
    await connection.copy_records_to_table("subscribers", records=rows, columns=_COLUMNS)


class Stage:
    """`async with Stage(...) as stage:` has servers, Telegram and feed up and every subscriber stored."""

    def __init__(
        self,
        *,
        size: Size,
        seed: int,
        redis: BreakableRedis,
        postgres: BreakablePostgres,
        workload: Workload | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Without a workload, one of this size and seed. `clock`: what the feed goes by."""
        self.size = size
        self.redis = redis
        self.postgres = postgres
        self.workload = workload or Workload(seed=seed, users=size.users, calls=size.calls)
        self.telegram = TelegramSandbox(limits=FloodLimits(overall=Window(size.messages_per_s, 1.0)))
        self.feed = FeedSandbox(
            Market(seed=seed), calls_per_s=0, ticks_per_s=0, heartbeat_s=0.5, history=HISTORY, clock=clock
        )
        self.ledger = Ledger(self.telegram)
        self.ledger.record = self.told_in_digests
        self.redis_proxy = FaultProxy(redis.url, seed=seed)
        self.postgres_proxy = FaultProxy(postgres.dsn, seed=seed)
        self.data_dir = Path()
        self.published: list[Call] = []
        self.complaints: list[str] = []
        """What is wrong besides the counts."""
        self._database = ""
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            # Not pytest's own: another session may close that to the embedded server's user.
            self.data_dir = Path(tempfile.mkdtemp(prefix="bot-fault-"))
            stack.callback(shutil.rmtree, self.data_dir, ignore_errors=True)
            await self.redis.restart()
            await self.redis.empty()
            await self.postgres.restart()
            self._database = await self.postgres.create_database()
            stack.push_async_callback(self._drop_database)
            for part in (self.redis_proxy, self.postgres_proxy, self.feed, self.telegram):
                await stack.enter_async_context(part)
            await self.enrol(self.workload.subscribers)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self.redis, self.postgres):
            server.thaw()
            await server.restart()
        await self._resources.aclose()

    # subscribers

    async def enrol(self, subscribers: Sequence[Subscriber]) -> None:
        """Write their documents where the bot finds them at its next start, and let them have said /start."""
        async with self.database() as connection:
            await store(connection, subscribers)
        for subscriber in subscribers:
            self.person(subscriber.user_id).chat.is_started = True

    def person(self, user_id: int) -> SandboxUser:
        return self.telegram.user(f"user {user_id}", user_id=user_id)

    # the bot

    @asynccontextmanager
    async def bot(self, *arguments: str, before: Sequence[str] = (), **more: str) -> AsyncGenerator[Bot]:
        """Run the bot until the block ends; `more` is for its environment. It has loaded everybody."""
        async with Bot(self.environment(**more), *(arguments or ("run",)), before=before) as bot:
            await bot.says("Loaded after", timeout_s=STARTS_WITHIN_S)
            await asyncio.wait_for(self.feed.someone_listens.wait(), STARTS_WITHIN_S)
            yield bot

    async def role(self, stack: AsyncExitStack, role: str, *arguments: str, **more: str) -> Bot:
        """Start a process that does a part of the work, with a directory of its own; `stack` ends it.

        `more` is for its environment.
        """
        directory = Path(tempfile.mkdtemp(prefix=f"{role}-", dir=self.data_dir))
        environment = self.environment(**more) | {"DATA_DIR": str(directory)}
        bot = await stack.enter_async_context(Bot(environment, "run", "--role", role, *arguments))
        await bot.says("Ready after|standing by", timeout_s=STARTS_WITHIN_S)
        return bot

    def environment(self, **more: str) -> dict[str, str]:
        """What `more` names goes first."""
        usual = {
            "FEED_SOURCE": "native",
            "FEED_URL": self.feed.ws_url,
            "FEED_API_URL": self.feed.http_url,
            "FEED_TOKEN": self.feed.token,
            "TELEGRAM_MESSAGES_PER_SECOND": str(self.size.messages_per_s),
        }
        return process_environment(
            telegram=self.telegram,
            redis_url=self.redis_proxy.redis_url,
            postgres_dsn=self.postgres_proxy.postgres_dsn(self._database),
            data_dir=self.data_dir,
            **usual | more,
        )

    async def finish(self, bot: Bot) -> Counts:
        """Wait for what is missing, let the bot drain and end, and count."""
        await self.complete(bot)
        await self.end(bot)
        return self.ledger.counts()

    async def end(self, bot: Bot) -> None:
        """Let it drain and end. That it thinks something was lost is for the verdict to say."""
        bot.interrupt()
        code = await bot.exit_code()
        if code:
            self.complaints.append(f"the bot ended with exit code {code}\n{bot.output}")

    async def complete(self, bot: Bot) -> bool:
        """Wait until nothing is missing, or nothing comes any more. Fails when the bot ends meanwhile."""
        waiting = asyncio.create_task(self.ledger.complete(patience_s=self.size.patience_s))
        ending = asyncio.create_task(bot.ends())
        try:
            await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
            assert not ending.done(), f"the bot ended by itself; {self.ledger.counts().line()}\n{bot.output}"
            return await waiting
        finally:
            for task in (waiting, ending):
                task.cancel()
            await asyncio.gather(waiting, ending, return_exceptions=True)

    # calls

    async def warm_up(self) -> None:
        """Let the first calls go all the way, so that the feed's position is stored and Telegram is known."""
        await self.play(WARM_UP_CALLS, over_s=0.2)
        assert await self.ledger.complete(patience_s=self.size.patience_s), self.ledger.counts().line()

    async def play(self, count: int | None = None, *, over_s: float = 1.0) -> None:
        """Publish the next calls of the workload (all that are left), evenly over a time."""
        left = self.workload.calls[len(self.published) :][:count]
        self.ledger.expect(self.workload.accepted(left))
        started_at = asyncio.get_running_loop().time()
        for number, call in enumerate(left):
            due_s = started_at + over_s * number / len(left) - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, due_s))
            self.publish(call)

    def publish(self, call: Call) -> None:
        self.published.append(call)
        self.feed.publish(made_now(call))

    @asynccontextmanager
    async def playing(self, *, over_s: float | None = None) -> AsyncGenerator[None]:
        """Publish all that is left while the block runs; enters when alerts are flowing, waits for the last call."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.play(over_s=over_s or self.size.calls / 60))
            await self.ledger.more(5)
            yield

    # what it left behind

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
        """The bot's database, past the proxy."""
        connection = await asyncpg.connect(self.postgres.dsn_of(self._database))
        try:
            yield connection
        finally:
            await connection.close()

    async def empty_database(self, *, whole: bool) -> None:
        """Take everything out of PostgreSQL: the database itself, or what is in it."""
        if whole:
            await self.postgres.recreate_database(self._database)
            return
        async with self.database() as connection:
            while True:
                try:
                    await connection.execute("DROP SCHEMA public CASCADE")
                    break
                except asyncpg.DeadlockDetectedError:
                    pass  # the bot writes to the tables in another order: PostgreSQL has chosen this one to try again
            await connection.execute("CREATE SCHEMA public")

    async def delivered_in_database(self) -> set[Pair]:
        """Pairs that PostgreSQL says were delivered."""
        async with self.database() as connection:
            rows = await connection.fetch(
                "SELECT d.user_id, c.token_address FROM deliveries d JOIN calls c USING (call_id)"
                " WHERE d.status IN ('sent', 'merged')"
            )
        return {(row[0], row[1]) for row in rows}

    async def told_in_digests(self) -> list[InDigest]:
        """What PostgreSQL says of digests that were sent; nothing while it cannot be asked."""
        try:
            async with self.database() as connection:
                rows = await connection.fetch(
                    "SELECT d.user_id, c.token_address, d.chat_id, d.message_id, d.may_repeat"
                    " FROM deliveries d JOIN calls c USING (call_id)"
                    " WHERE d.kind = 'digest' AND d.status = 'sent' AND d.message_id IS NOT NULL"
                )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []
        return [InDigest(pair=(row[0], row[1]), chat_id=row[2], message_id=row[3], may_repeat=row[4]) for row in rows]

    async def health(self, bot: Bot) -> dict[str, Any]:
        address = (await bot.says(r"Health: (http://\S+)/healthz"))[1]
        async with aiohttp.ClientSession() as session, session.get(f"{address}/readyz") as answer:
            return await answer.json()

    async def _drop_database(self) -> None:
        await self.postgres.drop_database(self._database)
