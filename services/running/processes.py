"""What each process knows about itself, told to whoever answers admins: sources, caches, hosts, what is left to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

import msgspec
import structlog
from msgspec import Struct

from domain.subscribers.partitions import PARTITIONS
from managers.redis.client import RedisManager
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.cluster.members import Members
from services.running.keys import PROCESS_REPORT
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 3.0


class SourceState(Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    """`feed`, `pages` for a feed that the process makes of channels itself, `prices`, or `figures` for who is asked for
    those alone; empty where no process speaks of it."""
    ok: bool
    rests: bool
    """It is not asked, as an admin wants it."""
    replays: bool = False
    """It can be asked for the past."""
    age_s: float | None = None
    """Since it was last heard."""
    asked: int = 0
    """Requests since the start; of a feed, its calls."""
    used: int | None = None
    """Requests that the process has made of the `limit` of the last `period_s`."""
    limit: int | None = None
    period_s: float | None = None
    problem: str | None = None


class CacheState(Struct, frozen=True, kw_only=True):
    name: str
    entries: int
    max_entries: int
    hits: int
    misses: int


class HostState(Struct, frozen=True, kw_only=True):
    """A host that is shut out after failing."""

    host: str
    again_in_s: float
    problem: str | None


class ProcessReport(Struct, frozen=True, kw_only=True):
    owner: str
    sources: tuple[SourceState, ...] = ()
    caches: tuple[CacheState, ...] = ()
    shut_out: tuple[HostState, ...] = ()
    log_level: str = ""
    undecided: int = 0
    """Calls taken in and not claimed."""


class Left(Struct, frozen=True):
    """What has to be done before nothing is on its way."""

    undecided: int
    """Calls."""
    unsent: int
    """Messages in the outbox."""


class Processes:
    def __init__(self, redis: RedisManager, members: Members, own: Callable[[], ProcessReport]) -> None:
        self._redis = redis
        self._members = members
        self._own = own

    async def run(self, progress: Progress) -> None:
        """Tell how this one is, for ever. `TransientError`: call it again."""
        while True:
            await self.tell()
            await pause(EVERY_S, progress)

    async def tell(self) -> None:
        own = self._own()
        await self._redis.set(PROCESS_REPORT.of(own.owner), msgspec.json.encode(own), ex_s=PROCESS_REPORT.expires_s)

    async def all(self) -> list[ProcessReport]:
        """Return this one as it is now, and the others as they last said; alone while Redis is away."""
        own = self._own()
        others = [one.owner for one in self._members.living() if one.owner != own.owner]
        try:
            found = await self._redis.mget([PROCESS_REPORT.of(owner) for owner in others]) if others else []
        except TransientError as error:
            log.warning("processes_not_asked", reason=str(error))
            return [own]
        return [own, *(report for document in found if document and (report := _read(document)))]

    async def left(self) -> Left:
        """`TransientError` while Redis is away."""
        lengths = await self._redis.transaction([("XLEN", keys.OUTBOX.of(one)) for one in range(PARTITIONS)])
        undecided = sum(one.undecided for one in await self.all())
        return Left(undecided, sum(cast("Sequence[int]", lengths)))


def _read(document: bytes) -> ProcessReport | None:
    try:
        return msgspec.json.decode(document, type=ProcessReport)
    except msgspec.MsgspecError as error:
        log.warning("process_report_unreadable", reason=str(error))
        return None
