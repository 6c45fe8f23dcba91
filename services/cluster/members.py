"""The processes that make up the bot: each says that it lives, and learns who else does.

Who lives is told by the clock of Redis alone. A process that speaks another protocol than those that live does not
begin, and one that was replaced under its own name does not go on.

With its sign of life, a process that asks Telegram tells the others what time it is: how much later than by the clock
of Redis, which each of them can read. Redis need not be right for that, and no two machines need agree.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from statistics import median_low
from typing import Final, Literal, Protocol, cast

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError, Reply
from managers.redis.scripts import Script, packed, raw
from runtime.cancellation import stop_if_cancelled
from runtime.errors import FatalError
from runtime.waiting import Progress
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Role = Literal["gateway", "listen", "ingest", "match", "send", "track"]
ALL_ROLES: Final[frozenset[Role]] = frozenset({"gateway", "listen", "ingest", "match", "send", "track"})

PROTOCOL: Final = 11
"""Raise it whenever what processes tell each other through Redis changes its form or its meaning."""

_REMEMBERED_S: Final = 60.0
"""Somebody who was silent for less may only be cut off: nobody else is alone."""

_MAX_ALARMS: Final = 50
_MAX_REASON: Final = 200
_MAX_PARTS: Final = 100
_MAX_PART: Final = 120

_BEAT: Final = Script.beside(__file__, "beat.lua")
_LEAVE: Final = Script.beside(__file__, "leave.lua")


class Shard(Struct, frozen=True):
    """The i-th of n equal shares, counted from 1: the partitions `p` with `p % n == i - 1`."""

    index: int
    count: int

    def has(self, partition: int) -> bool:
        return partition % self.count == self.index - 1


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    owner: str
    instance: str
    """Different at every start."""
    roles: tuple[Role, ...]
    protocol: int
    started_at: datetime
    shard: Shard | None = None
    """The share it would rather have."""
    seen_at: datetime | None = None
    """By the clock of Redis."""
    redis_behind_ms: int | None = None
    """How much later it is than by the clock of Redis, as Telegram told this process; `None` when it does not know."""
    alarms: dict[str, str] = {}
    """What is wrong with it: by name of the alarm, the reason."""
    alarm_parts: dict[str, dict[str, str]] = {}
    """Of alarms that are for many: what is said of each, the newest last."""
    clock_wrong_by_s: float | None = None
    """How much later its machine's clock is than the truth; `None` when that is not much, or not known."""


class TimeOfDay(Protocol):
    """`runtime.clock.Clock`."""

    def __call__(self) -> datetime: ...

    @property
    def wrong_by_s(self) -> float | None: ...

    def told(self, true_ns: int, at_monotonic_ns: int) -> None: ...

    def true_ns(self, at_monotonic_ns: int) -> int | None: ...


class Members:
    """`join`, then `run`. What it knows is from the last contact; while Redis is unavailable it stays as it was."""

    def __init__(
        self,
        redis: RedisManager,
        owner: str,
        roles: Iterable[Role],
        *,
        shard: Shard | None = None,
        protocol: int = PROTOCOL,
        ttl_s: float = 10.0,
        clock: TimeOfDay | None = None,
        asks_telegram: bool = False,
    ) -> None:
        """`ttl_s`: so long after its last sign of life a member counts as living.

        `clock` learns from the others what time it is or, of one that `asks_telegram`, is what they learn it from.
        """
        self.owner = owner
        self._redis = redis
        self._ttl_s = ttl_s
        self._clock = clock
        self._asks_telegram = asks_telegram
        self._own = Member(
            owner=owner,
            instance=secrets.token_hex(8),
            roles=tuple(sorted(roles)),
            protocol=protocol,
            started_at=clock() if clock else datetime.now(UTC),
            shard=shard,
        )
        self._joined = False
        self.alarms: Callable[[], dict[str, str]] = dict
        """What is wrong with this process, as the others are to know: by name of the alarm, the reason."""
        self.alarm_parts: Callable[[], dict[str, dict[str, str]]] = dict
        """Of these, what is said of each thing, the newest last."""
        self._remembered: tuple[Member, ...] = ()
        self._last_contact_at: datetime | None = None

    @property
    def roles(self) -> tuple[Role, ...]:
        """Of this process."""
        return self._own.roles

    async def join(self) -> None:
        """Become a member, or replace an earlier process of the same owner.

        `FatalError` when a living member speaks another protocol.
        """
        await self._contact(joining=True)
        self._joined = True
        log.info("member_joined", owner=self.owner, roles=self._own.roles, others=len(self._remembered) - 1)

    async def beat(self) -> None:
        """Give a sign of life and learn who else lives.

        `FatalError` when another process took this owner's name, or others speak another protocol by now.
        """
        await self._contact(joining=False)

    async def leave(self) -> None:
        """Live no more for the others; they need not wait for the silence."""
        try:
            args = packed(owner=self.owner, document=raw(msgspec.json.encode(self._own)))
            await self._redis.script(_LEAVE, _KEYS, args)
        except RedisUnavailableError as error:
            log.warning("member_not_left", reason=str(error))

    def living(self, role: Role | None = None) -> Sequence[Member]:
        """Return who lived at the last contact, in the order of the owners' names."""
        found = (m for m in self._remembered if role is None or role in m.roles)
        return sorted(filter(self._lives, found), key=lambda member: member.owner)

    @property
    def alone(self) -> bool:
        """Whether this process has all roles and at the last contact there was nobody else."""
        return set(self._own.roles) >= ALL_ROLES and [m.owner for m in self._remembered] == [self.owner]

    async def run(self, progress: Progress) -> None:
        """Give signs of life for ever, five within the lifetime of one."""
        was_unavailable = False
        while True:
            stop_if_cancelled()
            progress()
            try:
                await (self.beat() if self._joined else self.join())
                was_unavailable = False
            except RedisUnavailableError as error:
                stop_if_cancelled()
                if not was_unavailable:
                    log.warning("member_not_seen", reason=str(error), alone=self.alone)
                was_unavailable = True
            await asyncio.sleep(self._ttl_s / 5)

    def _lives(self, member: Member) -> bool:
        if member.seen_at is None or self._last_contact_at is None:
            return False
        return (self._last_contact_at - member.seen_at).total_seconds() <= self._ttl_s

    async def _contact(self, *, joining: bool) -> None:
        alarms = _bounded(self.alarms())
        parts = {name: _latest(parts) for name, parts in self.alarm_parts().items() if name in alarms}
        own = self._own = replace(self._own, alarms=alarms, alarm_parts=parts)
        asked_ns = time.monotonic_ns()
        args = packed(
            owner=own.owner,
            document=raw(msgspec.json.encode(own)),
            instance=own.instance,
            protocol=own.protocol,
            joins=joining,
            ttl_ms=round(self._ttl_s * 1000),
            remembered_ms=round(max(_REMEMBERED_S, self._ttl_s) * 1000),
        )
        try:
            now_ms, *found = cast("list[Reply]", await self._redis.script(_BEAT, _KEYS, args))
        except RedisReplyError as error:
            raise self._refusal(error) from error
        self._last_contact_at = _at(now_ms)
        self._remembered = tuple(
            replace(msgspec.json.decode(cast("bytes", document), type=Member), seen_at=_at(seen_ms))
            for document, seen_ms in zip(found[::2], found[1::2], strict=True)
        )
        if self._clock:
            self._compare(self._clock, cast("int", now_ms), (asked_ns + time.monotonic_ns()) // 2)

    def _compare(self, clock: TimeOfDay, redis_ms: int, at_monotonic_ns: int) -> None:
        """Tell the others, with the next sign of life, what time it is, or learn it from them."""
        behind_ms = None
        if self._asks_telegram:
            true_ns = clock.true_ns(at_monotonic_ns)
            behind_ms = None if true_ns is None else true_ns // 1_000_000 - redis_ms
        elif told := [one.redis_behind_ms for one in self.living() if one.redis_behind_ms is not None]:
            clock.told((redis_ms + median_low(told)) * 1_000_000, at_monotonic_ns)
        self._own = replace(self._own, redis_behind_ms=behind_ms, clock_wrong_by_s=clock.wrong_by_s)

    def _refusal(self, error: RedisReplyError) -> FatalError:
        if error.code == "SKEW":
            return FatalError(
                f"This process speaks protocol {self._own.protocol}, others another one. {error} "
                "Run the same version everywhere: stop the processes of one version first."
            )
        if error.code == "REPLACED":
            return FatalError(f"Another process runs as “{self.owner}”; this one ends.")
        return error


_KEYS: Final = (keys.MEMBERS.of(), keys.MEMBERS_SEEN.of())


def _bounded(alarms: dict[str, str]) -> dict[str, str]:
    return {name: reason[:_MAX_REASON] for name, reason in islice(alarms.items(), _MAX_ALARMS)}


def _latest(parts: dict[str, str]) -> dict[str, str]:
    latest = islice(parts.items(), max(0, len(parts) - _MAX_PARTS), None)
    return {subject: words[:_MAX_PART] for subject, words in latest}


def _at(milliseconds: Reply) -> datetime:
    return datetime.fromtimestamp(int(cast("int", milliseconds)) / 1000, UTC)
