"""A share of the work: `MatchShard` reads the calls that another process published, `SendShard` sends what is claimed.

Both for the partitions that are this process's now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from msgspec.structs import replace

from domain.subscribers.partitions import ALL, Partition, partition_of
from runtime.counted import counted
from runtime.retry import retry_until_done
from runtime.supervision import Progress
from services.calls.call_stream import CallReader, CallStream
from services.calls.decisions import DecisionsService
from services.claims.claiming import ClaimRequest
from services.cluster.fencing import LeaseLostError
from services.cluster.members import Members
from services.cluster.ownership import Share
from services.cluster.partition_owner import PartitionOwner
from services.cluster.sent_lately import SentBefore
from services.delivery.delivery import DeliveryService
from services.subscribers.loading import RosterLoading

log = structlog.get_logger(__name__)

MAX_BATCH: Final = 256
READ_BLOCK_MS: Final = 1_000
IDLE_S: Final = 0.5


class MatchShard:
    def __init__(
        self,
        *,
        share: Share,
        members: Members,
        calls: CallStream,
        decisions: DecisionsService,
        loading: RosterLoading,
        say: Callable[[str], None],
        rests: Callable[[], bool] = lambda: False,
    ) -> None:
        """`rests`: whether calls stay in the stream, undecided."""
        self._rests = rests
        self.partitions = PartitionOwner(share, members, gained=self._gained, lost=self._lost)
        self._reader = CallReader(calls)
        self._decisions = decisions
        self._loading = loading
        self._say = say
        self._one_batch = asyncio.Lock()

    async def decide(self, progress: Progress) -> None:
        """Decide batch after batch; each is claimed before the next is read."""
        while True:
            progress()
            if not len(self._reader) or self._rests():
                await asyncio.sleep(IDLE_S)
                continue
            async with self._one_batch:
                if len(self._reader):
                    await self._decide_one(progress)

    async def _decide_one(self, progress: Progress) -> None:
        batch = await retry_until_done(lambda: self._reader.read(MAX_BATCH, READ_BLOCK_MS), progress)
        if batch.read_to == batch.read_from:
            return
        # Of these the matcher has the subscribers now; whoever is gained from here on is decided by reading again.
        moves = self._reader.moves(batch)
        requests = self._decisions.match([published.call for published in batch.calls])
        claimed = await self._claim(requests, moves, progress)
        self._decisions.take_back(_only(request, ALL - claimed) for request in requests)

    async def _claim(
        self, requests: Sequence[ClaimRequest], moves: Mapping[Partition, str], progress: Progress
    ) -> frozenset[Partition]:
        """Claim what is ours of a batch; return of which partitions."""
        while True:
            owned = self.partitions.share.owned
            moves = {partition: entry for partition, entry in moves.items() if partition in owned}
            if not moves:
                return frozenset()
            ours = [_only(request, owned) for request in requests]
            try:
                await retry_until_done(partial(self._decisions.claim, ours, None, moves), progress)
            except LeaseLostError as error:
                # What is still ours is claimed once more; the rest decides whoever has it now.
                log.warning("claim_left_to_others", reason=str(error))
                await asyncio.sleep(IDLE_S)
                continue
            self._reader.claimed(moves)
            return owned

    async def _gained(self, partitions: frozenset[Partition]) -> None:
        total = await self._loading.load(partitions=partitions)
        await self._reader.take_up(partitions)
        self._say(f"Matching {counted(total, 'subscriber')}, partitions {_list(self.partitions.share.owned)}.")

    async def _lost(self, partitions: frozenset[Partition]) -> None:
        self._reader.drop(partitions)
        async with self._one_batch:  # the batch that is being decided is claimed, or left
            await self._loading.unload(partitions)
        self._say(f"No longer matching partitions {_list(partitions)}.")


class SendShard:
    def __init__(
        self, *, share: Share, members: Members, delivery: DeliveryService, sent_before: SentBefore | None
    ) -> None:
        self.partitions = PartitionOwner(share, members, gained=self._gained, lost=self._lost)
        self._delivery = delivery
        self._sent_before = sent_before

    async def _gained(self, partitions: frozenset[Partition]) -> None:
        await self._exchange_sent()
        self._delivery.take_over(partitions)

    async def _lost(self, partitions: frozenset[Partition]) -> None:
        await self._delivery.release(partitions)
        await self._exchange_sent()

    async def _exchange_sent(self) -> None:
        """Telegram counts what one sends to a chat together with what the other has sent."""
        if self._sent_before:
            await self._sent_before.exchange()


def _only(request: ClaimRequest, partitions: frozenset[Partition]) -> ClaimRequest:
    accepted: Sequence[tuple[int, int]] = [pair for pair in request.accepted if partition_of(pair[0]) in partitions]
    return request if len(accepted) == len(request.accepted) else replace(request, accepted=accepted)


def _list(partitions: frozenset[Partition]) -> str:
    return ", ".join(map(str, sorted(partitions))) or "none"
