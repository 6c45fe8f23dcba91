"""What the connections and the process know about themselves, in the monitoring's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.intake import LEASE as INGEST
from bot.lifecycle import Lifecycle
from bot.roles import EVERY_LEASE, Role
from managers.feed.websocket import WebSocketManager
from managers.http.api import APIRetryManager, HostCounts, HostHealth
from managers.telegram.client import TelegramManager
from runtime.clock import now
from runtime.counted import counted
from services.channels.figures import OwnPages
from services.cluster.leases import Leases
from services.cluster.members import Member, Members
from services.cluster.ownership import Ownership
from services.delivery.delivery import DeliveryService
from services.monitoring.health import MemberHealth, PartHealth, ProcessHealth
from services.providers.asked import AskedProviders
from services.stores.database import INCOMPLETE, DatabaseStatus


async def telegram_health(telegram: TelegramManager, lifecycle: Lifecycle) -> PartHealth:
    health = telegram.health()
    if lifecycle.state == "standing by":
        return PartHealth(name="telegram", ok=True, detail="another process is at work")
    if not health.connected:
        detail = "not connected yet"
    elif health.conflict:
        detail = "somebody else polls with this bot's token"
    elif health.problem is not None:
        detail = health.problem
    elif health.last_poll_age_s is None:
        detail = "connected; this process does not poll for updates"
    else:
        detail = f"last answer to getUpdates {health.last_poll_age_s:.0f} s ago"
    return PartHealth(name="telegram", ok=health.ok, detail=detail)


async def updates_health(
    telegram: TelegramManager, why_unanswered: Sequence[Callable[[], str | None]], lifecycle: Lifecycle
) -> PartHealth:
    """Whether people who write to the bot are answered, as far as can be told from what comes and goes."""
    queue = telegram.queue
    detail = f"{len(queue):,} wait, the oldest for {queue.oldest_age_s:,.0f} s; {queue.handled:,} handled"
    problem = None
    if lifecycle.state != "standing by":
        problem = telegram.health().problem or next((why for ask in why_unanswered if (why := ask())), None)
    return PartHealth(name="updates", ok=problem is None, detail=problem or detail)


async def data_health(standing: Callable[[], DatabaseStatus | None]) -> PartHealth:
    """Whether PostgreSQL holds what was committed to it, as last seen."""
    known = standing()
    if known is None:
        return PartHealth(name="data", ok=True, detail="not looked at yet, or a store is unavailable")
    problem = known.problem if known.state in INCOMPLETE else None
    return PartHealth(name="data", ok=problem is None, detail=problem or "complete")


async def feed_health(feed: WebSocketManager, leases: Leases, pages: Callable[[], OwnPages | None]) -> PartHealth:
    """`pages`: what the feed is made of, where that is this process's own work: its heartbeats say nothing of it."""
    health = feed.health()
    if feed.rests():
        return PartHealth(name="feed", ok=True, detail="paused by an admin")
    if not health.connected and not leases.is_valid(INGEST):
        return PartHealth(name="feed", ok=True, detail="read by another process")
    own = pages()
    if health.connected and own is not None:
        read = "no page read yet" if own.age_s is None else f"last page read {own.age_s:.0f} s ago"
        detail = f"{own.problem}; {read}" if own.problem else read
        return PartHealth(name="feed", ok=own.problem is None and not health.stale, detail=detail)
    if not health.connected:
        detail = f"not connected: {health.last_problem or 'not yet'}"
    elif health.data_age_s is None:
        detail = "connected, nothing heard yet"
    else:
        detail = f"last data {health.data_age_s:.0f} s ago"
    return PartHealth(name="feed", ok=health.connected and not health.stale, detail=detail)


async def clock_health() -> PartHealth:
    """Always well: a clock that is wrong is corrected, so it is told and no reason to restart us."""
    if now.wrong_by_s is not None:
        way = "ahead" if now.wrong_by_s > 0 else "behind"
        detail = f"wrong: {abs(now.wrong_by_s):,.0f} s {way} of the time that Telegram tells; corrected"
    elif now.ahead_s is not None:
        detail = "agrees with Telegram's"
    else:
        detail = "Telegram's answers carry no date" if now.is_sure else "not compared yet"
    return PartHealth(name="clock", ok=True, detail=detail)


async def api_health(api: APIRetryManager, asked: AskedProviders) -> PartHealth:
    """What no host tells is done without: one that is down is told, and the bot is well as a whole."""
    counts = api.counts
    hosts = [_host(health, counts[name]) for name, health in api.health().items()]
    failing = [f"{one.name} has failed for {one.failing_for_s / 60:.0f} min ({one.problem})" for one in asked.failing()]
    detail = "; ".join([*failing, *hosts]) or "nothing asked yet"
    return PartHealth(name="api", ok=not failing, detail=detail, is_vital=False)


def _host(health: HostHealth, counts: HostCounts) -> str:
    if not health.ok:
        state = f"shut out for {health.again_in_s:.0f} s ({health.last_problem})"
    elif health.again_in_s > 0:
        state = f"not asked for {health.again_in_s:.0f} s"
    else:
        state = "may be asked"
    return f"{health.host} {state}, {counted(counts.requests, 'request')}, repeats among them: {counts.retries:,}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessWatch:
    """Which part of the work this process has, and who else lives. Called for the health report."""

    role: Role
    lifecycle: Lifecycle
    ownership: Ownership
    leases: Leases
    members: Members
    delivery: DeliveryService

    def __call__(self) -> ProcessHealth:
        state = self.lifecycle.state
        matches = state == "working" and self.role in {"all", "match"}
        return ProcessHealth(
            role=self.role,
            owner=self.leases.owner,
            state=state,
            matching=tuple(sorted(self.ownership.matched())) if matches else (),
            sending=tuple(sorted(self.delivery.owned)),
            leases=tuple(name for name in EVERY_LEASE if self.leases.is_valid(name)),
            members=tuple(map(_member, self.members.living())),
        )


def _member(member: Member) -> MemberHealth:
    share = member.shard
    return MemberHealth(
        owner=member.owner,
        roles=member.roles,
        share=f"{share.index}/{share.count}" if share else None,
        uptime_s=max(0.0, (now() - member.started_at).total_seconds()),
    )
