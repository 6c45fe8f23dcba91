"""Is every part well, and what has the bot done since it started."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
import structlog
from msgspec import Struct

from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.monitoring.alarms import ActiveAlarm
from services.monitoring.metrics import Metrics

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_S = 2.0
HEARTBEAT_EVERY_S = 60.0


class PartHealth(Struct, frozen=True, kw_only=True):
    name: str
    ok: bool
    detail: str
    latency_ms: float | None = None
    is_vital: bool = True
    """Without it the bot as a whole is not well."""


class MemberHealth(Struct, frozen=True, kw_only=True):
    owner: str
    roles: tuple[str, ...]
    share: str | None
    """`1/2`: the first of two equal shares is what it would rather have."""
    uptime_s: float


class ProcessHealth(Struct, frozen=True, kw_only=True):
    """Which part of the work the process that answers has."""

    role: str
    owner: str
    """Its name among the processes."""
    state: str
    matching: tuple[int, ...]
    """Partitions whose subscribers it matches."""
    sending: tuple[int, ...]
    """Partitions whose alerts it sends."""
    leases: tuple[str, ...]
    members: tuple[MemberHealth, ...]
    """Who lived when Redis was asked last, this process among them."""


class HealthReport(Struct, frozen=True, kw_only=True):
    parts: tuple[PartHealth, ...]
    process: ProcessHealth | None = None
    alarms: tuple[ActiveAlarm, ...] = ()
    """What admins were told of and is not over; a part may be well in spite of it."""
    counters: dict[str, int]
    latency_count: int
    """Of so many alerts, the last ones, are the two below."""
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    uptime_s: float

    @property
    def ok(self) -> bool:
        return all(part.ok for part in self.parts if part.is_vital)


Check = Callable[[], Awaitable[PartHealth]]


class MonitoringService:
    def __init__(
        self,
        *,
        metrics: Metrics,
        clock: Callable[[], datetime],
        alarms: Callable[[], Sequence[ActiveAlarm]] = tuple,
        process: Callable[[], ProcessHealth | None] = lambda: None,
    ) -> None:
        """Ask `alarms` for those that stand (`AlarmsService.active`)."""
        self._checks: dict[str, Check] = {}
        self._alarms = alarms
        self._process = process
        self._metrics = metrics
        self._clock = clock
        self._started_at = clock()

    def watch(self, name: str, check: Check) -> None:
        """Ask `check` whenever somebody wants to know how `name` is."""
        self._checks[name] = check

    async def health(self) -> HealthReport:
        """Ask every part at once; one that does not answer in time is not well."""
        parts = await asyncio.gather(*(self._ask(name, check) for name, check in self._checks.items()))
        confirmed = self._metrics.confirmed
        return HealthReport(
            parts=tuple(parts),
            process=self._process(),
            alarms=tuple(self._alarms()),
            counters=self._metrics.counts.totals(),
            latency_count=confirmed.count,
            latency_p50_ms=_ms(confirmed.p50_s),
            latency_p99_ms=_ms(confirmed.p99_s),
            uptime_s=(self._clock() - self._started_at).total_seconds(),
        )

    async def health_document(self) -> dict[str, object]:
        """`health()` as JSON for machines; not `ok` while the process begins or ends. One on standby is well."""
        report = await self.health()
        is_here = report.process is None or report.process.state in {"working", "standing by"}
        return {"ok": report.ok and is_here, **msgspec.to_builtins(report)}

    async def run(self, progress: Progress) -> None:
        """Log a heartbeat every minute, as a warning when a part is not well."""
        while True:
            await pause(HEARTBEAT_EVERY_S, progress)
            report = await self.health()
            failing = [part.name for part in report.parts if not part.ok]
            alarms = [alarm.name for alarm in report.alarms]
            write = log.warning if failing or alarms else log.info
            write(
                "heartbeat",
                failing=failing,
                alarms=alarms,
                rss_mib=rss_mib(),
                uptime_s=report.uptime_s,
                **report.counters,
            )

    async def _ask(self, name: str, check: Check) -> PartHealth:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                return await check()
        except TimeoutError:
            return PartHealth(name=name, ok=False, detail=f"no answer within {CHECK_TIMEOUT_S:g} s")
        except TransientError as error:
            return PartHealth(name=name, ok=False, detail=str(error))


async def answers(name: str, ping: Callable[[], Awaitable[float]]) -> PartHealth:
    """Health of a part that is well when it answers; `ping` gives seconds."""
    return PartHealth(name=name, ok=True, detail="answers", latency_ms=await ping() * 1000)


def rss_mib() -> float:
    """Largest resident set of this process so far, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
