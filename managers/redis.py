"""The one place that speaks to Redis.

Nothing is ever executed twice behind the caller's back: with redis-py's default of ten retries an INCR, an
XADD or a MULTI of which only the reply was lost runs again. Here `retry=None`; whoever repeats a command on
purpose makes sure that it may be repeated. Commands are those of Redis 6.2 and replies are read raw
(RESP2), so that no version of the driver reads them differently.
"""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self, cast

from redis import asyncio as driver
from redis import exceptions as errors

from domain.errors import FatalError, TransientError
from managers.cancellation import stop_if_cancelled

Argument = bytes | str | int | float
Command = tuple[Argument, ...]
Reply = bytes | int | list["Reply"] | None

_WAIT_FOR_BETTER_TIMES = frozenset(
    {"LOADING", "READONLY", "OOM", "MISCONF", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS"}
)


class RedisAwayError(TransientError):
    """No answer, or "not now". Whether the command was executed is not known."""


class RedisReplyError(FatalError):
    """Redis refuses what it was asked; asking again cannot help. `code` is its word, like `WRONGTYPE`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Script:
    """A Lua source, run by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class StreamEntry:
    """One entry of a stream; `fields` is empty when the entry was deleted while somebody still held it."""

    __slots__ = ("fields", "id")

    def __init__(self, entry_id: str, fields: dict[str, bytes]) -> None:
        self.id = entry_id
        self.fields = fields

    @property
    def added_at_ms(self) -> int:
        """Milliseconds since the epoch, by the clock of the server."""
        return int(self.id.partition("-")[0])


class _Pipeline(Protocol):
    """What is used of redis-py's untyped pipeline."""

    def execute_command(self, *command: Argument) -> object: ...
    async def execute(self, *, raise_on_error: bool) -> list[Reply | Exception]: ...


class _Client(Protocol):
    """What is used of redis-py's untyped client."""

    response_callbacks: dict[str, Callable[..., object]]

    async def execute_command(self, *command: Argument) -> Reply: ...
    def pipeline(self, *, transaction: bool) -> _Pipeline: ...
    async def aclose(self) -> None: ...


class RedisManager:
    """A pool of connections, open inside `async with`; it connects when first asked: Redis may be away.

    Every method raises `RedisAwayError` or `RedisReplyError`. `commands_sent` and `round_trips` count what
    went out.
    """

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = 20,
        connect_timeout_s: float = 2.0,
        reply_timeout_s: float = 5.0,
        health_check_interval_s: int = 30,
    ) -> None:
        self.commands_sent = 0
        self.round_trips = 0
        self._reply_timeout_s = reply_timeout_s
        pool = driver.BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped
            url,
            max_connections=max_connections,
            timeout=reply_timeout_s,
            socket_timeout=reply_timeout_s,
            socket_connect_timeout=connect_timeout_s,
            health_check_interval=health_check_interval_s,
            retry=None,
            protocol=2,
            driver_info=None,  # CLIENT SETINFO is newer than Redis 6.2
        )
        self._client = cast("_Client", driver.Redis.from_pool(pool))
        self._client.response_callbacks.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ping(self) -> float:
        """Return the latency of one round trip in seconds."""
        started = time.perf_counter()
        await self._call("PING")
        return time.perf_counter() - started

    async def server_version(self) -> tuple[int, ...]:
        """Return the version of Redis that the server claims to be, `(6, 2, 14)`."""
        found = re.search(r"^redis_version:([\d.]+)", _text(await self._call("INFO", "server")), re.MULTILINE)
        return tuple(map(int, found[1].split("."))) if found else ()

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
        pairs = [part for name, value in values.items() for part in (name, value)]
        return cast("int", await self._call("HSET", key, *pairs)) if pairs else 0

    async def hget(self, key: str, name: str) -> bytes | None:
        return cast("bytes | None", await self._call("HGET", key, name))

    async def hmget(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of `names`."""
        return cast("list[bytes | None]", await self._call("HMGET", key, *names)) if names else []

    async def hgetall(self, key: str) -> dict[str, bytes]:
        return _pairs(await self._call("HGETALL", key))

    async def hdel(self, key: str, *names: str) -> int:
        return cast("int", await self._call("HDEL", key, *names)) if names else 0

    async def sadd(self, key: str, *members: Argument) -> int:
        return cast("int", await self._call("SADD", key, *members)) if members else 0

    async def srem(self, key: str, *members: Argument) -> int:
        return cast("int", await self._call("SREM", key, *members)) if members else 0

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
            return await self._call("EVALSHA", script.digest, *command)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        # NOSCRIPT says that nothing was executed.
        return await self._call("EVAL", script.source, *command)

    async def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """Execute the commands in one MULTI/EXEC, one round trip; return their replies."""
        if not commands:
            return []
        self.commands_sent += len(commands) + 2
        self.round_trips += 1
        pipeline = self._client.pipeline(transaction=True)
        for command in commands:
            pipeline.execute_command(*command)
        with _wrapped_errors():
            replies = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return cast("list[Reply]", replies)

    # Streams

    async def xadd(self, stream: str, fields: Mapping[str, Argument]) -> str:
        """Append an entry and return its id. Repeated after a lost reply it appends a second one."""
        parts = [part for name, value in fields.items() for part in (name, value)]
        return _text(await self._call("XADD", stream, "*", *parts))

    async def xlen(self, stream: str) -> int:
        return cast("int", await self._call("XLEN", stream))

    async def xrange(self, stream: str, *, start: str = "-", end: str = "+", count: int = 100) -> list[StreamEntry]:
        return _entries(await self._call("XRANGE", stream, start, end, "COUNT", count))

    async def xrevrange(self, stream: str, *, before: str = "+", count: int = 100) -> list[StreamEntry]:
        """Return entries from the newest down; `before` is the id of the last one seen, to go on from there."""
        end = before if before == "+" else f"({before}"
        return _entries(await self._call("XREVRANGE", stream, end, "-", "COUNT", count))

    async def xdel(self, stream: str, *ids: str) -> int:
        return cast("int", await self._call("XDEL", stream, *ids)) if ids else 0

    async def xread(self, stream: str, *, after: str, count: int, block_ms: int) -> list[StreamEntry]:
        """Return entries after an id; nothing when none came in time (see `_block`)."""
        options = ("COUNT", count, "BLOCK", self._block(block_ms), "STREAMS", stream, after)
        return _entries_of_one_stream(await self._call("XREAD", *options))

    async def xgroup_create(self, stream: str, group: str, *, after: str = "0") -> bool:
        """Create the group, and the stream with it; return whether it is new."""
        try:
            await self._call("XGROUP", "CREATE", stream, group, after, "MKSTREAM")
        except RedisReplyError as error:
            if error.code != "BUSYGROUP":
                raise
            return False
        return True

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[StreamEntry]:
        """Take entries that nobody has taken; nothing when none came in time (see `_block`)."""
        options = ("COUNT", count, "BLOCK", self._block(block_ms), "STREAMS", stream, ">")
        return _entries_of_one_stream(await self._call("XREADGROUP", "GROUP", group, consumer, *options))

    async def xreadgroup_pending(
        self, stream: str, group: str, consumer: str, *, after: str, count: int
    ) -> list[StreamEntry]:
        """Return what this consumer took and did not acknowledge, after an id."""
        options = ("COUNT", count, "STREAMS", stream, after)
        return _entries_of_one_stream(await self._call("XREADGROUP", "GROUP", group, consumer, *options))

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, *, min_idle_ms: int, start: str, count: int
    ) -> tuple[str, list[StreamEntry]]:
        """Take over what others hold for too long; return where to go on (`0-0` at the end) and entries."""
        options = (min_idle_ms, start, "COUNT", count)
        reply = cast("list[Reply]", await self._call("XAUTOCLAIM", stream, group, consumer, *options))
        # Redis 7 adds a third element, the ids of deleted entries; 6.2 has empty entries in their place.
        return _text(reply[0]), _entries(reply[1])

    async def xack(self, stream: str, group: str, *ids: str) -> int:
        return cast("int", await self._call("XACK", stream, group, *ids)) if ids else 0

    def _block(self, block_ms: int) -> int:
        """Shorten a wait to half the reply time-out: a frozen server must be told from a quiet stream."""
        return max(1, min(block_ms, int(self._reply_timeout_s * 500)))

    async def _call(self, *command: Argument) -> Reply:
        self.commands_sent += 1
        self.round_trips += 1
        with _wrapped_errors():
            return await self._client.execute_command(*command)

    async def _walk(self, name: str, key: Command, options: Command) -> AsyncIterator[list[str]]:
        cursor = "0"
        while True:
            reply = cast("list[Reply]", await self._call(name, *key, cursor, *options))
            cursor = _text(reply[0])
            if batch := [_text(item) for item in cast("list[Reply]", reply[1])]:
                yield batch
            if cursor == "0":
                return


@contextmanager
def _wrapped_errors() -> Generator[None]:
    """Turn the driver's errors into ours, keeping the cause."""
    try:
        yield
    except (errors.AuthenticationError, errors.AuthorizationError) as error:
        # A subclass of redis-py's ConnectionError, but no waiting mends a wrong password.
        raise RedisReplyError("NOAUTH", f"Redis refuses the credentials: {error}") from error
    except (errors.ConnectionError, errors.TimeoutError, errors.InvalidResponse, OSError) as error:
        stop_if_cancelled()
        raise RedisAwayError(f"Redis is away: {error}") from error
    except errors.RedisError as error:
        code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
        if code in _WAIT_FOR_BETTER_TIMES:
            raise RedisAwayError(f"Redis cannot serve now ({code}): {error}") from error
        raise RedisReplyError(str(code), f"Redis refuses ({code}): {error}") from error


def _text(reply: Reply) -> str:
    return cast("bytes", reply).decode()


def _pairs(reply: Reply) -> dict[str, bytes]:
    """Read a flat list of names and values; `None` stands for a deleted entry."""
    flat = cast("list[bytes]", reply or [])
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _entries(reply: Reply) -> list[StreamEntry]:
    found: list[StreamEntry] = []
    for item in cast("list[list[Reply] | None]", reply or []):
        if item is not None:
            entry_id, fields = item
            found.append(StreamEntry(_text(entry_id), _pairs(fields)))
    return found


def _entries_of_one_stream(reply: Reply) -> list[StreamEntry]:
    return _entries(cast("list[list[Reply]]", reply)[0][1]) if reply else []
