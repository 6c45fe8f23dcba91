"""TokenFilterBot: the stream's way from frame to alert, and the lifetime of every job, in each role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import structlog

from bot.intake import LEASE as INGEST
from bot.intake import Intake
from bot.roles import SENDING, Role, exclusive_leases
from bot.shards import MatchShard
from bot.time_of_day import follow_steps_back, join, once_sure
from bot.updates import Updates
from domain.calls.events import PriceTick
from domain.subscribers.partitions import ALL, Partition
from handlers.conversation.base import BotBase, Services
from managers.providers.jupiter import SolPrice
from managers.redis.client import RedisManager
from runtime.cancellation import end
from runtime.errors import FatalError, TransientError
from runtime.retry import persistently
from runtime.supervision import Job, Progress, Pulse, notify_systemd, supervise, watch
from runtime.waiting import pause
from services.calls.call_stream import CallStream
from services.calls.late import LateService
from services.calls.tick_stream import TickStream
from services.calls.tokens import TokensService
from services.claims.outbox import Outbox
from services.cluster.changes import Changes, OnChange
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.partition_owner import PartitionOwner
from services.cluster.sent_lately import SentBefore
from services.cluster.slot_leases import SlotLeases
from services.delivery.delivery import DeliveryService
from services.delivery.digests import DigestsService
from services.monitoring.alarms import AlarmsService
from services.monitoring.health import MonitoringService
from services.monitoring.readings import ReadingsService
from services.recovery.refill import Refill
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.spool import Spool
from services.why.history import HistoryStore

log = structlog.get_logger(__name__)

SOL_PRICE_EVERY_S: Final = 30.0
TICKS_EVERY_S: Final = 1.0
LAST_DRAIN_S: Final = 2.0
STANDBY_LOOK_S: Final = 1.0

FILLING: Final = frozenset({"refill", "local store"})
"""The jobs for which the others have to wait."""

State = Literal["starting", "standing by", "working", "ending"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What carries calls; the conversation's collaborators are in `Services`."""

    redis: RedisManager
    updates: Updates
    intake: Intake
    match_shard: MatchShard
    outbox: Outbox
    spool: Spool
    refill: Refill
    delivery: DeliveryService
    tokens: TokensService
    late: LateService
    digests: DigestsService
    journal: Journal
    database: Database
    history: HistoryStore
    monitoring: MonitoringService
    alarms: AlarmsService
    readings: ReadingsService
    leases: Leases
    members: Members
    slots: SlotLeases | None
    """Only who shares Telegram's limit with others needs them."""
    sent_before: SentBefore | None
    """Only who sends needs it."""
    calls: CallStream
    ticks: TickStream
    changes: Changes
    sol_price: SolPrice | None
    """Only a feed that counts in SOL needs it."""
    notify_socket: str | None
    say: Callable[[str], None]
    """Tell whoever sits at the terminal."""


class TokenFilterBot(BotBase):
    def __init__(self, services: Services, engine: Engine, role: Role = "all") -> None:
        self.services = services
        self.engine = engine
        self.role: Role = role
        self.state: State = "starting"
        self.pulse = Pulse()
        self.send_partitions = PartitionOwner(
            engine.leases, engine.members, "send", gained=self._gained_sending, lost=self._lost_sending
        )

    async def run(self, stop: asyncio.Event, *, drain_s: float) -> None:
        """Work until `stop`, then stop the intake, finish what is in flight within `drain_s`, and return."""
        engine = self.engine
        async with asyncio.TaskGroup() as group:

            def start(jobs: dict[str, Job]) -> list[asyncio.Task[None]]:
                return [group.create_task(supervise(name, job, self.pulse), name=name) for name, job in jobs.items()]

            connections = start(self._connection_jobs())
            if await self._is_prepared(stop):
                self.state = "working"
                intake, jobs = self._intake_jobs(), self._working_jobs()
                reading = start(intake)
                working = start(jobs)
                working.append(group.create_task(self._load(), name="load"))
                watching = watch(self.pulse, [*intake, *jobs], engine.notify_socket, self._excused)
                working.append(group.create_task(watching, name="watchdog"))
                await stop.wait()
                self.state = "ending"
                notify_systemd("STOPPING=1", engine.notify_socket)
                await end(reading)
                await self._drain(drain_s)
                await end(working)
                await self._drain_journal()
            await end(connections)
            if engine.sent_before:
                await engine.sent_before.leave()
            if engine.slots:
                await engine.slots.leave()
            await engine.leases.release_all()
            await engine.members.leave()

    # what runs in which role

    def watched_jobs(self) -> dict[str, Job]:
        """What the watchdog believes to hang when it reports no progress for too long."""
        return self._intake_jobs() | self._working_jobs()

    def _connection_jobs(self) -> dict[str, Job]:
        engine = self.engine
        jobs: dict[str, Job] = {"redis": engine.redis.run, "leases": engine.leases.run, "members": engine.members.run}
        jobs |= {"slots": engine.slots.run} if engine.slots else {}
        return jobs | ({"sent lately": engine.sent_before.run} if engine.sent_before else {})

    def _intake_jobs(self) -> dict[str, Job]:
        """What brings calls and updates in; it ends first."""
        engine = self.engine
        intake = engine.intake
        price: dict[str, Job] = {"sol price": partial(self._refresh, engine.sol_price)} if engine.sol_price else {}
        match self.role:
            case "all":
                return price | {"feed": intake.run_feed, "updates": engine.updates.take}
            case "gateway":
                return {"updates": engine.updates.take}
            case "ingest":
                return price | {"feed": partial(engine.leases.lead, INGEST, intake.run_feed)}
            case _:
                return {}

    def _working_jobs(self) -> dict[str, Job]:
        engine = self.engine
        leads = engine.leases.lead
        jobs: dict[str, Job] = {
            "monitor": engine.monitoring.run,
            "readings": engine.readings.run,
            "refill": engine.refill.run,
        }
        match self.role:
            case "all":
                jobs |= self._matching_jobs() | self._sending_jobs() | self._admin_jobs()
                jobs |= {"decide": engine.intake.decide, "ticks": self._take_ticks, "journal": engine.journal.run}
                jobs["local store"] = partial(engine.spool.run, refill=engine.refill.look)
                jobs["reign"] = self._reign
            case "gateway":
                jobs |= self._admin_jobs() | self._following_jobs()
            case "ingest":
                jobs |= {"publish": engine.intake.publish, "trim": engine.calls.keep_short}
                jobs["ticks"] = partial(engine.ticks.run, take=self._new_ticks)
            case "match":
                jobs |= self._matching_jobs() | self._following_jobs()
                jobs |= {"decide": engine.match_shard.decide, "partitions": engine.match_shard.partitions.run}
            case "send":
                jobs |= self._sending_jobs() | self._following_jobs() | {"partitions": self.send_partitions.run}
        if self.role != "all":
            jobs["journal"] = partial(leads, "journal", engine.journal.run)
        return jobs | ({"telegram": engine.updates.keep_connected} if self.role in SENDING else {})

    def _matching_jobs(self) -> dict[str, Job]:
        return {"late": self.engine.late.run, "clock": partial(follow_steps_back, self._put_back)}

    def _sending_jobs(self) -> dict[str, Job]:
        engine = self.engine
        return {"deliver": once_sure(engine.delivery.run), "digests": once_sure(engine.digests.run)}

    def _admin_jobs(self) -> dict[str, Job]:
        engine = self.engine
        return {
            "prune": engine.history.run,
            "alarms": engine.alarms.run
            if self.role == "all"
            else partial(engine.leases.lead, "alarms", engine.alarms.run),
            "menus": engine.updates.show_menus,
            "channels": self.services.calls.channels.run,
        }

    def _following_jobs(self) -> dict[str, Job]:
        """What keeps memory right when another process changes things."""
        engine, loading = self.engine, self.services.subscribers.loading
        on_change = OnChange(
            subscriber=lambda user_id: loading.refresh(user_id, lambda: self.matched),
            preset=loading.refresh_preset,
            everything=self._reload,
        )
        return {
            "changes": partial(engine.changes.tail, on_change=on_change),
            "ticks": partial(engine.ticks.follow, take_in=engine.tokens.take_in),
        }

    # before and after

    async def _is_prepared(self, stop: asyncio.Event) -> bool:
        """Do what comes before the work; `False` when it was to stop meanwhile."""
        preparing = asyncio.create_task(self._prepare(), name="prepare")
        stopping = asyncio.create_task(_until(stop), name="stop")
        try:
            await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_prepared = preparing.done()
            await end([preparing, stopping])
        if is_prepared:
            preparing.result()
        return is_prepared

    async def _prepare(self) -> None:
        engine = self.engine
        await join(engine.members, engine.updates, self.role)
        if self.role == "all":
            await self._take_everything()
        else:
            await persistently(engine.changes.open)  # before anything is read that may change
        if engine.sent_before:
            await persistently(engine.sent_before.take_up)
        await persistently(engine.spool.begin)
        await persistently(engine.refill.look)
        await self._meet_database()
        await engine.outbox.recover_local()
        if self.role == "all":
            engine.delivery.take_over(ALL)

    async def _meet_database(self) -> None:
        """Refuse to work on somebody else's data. An emptied PostgreSQL is filled by whoever has the journal."""
        try:
            standing = await self.engine.database.look()
        except TransientError as error:
            log.warning("database_not_looked_at", reason=str(error))
            return
        if standing.state == "foreign":
            raise FatalError(f"PostgreSQL is not ours: {standing.problem}.")

    async def _take_everything(self) -> None:
        """Stand by until nobody else has any part in the work."""
        leases, names = self.engine.leases, exclusive_leases()
        while True:
            held = await persistently(partial(leases.acquire, names))
            if len(held) == len(names):
                return
            await leases.release(held)
            if self.state != "standing by":
                self.state = "standing by"
                self.engine.say("Another process is at work; standing by.")
            await asyncio.sleep(STANDBY_LOOK_S)

    async def _reign(self, progress: Progress) -> None:
        """End the process when another one has taken over: it was frozen, or cut off, for too long."""
        leases, names = self.engine.leases, exclusive_leases()
        while True:
            progress()
            lost = [name for name in names if not leases.is_valid(name)]
            if lost:
                raise FatalError(
                    f"Another process may be at work by now ({lost[0]} is not ours any more); this one ends."
                )
            await asyncio.sleep(STANDBY_LOOK_S)

    async def _load(self) -> None:
        """Load all subscribers while the calls already flow; nobody misses one because he was loaded late."""
        engine, started_at = self.engine, time.monotonic()
        if self.role in {"all", "ingest"}:
            await engine.tokens.restore()
        if self.role == "send":
            await persistently(self.services.subscribers.presets.restore)  # sets that follow one have its rules
        if self.role not in {"all", "gateway"}:
            return
        total = await persistently(partial(self.services.subscribers.loading.load, engine.say))
        engine.say(f"{total:,} subscribers loaded after {time.monotonic() - started_at:.1f} s.")
        await engine.intake.loaded()

    async def _reload(self, progress: Progress) -> None:
        await self.services.subscribers.loading.reload(self.matched, progress)

    @property
    def matched(self) -> frozenset[Partition]:
        """The partitions whose subscribers are in the matcher."""
        match self.role:
            case "all" | "gateway":
                return ALL
            case "match":
                return self.engine.match_shard.partitions.owned
            case _:
                return frozenset()

    async def _drain(self, drain_s: float) -> None:
        engine = self.engine
        try:
            async with asyncio.timeout(drain_s), asyncio.TaskGroup() as group:
                group.create_task(engine.updates.drained(), name="drain updates")
                if self.role in {"all", "ingest"}:
                    await engine.intake.drained()
                match self.role:
                    case "all":
                        await engine.delivery.drained()
                    case "match":
                        await engine.match_shard.partitions.give_up()
                    case "send":
                        await self.send_partitions.give_up()
                    case _:
                        pass
        except TimeoutError:
            log.warning("drain_timed_out", queued=engine.intake.token_queue.qsize(), held=engine.delivery.held)

    async def _drain_journal(self) -> None:
        """Let PostgreSQL have the last entries: should Redis be emptied now, nobody has to be asked twice."""
        if self.role != "all":
            return  # the others go on draining
        try:
            async with asyncio.timeout(LAST_DRAIN_S):
                await self.engine.journal.drain_all()
        except (TransientError, TimeoutError) as error:
            log.info("journal_left_for_later", reason=str(error))

    # jobs of its own

    async def _gained_sending(self, partitions: frozenset[Partition]) -> None:
        await self._exchange_sent()
        self.engine.delivery.take_over(partitions)

    async def _lost_sending(self, partitions: frozenset[Partition]) -> None:
        await self.engine.delivery.release(partitions)
        await self._exchange_sent()

    async def _exchange_sent(self) -> None:
        """Telegram counts what one sends to a chat together with what the other has sent."""
        if self.engine.sent_before:
            await self.engine.sent_before.exchange()

    def _new_ticks(self) -> dict[str, PriceTick]:
        ticks = self.engine.intake.feed.take_ticks()
        self.engine.tokens.take_in(ticks)
        return ticks

    async def _take_ticks(self, progress: Progress) -> None:
        while True:
            progress()
            self._new_ticks()
            await asyncio.sleep(TICKS_EVERY_S)

    async def _put_back(self, progress: Progress) -> None:
        if self.services.subscribers.roster.forget_ended_early():
            await self._reload(progress)

    async def _refresh(self, sol_price: SolPrice, progress: Progress) -> None:
        while True:
            progress()
            try:
                await sol_price.refresh()
            except TransientError as error:
                log.warning("sol_price_unavailable", reason=str(error))
            await pause(SOL_PRICE_EVERY_S, progress)

    def _excused(self) -> frozenset[str]:
        """Who waits while Redis is filled, or told what happened without it: all but those who do that."""
        waits = self.engine.refill.is_filling or self.engine.spool.is_closed
        return frozenset(self.watched_jobs()) - FILLING if waits else frozenset()


async def _until(event: asyncio.Event) -> None:
    await event.wait()
