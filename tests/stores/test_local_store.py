from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from managers.redis.client import RedisManager, RedisUnavailableError
from managers.redis.scripts import Script
from managers.storage.sqlite import LocalStoreError, SqliteManager
from runtime.errors import FatalError, TransientError
from services.stores.local_store import LocalAlert, LocalStore
from services.stores.operations import Operation, ScriptCall, Transaction
from services.stores.replay import Replayed, replay
from tests.faults.proxy import FaultProxy

ROOT = Path(__file__).parent.parent.parent

# KEYS: what is there, in which order it came. ARGV: a member. May be repeated, as every operation.
ONCE = Script(
    """
if redis.call('SADD', KEYS[1], ARGV[1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end
return 1
""",
    name="once",
)

APPENDING = """
import asyncio, os, sys
from pathlib import Path
from managers.storage.sqlite import SqliteManager
from services.stores.local_store import LocalStore
from services.stores.operations import Transaction

async def append(store, caller):
    number = 0
    while True:
        await store.append([Transaction(commands=[("SET", caller, number)])])
        os.write(1, f"{caller} {number}\\n".encode())
        number += 1

async def main():
    async with SqliteManager(Path(sys.argv[1])) as sqlite, LocalStore(sqlite) as store:
        await asyncio.gather(*(append(store, caller) for caller in range(10)))

asyncio.run(main())
"""

DISK_FULL = """
import asyncio, resource, sys
from pathlib import Path
from managers.storage.sqlite import LocalStoreError, SqliteManager
from services.stores.local_store import LocalStore
from services.stores.operations import Transaction

def limit_files_to(size_bytes):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size_bytes is None else size_bytes, hard))

async def main():
    async with SqliteManager(Path(sys.argv[1])) as sqlite, LocalStore(sqlite) as store:
        operation = Transaction(commands=[("SET", "a", b"x" * 1000)])
        await store.append([operation])
        limit_files_to(64 * 1024)
        acknowledged, failures = 1, 0
        while not failures:
            try:
                await store.append([operation])
                acknowledged += 1
            except LocalStoreError as error:
                failures += 1
                print(type(error.__cause__).__name__, error)
        assert store.size == acknowledged, (store.size, acknowledged)
        limit_files_to(None)
        await store.append([operation])
        assert store.size == acknowledged + 1 == len(await store.first(1000))
        print("stored", store.size)

asyncio.run(main())
"""

REPLAYING = """
import asyncio, sys
from pathlib import Path
from managers.redis.client import RedisManager
from managers.storage.sqlite import SqliteManager
from services.stores.local_store import LocalStore
from services.stores.replay import replay

async def main():
    async with RedisManager(sys.argv[2]) as redis, SqliteManager(Path(sys.argv[1])) as sqlite:
        async with LocalStore(sqlite) as store:
            await replay(store, redis)

asyncio.run(main())
"""


@asynccontextmanager
async def opened(path: Path, *, max_operations: int = 200_000, max_bytes: int = 1 << 28) -> AsyncGenerator[LocalStore]:
    async with (
        SqliteManager(path) as sqlite,
        LocalStore(sqlite, max_operations=max_operations, max_bytes=max_bytes) as store,
    ):
        yield store


@asynccontextmanager
async def program(source: str, *arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a program of its own, and kill it if it still runs at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        source,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "local.sqlite"


def setting(value: int) -> Operation:
    return Transaction(commands=[("SET", "a", value)])


def once(member: int) -> Operation:
    return ScriptCall(script=ONCE, keys=["seen", "order"], args=[member])


def alert(number: int, call: bytes = b"{}") -> LocalAlert:
    return LocalAlert(id=f"1-{number}", alert_json=b"alert %d" % number, call_json=call)


async def values(store: LocalStore) -> list[int]:
    found: list[int] = []
    for logged in await store.first(1_000_000):
        assert isinstance(logged.operation, Transaction)
        found.append(logged.operation.commands[0][2])
    return found


async def ids(store: LocalStore) -> list[str]:
    return [one.id for one in await store.unsettled()]


async def order(redis: RedisManager) -> list[int]:
    replies = await redis.transaction([("LRANGE", "order", 0, -1)])
    assert isinstance(replies[0], list)
    return [int(str(item, "ascii")) for item in replies[0] if isinstance(item, bytes)]


# The log


async def test_operations_come_back_in_order_and_as_they_were(path: Path) -> None:
    operations: Sequence[Operation] = [
        Transaction(commands=[["HSET", "h", "name", b"\x00\xff"], ["INCRBYFLOAT", "n", 1.5, 2**40]]),
        ScriptCall(script=ONCE, keys=["processed_token:é"], args=[b"", "text", 3, 0.1]),
    ]
    async with opened(path) as store:
        assert store.is_empty
        await store.append(operations)
        await store.append([])
        assert (store.size, store.is_empty) == (2, False)
    async with opened(path) as store:
        assert (store.size, store.is_empty) == (2, False)
        found = await store.first(10)
        assert [one.operation for one in found] == operations
        assert await store.first(1) == found[:1]
        await store.forget(found[0].position)
        await store.forget(found[0].position)
        assert (await store.first(10), store.size) == (found[1:], 1)
        await store.forget(found[1].position)
        assert (store.size, store.is_empty) == (0, True)
        await store.append(operations)
        assert (await store.first(1))[0].position > found[1].position


async def test_each_callers_operations_keep_their_order_among_many(path: Path) -> None:
    async def append(store: LocalStore, caller: int) -> None:
        for number in range(20):
            await store.append([setting(caller * 100 + number), setting(caller * 100 + number)])

    async with opened(path) as store:
        async with asyncio.TaskGroup() as callers:
            for caller in range(50):
                callers.create_task(append(store, caller))
            await asyncio.sleep(0)
            assert not store.is_empty
        found = await values(store)
        assert store.size == len(found) == 2000
        assert found[::2] == found[1::2]
        for caller in range(50):
            own = [value for value in found[::2] if value // 100 == caller]
            assert own == [caller * 100 + number for number in range(20)]


async def test_a_cancelled_caller_costs_nobody_else_anything(path: Path) -> None:
    async with opened(path) as store:
        tasks = [asyncio.create_task(store.append([setting(number)])) for number in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks].count(True) == 1
        assert set(await values(store)) >= set(range(10)) - {3}
        await store.append([setting(10)])
        assert store.size == len(await values(store))


async def test_what_is_queued_at_the_end_is_written(path: Path) -> None:
    async with opened(path) as store:
        appending = asyncio.create_task(store.append([setting(1)]))
        await asyncio.sleep(0)
    await appending
    with pytest.raises(LocalStoreError, match="closed"):
        await store.append([setting(2)])
    async with opened(path) as store:
        assert await values(store) == [1]


# Alerts


async def test_alerts_survive_with_their_marks(path: Path) -> None:
    async with opened(path) as store:
        await store.put_alerts([alert(1, b"call"), alert(2, b"call"), alert(3, b"other")], [setting(1)])
        await store.mark(["1-2", "1-3"])
        await store.unmark(["1-3"], [setting(2)])
        assert (store.alerts, store.size) == (3, 2)
    async with opened(path) as store:
        assert (store.alerts, store.size) == (3, 2)
        found = await store.unsettled()
        assert [(one.id, one.alert_json, one.call_json, one.in_flight) for one in found] == [
            ("1-1", b"alert 1", b"call", False),
            ("1-2", b"alert 2", b"call", True),
            ("1-3", b"alert 3", b"other", False),
        ]
        await store.put_alerts([alert(2), alert(4)])  # repeated after a lost answer: the mark stays
        await store.settle(["1-1", "1-9"], [setting(3)])
        assert (store.alerts, store.size) == (3, 3)
        assert [(one.id, one.in_flight) for one in await store.unsettled()] == [
            ("1-2", True),
            ("1-3", False),
            ("1-4", False),
        ]
        await store.settle(["1-2", "1-3", "1-4"])
        assert (await store.unsettled(), store.alerts) == ([], 0)


async def test_a_call_is_kept_once_and_as_long_as_an_alert_needs_it(path: Path) -> None:
    call = b"x" * 100_000
    async with opened(path) as store:
        empty_bytes = store.used_bytes
        async with asyncio.TaskGroup() as claims:
            for number in range(100):
                claims.create_task(store.put_alerts([alert(number, call)]))
        assert store.used_bytes < empty_bytes + 3 * len(call)
        assert {one.call_json for one in await store.unsettled()} == {call}
        # The last alert for the call leaves while the next one for the same call comes, in one transaction.
        await asyncio.gather(
            store.settle([f"1-{number}" for number in range(100)]), store.put_alerts([alert(100, call)])
        )
        assert [(one.id, one.call_json) for one in await store.unsettled()] == [("1-100", call)]
        await store.settle(["1-100"])
        assert store.used_bytes < empty_bytes + len(call)


# Bounds and faults


async def test_a_full_store_takes_nothing_in_and_lets_everything_out(path: Path) -> None:
    async with opened(path, max_operations=3) as store:
        await store.put_alerts([alert(1)], [setting(1)])
        await store.append([setting(2)])
        outcomes = await asyncio.gather(store.append([setting(3)]), store.append([setting(4)]), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), LocalStoreError]
        with pytest.raises(LocalStoreError, match="full: 3 operations"):
            await store.put_alerts([alert(2)], [setting(5)])
        assert await ids(store) == ["1-1"]
        await store.mark(["1-1"])
        await store.settle(["1-1"], [setting(6)])
        assert await values(store) == [1, 2, 3, 6]
        page = await store.first(2)
        await store.forget(page[-1].position)
        await store.append([setting(7)])
        assert await values(store) == [3, 6, 7]
    assert issubclass(LocalStoreError, TransientError)


async def test_bytes_are_bounded_too(path: Path) -> None:
    bulky = Transaction(commands=[("SET", "a", b"x" * 10_000)])
    async with opened(path, max_bytes=200_000) as store:
        outcomes = await asyncio.gather(*(store.append([bulky]) for _ in range(30)), return_exceptions=True)
        taken = [type(outcome) for outcome in outcomes].count(type(None))
        assert 10 < taken == store.size < 20
        assert store.used_bytes < 220_000  # about: pages are filled as they come
        with pytest.raises(LocalStoreError, match="bytes"):
            await store.put_alerts([alert(1, b"x" * 50_000)])
        await store.forget((await store.first(100))[-1].position)
        await store.append([bulky])


async def test_killed_while_appending_everything_acknowledged_is_there(path: Path) -> None:
    acknowledged: list[tuple[int, int]] = []
    async with program(APPENDING, str(path)) as process:
        assert process.stdout is not None
        while len(acknowledged) < 1000:
            caller, number = (await process.stdout.readline()).split()
            acknowledged.append((int(caller), int(number)))
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).decode().split("\n")
        # The last line may have been cut, or not have been written: the kill comes after the sync, too.
        acknowledged += [(int(c), int(n)) for c, n in (line.split() for line in rest[:-1])]
    async with opened(path) as store:
        stored: dict[int, list[int]] = {}
        for logged in await store.first(1_000_000):
            assert isinstance(logged.operation, Transaction)
            _, caller, number = logged.operation.commands[0]
            stored.setdefault(caller, []).append(number)
        assert store.size == sum(map(len, stored.values()))
        for caller, numbers in stored.items():
            last = max(number for who, number in acknowledged if who == caller)
            # In order, complete, and at most the one whose acknowledgement did not get out any more.
            assert numbers in (list(range(last + 1)), list(range(last + 2)))


async def test_a_full_disk_says_so_and_is_over_when_there_is_room(path: Path) -> None:
    async with program(DISK_FULL, str(path)) as process:
        assert process.stdout is not None
        told = (await process.stdout.read()).decode()
        assert await process.wait() == 0, told
    assert "OperationalError the local store cannot be used now" in told
    async with opened(path) as store:
        assert f"stored {store.size}" in told


def damaged(path: Path, damage: str) -> bytes:
    """Damage a file and return what is left of it."""
    content = bytearray(path.read_bytes())
    match damage:
        case "header":
            content[:100] = b"\xff" * 100
        case "middle":
            content[4096:] = b"\xff" * (len(content) - 4096)
        case _:
            del content[len(content) // 2 :]
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("damage", ["header", "middle", "cut"])
async def test_a_corrupt_file_is_moved_aside_and_said(
    path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(path) as store:
        await store.append([Transaction(commands=[("SET", "a", b"x" * 1000)])] * 100)
    content = damaged(path, damage)
    async with SqliteManager(path) as sqlite, LocalStore(sqlite) as store:
        assert sqlite.moved_aside is not None
        assert await asyncio.to_thread(sqlite.moved_aside.read_bytes) == content
        assert store.is_empty
        await store.append([setting(1)])
    said = capsys.readouterr().out
    assert "corrupt_store_moved_aside" in said
    assert str(sqlite.moved_aside) in said
    async with SqliteManager(path) as sqlite, LocalStore(sqlite) as store:
        assert sqlite.moved_aside is None
        assert store.size == 1


async def test_a_store_is_open_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("managers.storage.sqlite._BUSY_TIMEOUT_S", 0.0)
    async with opened(path) as store:
        await store.append([setting(1)])
        with pytest.raises(LocalStoreError, match="locked"):
            await SqliteManager(path).__aenter__()
        assert await values(store) == [1]


async def test_sqlite_does_all_or_nothing_and_tells_what_is_wrong(path: Path) -> None:
    async with SqliteManager(path) as sqlite:
        await sqlite.define(
            ["CREATE TABLE IF NOT EXISTS t (a INTEGER UNIQUE)", "CREATE INDEX IF NOT EXISTS i ON t (a)"]
        )
        with pytest.raises(FatalError, match="UNIQUE"):
            await sqlite.write([("INSERT INTO t VALUES (?)", [(1,), (2,)]), ("INSERT INTO t VALUES (?)", [(1,)])])
        assert await sqlite.fetch("SELECT a FROM t") == []
        assert await sqlite.write([("INSERT INTO t VALUES (?)", [(1,), (2,)]), ("DELETE FROM t", [()])]) == [2, 2]
        with pytest.raises(FatalError, match="no such table"):
            await sqlite.fetch("SELECT a FROM missing")
    with pytest.raises(LocalStoreError):
        await SqliteManager(path / "below a file" / "x.sqlite").__aenter__()
    with pytest.raises(RuntimeError):
        await sqlite.fetch("SELECT 1")


# Scripts


async def sources(sqlite: SqliteManager) -> list[str]:
    return sorted(str(source) for (source,) in await sqlite.fetch("SELECT source FROM scripts"))


async def test_a_source_is_kept_once_for_as_long_as_an_operation_needs_it(path: Path) -> None:
    other = Script("return 2")
    another = ScriptCall(script=other, keys=[], args=[])
    async with SqliteManager(path) as sqlite, LocalStore(sqlite) as store:
        await asyncio.gather(*(store.append([once(number)]) for number in range(100)), store.append([another]))
        assert await sources(sqlite) == sorted([ONCE.source, other.source])
        await store.forget(100)
        assert await sources(sqlite) == [other.source]
        # The last use goes and the next one comes in one transaction.
        await asyncio.gather(store.forget(101), store.append([another]), store.append([once(1)]))
        assert await sources(sqlite) == sorted([ONCE.source, other.source])
        assert [one.operation for one in await store.first(10)] == [another, once(1)]
        await store.refuse(102, "no")
        await store.forget(1000)
        assert await sources(sqlite) == [other.source], "somebody may still look at what was put aside"
        assert [one.operation for one in await store.refusals(10)] == [another]


# Replay


async def test_replay_in_order_until_nothing_is_left(path: Path, redis_manager: RedisManager) -> None:
    async with opened(path) as store:
        await store.append([once(number) for number in range(450)])
        await store.append([Transaction(commands=[("SET", "a", b"\xff"), ("HSET", "h", "n", 1.5)])])
        pages: list[int] = []
        replayed = await replay(store, redis_manager, progress=lambda: pages.append(1))
        assert replayed == Replayed(executed=451, refused=0)
        assert len(pages) > 1
        assert store.is_empty
        assert await replay(store, redis_manager) == Replayed(executed=0, refused=0)
    assert await order(redis_manager) == list(range(450))
    assert await redis_manager.get("a") == b"\xff"
    assert await redis_manager.hget("h", "n") == b"1.5"


async def test_replay_stops_when_redis_goes_and_goes_on_when_it_is_back(path: Path, redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis, opened(path) as store:
        await redis.script(ONCE, ["seen", "order"], ["first"])  # the server knows the script now
        await redis.delete("seen", "order")
        await store.append([once(1000 + number) for number in range(30)])
        for lost in (1007, 1008, 1023):
            # The operation is executed, nobody hears of it: it is executed again.
            proxy.lose_reply_to(b"%d" % lost)
            with pytest.raises(RedisUnavailableError):
                await replay(store, redis)
            assert store.size == 30 - (lost - 1000)
        assert await replay(store, redis) == Replayed(executed=7, refused=0)
        assert await order(redis) == [1000 + number for number in range(30)]


async def test_a_killed_replay_is_repeated(path: Path, redis_url: str, redis_manager: RedisManager) -> None:
    async with opened(path) as store:
        await store.append([once(number) for number in range(1500)])
    async with program(REPLAYING, str(path), redis_url) as process:
        while await redis_manager.transaction([("LINDEX", "order", 300)]) == [None]:
            assert process.returncode is None
        process.send_signal(signal.SIGKILL)
    async with opened(path) as store:
        assert 0 < store.size < 1500
        await replay(store, redis_manager)
        assert store.is_empty
    assert await order(redis_manager) == list(range(1500))


async def test_what_redis_refuses_for_good_is_put_aside(
    path: Path, redis_manager: RedisManager, capsys: pytest.CaptureFixture[str]
) -> None:
    await redis_manager.set("text", "a")
    bad = Transaction(commands=[("HSET", "text", "a", 1)])
    broken = ScriptCall(script=Script("return nobody.knows"), keys=[], args=[])
    async with SqliteManager(path) as sqlite:
        async with LocalStore(sqlite) as store:
            await store.append([once(1), bad, once(2)])
            await sqlite.write([("INSERT INTO logged_operations (payload) VALUES (?)", [(b"\xc1",)])])
        async with LocalStore(sqlite) as store:
            await store.append([broken, once(3)])
            assert await replay(store, redis_manager) == Replayed(executed=3, refused=3)
            assert (store.is_empty, store.refused) == (True, 3)
        async with LocalStore(sqlite) as store:
            assert store.refused == 3
            refusals = await store.refusals(10)
            assert [type(one.operation) for one in refusals] == [Transaction, type(None), ScriptCall]
            reasons = ("WRONGTYPE", "unreadable", "nobody")
            assert all(reason in one.reason for reason, one in zip(reasons, refusals, strict=True))
    assert await order(redis_manager) == [1, 2, 3]
    assert capsys.readouterr().out.count("operation_refused") == 3


async def test_a_wrong_password_refuses_no_operation(path: Path, redis_manager: RedisManager) -> None:
    await redis_manager.transaction([("ACL", "SETUSER", "guest", "on", "nopass", "-@all")])
    url = await guest_url(redis_manager)
    try:
        async with opened(path) as store, RedisManager(url) as guest:
            await store.append([setting(1)])
            with pytest.raises(FatalError):
                await replay(store, guest)
            assert (store.size, store.refused) == (1, 0)
    finally:
        await redis_manager.transaction([("ACL", "DELUSER", "guest")])


async def guest_url(redis: RedisManager) -> str:
    found = (await redis.transaction([("CONFIG", "GET", "unixsocket")]))[0]
    assert isinstance(found, list)
    assert isinstance(found[1], bytes)
    return f"unix://guest:any@{found[1].decode()}"
