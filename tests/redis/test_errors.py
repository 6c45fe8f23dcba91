"""Every documented error of Redis and Valkey is read for what it says, wherever a version puts it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError
from managers.redis.errors import RedisBusyError, RedisNotServingError, RedisTimeoutError, wrapped_errors
from managers.redis.scripts import Script, packed
from managers.storage.sqlite import SqliteManager
from services.cluster.fencing import FENCED, lease_lost, numbers_of
from services.stores.local_store import LocalStore
from services.stores.operations import ScriptCall
from services.stores.replay import replay
from tests.faults.proxy import FaultProxy
from tests.redis.resp_server import error, resp_server
from tests.wiring import add_entry

WRITES = Script("return redis.call('SET', KEYS[1], ARGV[1])")

NOT_NOW = {
    "READONLY": "You can't write against a read only replica.",
    "UNBLOCKED": "force unblock from blocking operation, instance state changed (master -> replica?)",
    "REDIRECT": "10.0.0.7:6379",
    "NOMASTERLINK": "Can't SYNC while not connected with my master",
    "NOREPLICAS": "Not enough good replicas to write.",
    "OOM": "command not allowed when used memory > 'maxmemory'.",
    "INPROG": "Failover already in progress",
    "CLUSTERDOWN": "The cluster is down",
    "TRYAGAIN": "Multiple keys request during rehashing of slot",
    "IOERR": "error or timeout reading to target instance",
}
NOT_EVEN_PING = {
    "LOADING": "Redis is loading the dataset in memory",
    "BUSY": "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MISCONF": "Errors writing to the AOF file: No space left on device",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
}
OURS = {
    "ERR": "unknown command 'FROB', with args beginning with: '-OOM because of: READONLY '",
    "WRONGTYPE": "Operation against a key holding the wrong kind of value",
    "NOGROUP": "No such key 's' or consumer group 'g'",
    "NOAUTH": "Authentication required.",
    "WRONGPASS": "invalid username-password pair or user is disabled.",
    "NOPERM": "this user has no permissions to run the 'set' command",
    "CROSSSLOT": "Keys in request don't hash to the same slot",
    "DENIED": "Redis is running in protected mode",
}
EXPECTED = {
    **{f"{code} {text}": RedisBusyError for code, text in NOT_NOW.items()},
    **{f"{code} {text}": RedisNotServingError for code, text in NOT_EVEN_PING.items()},
    **{f"{code} {text}": RedisReplyError for code, text in OURS.items()},
}
FORMS = {
    "bare": "{}",
    "6.2, refused before it ran": "ERR Error running script (call to f_0a1b2c): @user_script:4: @user_script: 4: -{} ",
    "6.2, answered to a call": "ERR Error running script (call to f_0a1b2c): @user_script:4: {}",
    "7": "{} script: 0a1b2c, on @user_script:4.",
    "EXEC": "EXECABORT Transaction discarded because of: {}",
    "EXEC of a script": "EXECABORT Transaction discarded because of: ERR Error running script (call to f_0): "
    "@user_script:4: @user_script: 4: -{}",
}


async def refusal(redis: RedisManager) -> Exception:
    with pytest.raises((RedisUnavailableError, RedisReplyError)) as raised:
        await redis.script(WRITES, ["k"], ["v"])
    return raised.value


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_an_error_means_the_same_in_every_form(form: str) -> None:
    lines = list(EXPECTED)
    replies = iter(lines)
    async with (
        resp_server(lambda _: error(form.format(next(replies)))) as url,
        RedisManager(url) as redis,
    ):
        found = {line: await refusal(redis) for line in lines}
    assert {line: type(one) for line, one in found.items()} == EXPECTED
    codes = {line: one.code for line, one in found.items() if isinstance(one, RedisReplyError)}
    assert codes == {line: line.split()[0] for line in codes}


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("MOVED 3999 127.0.0.1:6381", RedisReplyError),
        ("MOVED to a better place", RedisUnavailableError),  # the driver takes it apart, and cannot
        ("ERR max number of clients reached", RedisUnavailableError),
        ("ERR max number of clients + cluster connections reached", RedisUnavailableError),
        ("ERR Error running script (call to f_0): @user_script:1: Script killed by user with SCRIPT KILL.", None),
        ("ERR Connection refused", None),  # twemproxy
        ("upstream failure", None),  # Envoy
        ("no upstream host", None),
        ("THROTTLED too many requests, slow down", None),  # nobody has documented it
        ("", None),
    ],
)
async def test_what_is_hardly_an_answer(line: str, meaning: type[Exception] | None) -> None:
    async with resp_server(lambda _: error(line)) as url, RedisManager(url) as redis:
        assert type(await refusal(redis)) is (meaning or RedisBusyError)


@pytest.mark.parametrize(
    "line",
    [
        "ERR The user executing the script can't run this command or subcommand script: 0a, on @user_script:1.",
        "ERR ACL failure in script: User bot has no permissions to run the 'set' command",
        "ERR Error running script (call to f_0): @user_script:1: The user executing the script can't run this command",
    ],
)
async def test_a_missing_permission_is_one_inside_a_script_too(line: str) -> None:
    """What is kept for Redis must not be put aside for it."""
    async with resp_server(lambda _: error(line)) as url, RedisManager(url) as redis:
        found = await refusal(redis)
    assert isinstance(found, RedisReplyError)
    assert found.code == "NOPERM"


async def test_errors_inside_replies() -> None:
    """The reply to EXEC is a list in which some of the commands may have failed."""
    queued = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n"

    def answer(command: list[bytes]) -> bytes:
        return queued + b"*2\r\n:1\r\n-OOM command not allowed\r\n" if command[0] == b"EXEC" else b""

    async with resp_server(answer) as url, RedisManager(url) as redis:
        with pytest.raises(RedisBusyError, match="OOM"):
            await redis.transaction([("INCR", "a"), ("SET", "b", "c")])


async def test_a_script_answers_in_its_own_words(redis_manager: RedisManager) -> None:
    await redis_manager.hset("fences", {"lease": 2})
    with pytest.raises(RedisReplyError) as refused:
        await redis_manager.script(Script(FENCED), ["fences"], packed(fences=numbers_of({"lease": 1})))
    assert lease_lost(refused.value) is not None


async def test_what_is_kept_for_redis_waits_for_a_replica_to_be_promoted(tmp_path: Path) -> None:
    replies = iter([error(FORMS["6.2, refused before it ran"].format("READONLY You can't write")), b"+OK\r\n"])
    async with (
        resp_server(lambda _: next(replies)) as url,
        RedisManager(url) as redis,
        SqliteManager(tmp_path / "local.sqlite") as sqlite,
        LocalStore(sqlite) as store,
    ):
        await store.settle([], [ScriptCall(script=WRITES, keys=["k"], args=["v"])])
        with pytest.raises(RedisUnavailableError):
            await replay(store, redis)
        assert (store.size, store.refused) == (1, 0)
        await replay(store, redis)
        assert (store.size, store.refused) == (0, 0)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_a_fail_over_during_a_blocked_read(data_dir: Path, free_port: int) -> None:
    """The leader steps down: who waits for news is sent away, and finds the new leader at the same address."""
    leader, follower = EmbeddedRedis(data_dir / "a", port=free_port), EmbeddedRedis(data_dir / "b")
    async with leader, follower, RedisManager(follower.url) as new, RedisManager(leader.url) as old:
        await new.transaction([("REPLICAOF", "127.0.0.1", free_port)])
        async with FaultProxy(leader.url) as proxy, RedisManager(proxy.redis_url) as redis:
            await redis.xgroup_create("s", "g")
            while await new.exists("s") == 0:  # noqa: ASYNC110 - it is another process that has to move
                await asyncio.sleep(0.01)
            blocked = asyncio.create_task(redis.xreadgroup_many(["s"], "g", "c", count=1, block_ms=60_000))
            while b"cmd=xreadgroup" not in await clients(old):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            await new.transaction([("REPLICAOF", "NO", "ONE")])
            proxy.lead_to(follower.url)
            await old.transaction([("REPLICAOF", "127.0.0.1", 1)])
            with pytest.raises(RedisBusyError, match="UNBLOCKED"):
                await blocked
            added = await add_entry(redis, "s", {"n": 1})
            taken = await redis.xreadgroup_many(["s"], "g", "c", count=1, block_ms=1)
            assert [e.id for e in taken["s"]] == [added]


async def clients(redis: RedisManager) -> bytes:
    [reply] = await redis.transaction([("CLIENT", "LIST")])
    assert isinstance(reply, bytes)
    return reply


async def test_silence_is_told_without_the_colon_of_a_reason_that_there_is_not() -> None:
    with pytest.raises(RedisTimeoutError, match=r"^Redis does not answer$"), wrapped_errors():
        raise TimeoutError
    with pytest.raises(RedisTimeoutError, match=r"^Redis does not answer: within 2 s$"), wrapped_errors():
        raise TimeoutError("within 2 s")
