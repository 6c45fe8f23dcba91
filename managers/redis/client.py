"""The one place that speaks to Redis.

Nothing is ever executed twice behind the caller's back: with redis-py's default of ten retries an INCR, an
XADD or a MULTI of which only the reply was lost runs again. Here `retry=None`; whoever repeats a command on
purpose makes sure that it may be repeated. Commands are those of Redis 6.2 and replies are read raw
(RESP2), so that no version of the driver reads them differently.

When Redis is unavailable, `managers/redis/circuit.py` answers in its place, at once.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import TracebackType
from typing import Never, Self, cast

from managers.redis.circuit import Circuit
from managers.redis.connections import Argument, Command, Connections
from managers.redis.errors import (
    RedisBusyError,
    RedisNotServingError,
    RedisReplyError,
    RedisUnavailableError,
    wrapped_errors,
)
from managers.redis.latencies import RedisLatencies
from managers.redis.replies import Reply, StreamEntry, entries, entries_of_one_stream, info, pairs, text
from managers.redis.scripts import Script
from managers.redis.written import ServerRun, WrittenNote
from runtime.waiting import Progress

__all__ = [
    "Argument",
    "Command",
    "RedisManager",
    "RedisReplyError",
    "RedisUnavailableError",
    "Reply",
    "StreamEntry",
]


class RedisManager:
    """A pool of connections, open inside `async with`; it connects when first asked.

    Every method raises `RedisUnavailableError` or `RedisReplyError`, at once while `run` runs and Redis is known not to
    answer: then nothing is sent. `commands_sent` and `round_trips` count what went out.
    """

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = 20,
        connect_timeout_s: float = 2.0,
        reply_timeout_s: float = 2.0,
        health_check_interval_s: int = 30,
        written: WrittenNote | None = None,
    ) -> None:
        self.commands_sent = 0
        self.round_trips = 0
        self.latency_s: float | None = None
        """Of the last PING that was answered."""
        self.written = written or WrittenNote()
        """Whether Redis may lack what it has answered."""
        self._reply_timeout_s = reply_timeout_s
        self._health_check_interval_s = health_check_interval_s
        self._circuit = Circuit()
        self.latencies = RedisLatencies()
        self._turns = asyncio.Semaphore(max_connections)
        self._driver = Connections(
            url,
            connect_timeout_s=connect_timeout_s,
            reply_timeout_s=reply_timeout_s,
            health_check_interval_s=health_check_interval_s,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._driver.close()

    @property
    def is_unavailable(self) -> bool:
        """Five calls in a row failed, or one timed out, and nothing was answered since."""
        return self._circuit.is_open

    def why_unusable(self) -> str | None:
        """Return why questions go unanswered or are refused for now, if they are."""
        return self._circuit.why_unusable()

    @property
    def reconnects(self) -> int:
        """How often Redis came back after it was unavailable."""
        return self._circuit.reconnects

    async def wait_until_available(self) -> None:
        """Return when Redis is not away (any more): at the first answer, which is that of `run` if nobody asks."""
        await self._circuit.wait_until_closed()

    async def run(self, progress: Progress) -> Never:
        """Ask for ever whether Redis is there: every 30 s, or after 0.1 to 5 s while it is unavailable."""
        every_s = self._health_check_interval_s
        await self._circuit.keep_probing(self._probe, healthy_every_s=every_s, progress=progress)

    async def ping(self) -> float:
        """Return the latency of one round trip in seconds. It is sent even while Redis is unavailable."""
        started = time.perf_counter()
        await self._exchange([("PING",)], is_probe=True)
        self.latency_s = time.perf_counter() - started
        return self.latency_s

    async def reconnect(self) -> float:
        """Connect anew with the next question, and ask at once, also while it is known to be away; returns seconds."""
        with wrapped_errors():
            await self._driver.disconnect_idle()
        return await self.ping()

    async def server_version(self) -> tuple[int, ...]:
        """Return the version of Redis that the server claims to be, `(6, 2, 14)`."""
        version = (await self._info("server")).get("redis_version", "")
        return tuple(map(int, re.findall(r"\d+", version)))

    async def server_run(self) -> ServerRun:
        """Return which run of the server answers, and whether it can write down what it answers."""
        return ServerRun(run_id=(await self._info("server")).get("run_id", ""), writes=await self.has_written())

    async def has_written(self) -> bool:
        """Tell whether everything that was answered before is in the server's file, if it has one."""
        return (await self._info("persistence")).get("aof_last_write_status", "ok") == "ok"

    async def _info(self, section: str) -> dict[str, str]:
        """Who may not ask does not know: nothing."""
        try:
            return info(await self._call("INFO", section))
        except RedisReplyError as error:
            if error.code not in {"NOPERM", "ERR"}:
                raise
            return {}

    # Strings

    async def get(self, key: str) -> bytes | None:
        return cast("bytes | None", await self._call("GET", key))

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of `keys`."""
        if not keys:
            return []
        return cast("list[bytes | None]", await self._call("MGET", *keys))

    async def set(self, key: str, value: Argument, *, ex_s: int | None = None, nx: bool = False) -> bool:
        """Return whether it was set; always true without `nx`."""
        options = (*(() if ex_s is None else ("EX", ex_s)), *(("NX",) if nx else ()))
        return await self._call("SET", key, value, *options) is not None

    async def delete(self, *keys: str) -> int:
        return cast("int", await self._call("DEL", *keys)) if keys else 0

    async def exists(self, *keys: str) -> int:
        """Return how many of the keys exist."""
        return cast("int", await self._call("EXISTS", *keys)) if keys else 0

    async def scan(self, match: str, *, count: int = 1000) -> AsyncIterator[list[str]]:
        """Yield the names of matching keys in batches; a key may come twice. Walks the whole database."""
        async for batch in self._walk("SCAN", (), ("MATCH", match, "COUNT", count)):
            yield batch

    # Hashes and sets

    async def hset(self, key: str, values: Mapping[str, Argument]) -> int:
        parts = [part for name, value in values.items() for part in (name, value)]
        return cast("int", await self._call("HSET", key, *parts)) if parts else 0

    async def hget(self, key: str, name: str) -> bytes | None:
        return cast("bytes | None", await self._call("HGET", key, name))

    async def hmget(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of `names`."""
        return cast("list[bytes | None]", await self._call("HMGET", key, *names)) if names else []

    async def hgetall(self, key: str) -> dict[str, bytes]:
        return pairs(await self._call("HGETALL", key))

    async def sscan(self, key: str, *, count: int = 1000) -> AsyncIterator[list[str]]:
        """Yield the members of a set, batch by batch; a member may come twice."""
        async for batch in self._walk("SSCAN", (key,), ("COUNT", count)):
            yield batch

    async def zrange_by_score(
        self, key: str, *, least: float = -math.inf, most: float = math.inf, count: int = 1000
    ) -> list[tuple[str, float]]:
        """Return members with their scores, the lowest first."""
        options = ("WITHSCORES", "LIMIT", 0, count)
        reply = cast("list[bytes]", await self._call("ZRANGEBYSCORE", key, least, most, *options))
        return [(member.decode(), float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]

    # Several commands at once

    async def script(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        """Run a script by its digest; send its source only when the server does not know it."""
        command = (len(keys), *keys, *args)
        try:
            return await self._call("EVALSHA", script.digest, *command, own_codes=script.own_codes)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        # NOSCRIPT says that nothing was executed.
        return await self._call("EVAL", script.source, *command, own_codes=script.own_codes)

    async def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """Execute the commands in one MULTI/EXEC, one round trip; return their replies."""
        if not commands:
            return []
        replies = await self._exchange([("MULTI",), *commands, ("EXEC",)])
        return cast("list[Reply]", replies[-1])

    # Streams

    async def xlen(self, stream: str) -> int:
        return cast("int", await self._call("XLEN", stream))

    async def xrange(self, stream: str, *, start: str = "-", end: str = "+", count: int = 100) -> list[StreamEntry]:
        return entries(await self._call("XRANGE", stream, start, end, "COUNT", count))

    async def xrevrange(self, stream: str, *, before: str = "+", count: int = 100) -> list[StreamEntry]:
        """Return entries from the newest down; `before` is the id of the last one seen, to go on from there."""
        end = before if before == "+" else f"({before}"
        return entries(await self._call("XREVRANGE", stream, end, "-", "COUNT", count))

    async def xdel(self, stream: str, *ids: str) -> int:
        return cast("int", await self._call("XDEL", stream, *ids)) if ids else 0

    async def xread(self, stream: str, *, after: str, count: int, block_ms: int) -> list[StreamEntry]:
        """Return entries after an id; nothing when none came in time (see `_block`)."""
        options = ("COUNT", count, "BLOCK", self._block(block_ms), "STREAMS", stream, after)
        return entries_of_one_stream(await self._call("XREAD", *options))

    async def xgroup_create(self, stream: str, group: str, *, after: str = "0") -> bool:
        """Create the group, and the stream with it; return whether it is new."""
        try:
            await self._call("XGROUP", "CREATE", stream, group, after, "MKSTREAM")
        except RedisReplyError as error:
            if error.code != "BUSYGROUP":
                raise
            return False
        return True

    async def xreadgroup_many(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> dict[str, list[StreamEntry]]:
        """Take entries of several streams, up to `count` of each, by stream; nothing when none came in time."""
        options = ("COUNT", count, "BLOCK", self._block(block_ms), "STREAMS", *streams, *(">" for _ in streams))
        reply = await self._call("XREADGROUP", "GROUP", group, consumer, *options)
        return {text(name): entries(found) for name, found in cast("list[tuple[Reply, Reply]]", reply or [])}

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, *, min_idle_ms: int, start: str, count: int
    ) -> tuple[str, list[StreamEntry]]:
        """Take over what others hold for too long; return where to go on (`0-0` at the end) and entries."""
        options = (min_idle_ms, start, "COUNT", count)
        reply = cast("list[Reply]", await self._call("XAUTOCLAIM", stream, group, consumer, *options))
        # Redis 7 adds a third element, the ids of deleted entries; 6.2 has empty entries in their place.
        return text(reply[0]), entries(reply[1])

    async def xack(self, stream: str, group: str, *ids: str) -> int:
        return cast("int", await self._call("XACK", stream, group, *ids)) if ids else 0

    def _block(self, block_ms: int) -> int:
        """Shorten a wait to half the reply time-out: a frozen server must be told from a quiet stream."""
        return max(1, min(block_ms, int(self._reply_timeout_s * 500)))

    async def _call(self, *command: Argument, own_codes: Collection[str] = ()) -> Reply:
        return (await self._exchange([command], own_codes=own_codes))[0]

    async def _exchange(
        self, commands: Sequence[Command], *, is_probe: bool = False, own_codes: Collection[str] = ()
    ) -> list[Reply]:
        """Ask once, when a connection is free and unless Redis is known to be away; a probe asks all the same."""
        if not is_probe:
            self._circuit.check()
        await self._take_turn()
        try:
            if not is_probe:
                self._circuit.check()  # it may have opened while this call waited for its turn
            self.commands_sent += len(commands)
            self.round_trips += 1
            with self._circuit.attempt(commands[0][0], is_probe=is_probe), wrapped_errors(own_codes):
                return await self.latencies.measured(commands[0][0], self._driver.ask(commands))
        except RedisNotServingError as error:
            if error.code == "MISCONF":
                self.written.doubt(str(error))
            raise
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        """Wait until one of the connections is free; to be released."""
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise RedisBusyError("no connection to Redis was free in time") from error

    async def _probe(self) -> None:
        if self.is_unavailable:
            # Connections to a server that became unavailable without a word would time out one after the other.
            with wrapped_errors():
                await self._driver.disconnect_idle()
        await self.ping()

    async def _walk(self, name: str, key: Command, options: Command) -> AsyncIterator[list[str]]:
        cursor = "0"
        while True:
            reply = cast("list[Reply]", await self._call(name, *key, cursor, *options))
            cursor = text(reply[0])
            if batch := [text(item) for item in cast("list[Reply]", reply[1])]:
                yield batch
            if cursor == "0":
                return
