"""What a version leaves behind when it is killed while Redis is down, as two files that any later version can start on.

    .venv/bin/python -m tests.stores.recording NAME

records what this version leaves, in `tests/stores/recorded/NAME.{sql,redis}`: the local store as SQL, and Redis as the
commands that make it. Record anew, under a new name, after a script has changed; what older versions left stays.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest

from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager, RedisUnavailableError, Reply
from managers.storage.postgres import PostgresManager
from migrations import migrate
from services.claims.outbox import GROUP, ClaimRequest
from tests.claims.alert_path import Pair, Process, pair_of, process_on, request, take_away
from tests.faults.proxy import FaultProxy

RECORDED: Final = Path(__file__).with_name("recorded")
_DECIDED_AT: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Who is accepted stays so for 14 days after it."""


def _claim(call_id: str, *users: int) -> ClaimRequest:
    found = request(call_id, f"token of {call_id}", *users)
    return msgspec.structs.replace(found, received_at=_DECIDED_AT, decided_at=_DECIDED_AT)


async def leave_behind(process: Process, proxy: FaultProxy) -> None:
    """Do everything that can be written down, while Redis is unavailable."""
    await process.claim(_claim("answered", 1, 2, 3, 4, 5, 6), _claim("waits", 7))
    await process.finish(*[entry for entry in await process.hands.read() if pair_of(entry) == (1, "answered")])
    in_hand = {pair_of(entry)[0]: entry for entry in process.hands.entries}
    await process.outbox.begin([in_hand[2]])
    proxy.lose_reply_to(b"EVALSHA")
    with pytest.raises(RedisUnavailableError):
        await process.claim(_claim("unanswered", 1, 2))
    await take_away(process, proxy)
    await process.claim(_claim("unanswered", 1, 2))
    await process.finish(in_hand[3])
    await process.dead_letter(in_hand[4])
    await process.hold(in_hand[5])
    await process.outbox.begin([in_hand[6]])
    await process.claim(_claim("local", 1, 2, 3, 4, 5))
    local = {pair_of(e)[0]: e for e in await process.hands.read() if pair_of(e)[1] == "local"}
    await process.finish(local[1])
    await process.dead_letter(local[2])
    await process.hold(local[3])
    await process.outbox.begin([local[4]])


TO_COME: Final[dict[Pair, bool]] = {
    (2, "answered"): True,
    (6, "answered"): True,
    (7, "waits"): False,
    (1, "unanswered"): False,
    (2, "unanswered"): False,
    (4, "local"): True,
    (5, "local"): False,
}
"""Alerts of `leave_behind` that nobody has got for sure, and whether somebody may have got them."""
FATES: Final[dict[Pair, str]] = {
    (1, "answered"): "sent",
    (3, "answered"): "sent",
    (4, "answered"): "dead",
    (5, "answered"): "digest",
    (1, "local"): "sent",
    (2, "local"): "dead",
    (3, "local"): "digest",
}
"""What became of the others."""


def save(name: str, store: Path, commands: Sequence[Sequence[str]]) -> None:
    connection = sqlite3.connect(store)
    (RECORDED / f"{name}.sql").write_text("".join(f"{line}\n" for line in connection.iterdump()), encoding="utf-8")
    connection.close()
    lines = "".join(f"{json.dumps(command)}\n" for command in commands)
    (RECORDED / f"{name}.redis").write_text(lines, encoding="utf-8")


async def restore(name: str, store: Path, redis: RedisManager) -> None:
    connection = sqlite3.connect(store)
    connection.executescript((RECORDED / f"{name}.sql").read_text(encoding="utf-8"))
    connection.close()
    lines = (RECORDED / f"{name}.redis").read_text(encoding="utf-8").splitlines()
    await redis.transaction([tuple(json.loads(line)) for line in lines])


async def commands_of(redis: RedisManager) -> list[list[str]]:
    """Return what makes an empty Redis this one, but for lifetimes, leases, and which PostgreSQL it knows."""
    names = [name async for batch in redis.scan("*") for name in batch if not name.startswith(("lease:", "database"))]
    found = [await _commands_of(redis, name) for name in sorted(names)]
    return [command for commands in found for command in commands]


async def _commands_of(redis: RedisManager, key: str) -> list[list[str]]:
    match await _ask(redis, "TYPE", key):
        case ["string"]:
            return [["SET", key, *await _ask(redis, "GET", key)]]
        case ["hash"]:
            return [["HSET", key, *await _ask(redis, "HGETALL", key)]]
        case ["stream"]:
            return await _commands_of_stream(redis, key)
        case kind:
            raise NotImplementedError(kind)


async def _commands_of_stream(redis: RedisManager, key: str) -> list[list[str]]:
    added: list[list[str]] = []
    for entry in await redis.xrange(key, count=1000):
        fields = (part for name, value in entry.fields.items() for part in (name, value.decode()))
        added.append(["XADD", key, entry.id, *fields])
    if not key.startswith("outbox:"):
        return added
    taken = int((await _ask(redis, "XPENDING", key, GROUP))[0])
    take = ["XREADGROUP", "GROUP", GROUP, "anna", "STREAMS", key, ">"]
    return [
        ["XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM"],
        *added[:taken],
        *([take] if taken else []),
        *added[taken:],
    ]


async def _ask(redis: RedisManager, *command: str) -> list[str]:
    reply = (await redis.transaction([command]))[0]
    return list(map(_text, reply)) if isinstance(reply, list) else [_text(reply)]


def _text(reply: Reply) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


async def _record(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        path = Path(directory)
        redis_server, postgres_server = EmbeddedRedis(path / "redis"), EmbeddedPostgres(path / "postgres")
        async with AsyncExitStack() as stack:
            for server in (redis_server, postgres_server):
                server.start()
                stack.callback(server.stop)
            await migrate(postgres_server.dsn)
            proxy = await stack.enter_async_context(FaultProxy(redis_server.url))
            postgres = await stack.enter_async_context(PostgresManager(postgres_server.dsn))
            async with process_on(proxy.redis_url, postgres, path / "store.sqlite") as process:
                await process.start()
                await leave_behind(process, proxy)
            redis = await stack.enter_async_context(RedisManager(redis_server.url))
            save(name, path / "store.sqlite", await commands_of(redis))


if __name__ == "__main__":
    asyncio.run(_record(sys.argv[1]))
