"""How a process comes to own its share of the partitions of a role, and how it hands over what is no longer its."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from domain.subscribers.partitions import PARTITIONS, Partition
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import reporting
from services.cluster.fencing import LeaseLostError
from services.cluster.leases import WATCH_EVERY_S, Progress
from services.cluster.members import Member, Members, Role
from services.cluster.ownership import Share

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

STEP_EVERY_S: Final = 1.0

_PASSING: Final = (TransientError, LeaseLostError)

OnPartitions = Callable[[frozenset[Partition]], Awaitable[None]]


def assigned(living: Sequence[Member]) -> dict[Partition, str]:
    """Divide the partitions among members; everybody who sees the same members comes to the same result.

    A partition goes to whom its shard fits (the lowest name, if several), else by turns to all.
    """
    owners = sorted(member.owner for member in living)
    if not owners:
        return {}
    found: dict[Partition, str] = {}
    for partition in range(PARTITIONS):
        fitting = [m.owner for m in living if m.shard is not None and m.shard.has(partition)]
        found[partition] = min(fitting, default=owners[partition % len(owners)])
    return found


class PartitionOwner:
    """The partitions of one role that this process works on. `Leases.run` and `Members.run` must run besides.

    Callbacks come one after the other. `gained`: begin to work on these. `lost`: stop and return when nothing of
    them is in flight any more, within seconds; others wait. It may come while `gained` was not finished, and after
    a `TransientError` it comes again. A lease that expired is lost without having been asked for: before anything
    that cannot be taken back, look into `share.owned`.
    """

    def __init__(
        self,
        share: Share,
        members: Members,
        *,
        gained: OnPartitions,
        lost: OnPartitions,
        step_every_s: float = STEP_EVERY_S,
    ) -> None:
        self.share = share
        self._leases = share.leases
        self._members = members
        self._role: Role = share.part
        self._gained = gained
        self._lost = lost
        self._step_every_s = step_every_s
        self._leaving: set[Partition] = set()
        """No longer worked on, but `lost` has not come back yet."""
        self._one_callback = asyncio.Lock()
        self._is_ending = False
        self._progress: Progress = lambda: None

    async def run(self, progress: Progress) -> None:
        """Own the right share, for ever."""
        self._progress = progress
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name=f"{self._role} leases")
            group.create_task(self._assign(progress), name=f"{self._role} partitions")

    async def step(self) -> None:
        """Take what is free of this process's share, hand over what is not its share (any more)."""
        if self._is_ending:
            return
        target = {p for p, owner in assigned(self._members.living(self._role)).items() if owner == self._leases.owner}
        await self._take(target - self.share.working - self._leaving)
        await self._hand_over(self.share.working - target)

    async def drop_expired(self) -> None:
        """Stop working on partitions whose lease has ended."""
        if all(map(self.share.is_valid, self.share.working)):
            return
        async with self._one_callback:
            expired = {p for p in self.share.working if not self.share.is_valid(p)}
            if expired:
                log.warning("partitions_expired", role=self._role, partitions=sorted(expired))
                self._leases.forget(map(self.share.name, expired))
                await self._stop(expired)

    async def give_up(self) -> None:
        """Hand over everything and take nothing more, at the end of the process; `run` may still run."""
        self._is_ending = True
        await self._hand_over(set(self.share.working))

    async def _take(self, wanted: set[Partition]) -> None:
        if not wanted:
            return
        held = await self._leases.acquire(map(self.share.name, sorted(wanted)))
        new = frozenset(p for p in wanted if self.share.name(p) in held)
        async with self._one_callback:
            if self._is_ending or not new:
                await self._leases.release(map(self.share.name, new))
                return
            self.share.working |= new
            log.info("partitions_gained", role=self._role, partitions=sorted(new))
            try:
                await reporting(self._gained(new), self._progress)
            except _PASSING:
                await self._stop(set(new))
                raise

    async def _hand_over(self, partitions: set[Partition]) -> None:
        async with self._one_callback:
            leaving = (partitions & self.share.working) | self._leaving
            if leaving:
                await self._stop(leaving)

    async def _stop(self, partitions: set[Partition]) -> None:
        self.share.working -= partitions
        self._leaving |= partitions
        # What is in flight may have to wait for Redis or Telegram, as long as that is unavailable.
        await reporting(self._lost(frozenset(partitions)), self._progress)
        self._leaving -= partitions
        await self._leases.release(map(self.share.name, partitions))
        log.info("partitions_left", role=self._role, partitions=sorted(partitions))

    async def _assign(self, progress: Progress) -> None:
        while True:
            stop_if_cancelled()
            progress()
            await self._try(self.step)
            await asyncio.sleep(self._step_every_s)

    async def _watch(self) -> None:
        while True:
            stop_if_cancelled()
            await self._try(self.drop_expired)
            await asyncio.sleep(WATCH_EVERY_S)

    async def _try(self, doing: Callable[[], Awaitable[None]]) -> None:
        try:
            await doing()
        except _PASSING as error:
            stop_if_cancelled()
            log.warning("partitions_delayed", role=self._role, reason=str(error))
