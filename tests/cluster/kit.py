"""Processes of a test: clocks that jump, and a Redis whose leases and signs of life jump with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.calls.events import Call, Channel, Token
from managers.redis.client import Argument, RedisManager, Reply
from managers.redis.scripts import Script
from services.cluster.leases import Leases
from services.cluster.members import ALL_ROLES, Members, Shard
from services.cluster.ownership import Share
from services.cluster.partition_owner import PartitionOwner
from services.stores import keys

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
TTL_S = 1000.0
"""Virtual. Against it the few real seconds that a test takes, which Redis counts, are less than the drift allowed."""

# ARGV: milliseconds. Time passes for everything that Redis would end or count.
_PASS = Script("""
local ms = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', 'lease:*')) do
  local left = redis.call('PTTL', key) - ms
  if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
end
local seen = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, owner in ipairs(seen) do redis.call('ZINCRBY', KEYS[1], -ms, owner) end
return 1
""")


def call(number: int, *, text: str | None = None) -> Call:
    return Call(
        id=f"call-{number}",
        token=Token(address=f"mint{number}"),
        channel=Channel(id="@alpha"),
        called_at=NOW,
        received_at=NOW,
        text=text,
        cursor=number,
    )


class World:
    """One clock for all; it moves only when told to."""

    def __init__(self, redis: RedisManager) -> None:
        self.redis = redis
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    async def wait(self, seconds: float) -> None:
        self.now_s += seconds
        await self.redis.script(_PASS, [keys.MEMBERS_SEEN.of()], [round(seconds * 1000)])


class SlowRedis(RedisManager):
    """Time passes while a request is on its way, and again while its reply is."""

    def __init__(self, url: str, world: World) -> None:
        super().__init__(url)
        self.world = world
        self.request_takes_s = 0.0
        self.reply_takes_s = 0.0

    async def script(self, script: Script, keys: list[str], args: list[Argument]) -> Reply:  # pyright: ignore[reportIncompatibleMethodOverride] - called with lists here
        if self.request_takes_s:
            await self.world.wait(self.request_takes_s)
        reply = await super().script(script, keys, args)
        if self.reply_takes_s:
            await self.world.wait(self.reply_takes_s)
        return reply


@dataclass
class Process:
    """A process that matches, driven step by step."""

    leases: Leases
    members: Members
    owner: PartitionOwner
    working: set[int] = field(default_factory=set[int])
    gained: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """(partition, fencing number) in the order in which they came."""

    @classmethod
    def of(cls, redis: RedisManager, world: World, name: str, shard: Shard | None = None) -> Process:
        leases = Leases(redis, name, TTL_S, world.clock)
        members = Members(redis, name, ALL_ROLES, shard=shard, ttl_s=TTL_S)
        process: Process

        async def gained(partitions: frozenset[int]) -> None:
            process.working |= partitions
            numbers = process.owner.share.fences(partitions)
            process.gained += [(p, numbers[f"match:{p}"]) for p in sorted(partitions)]

        async def lost(partitions: frozenset[int]) -> None:
            process.working -= partitions

        owner = PartitionOwner(Share(leases, "match"), members, gained=gained, lost=lost)
        process = cls(leases, members, owner)
        return process

    async def round(self) -> None:
        await self.members.beat()
        await self.leases.renew()
        await self.owner.drop_expired()
        await self.owner.step()
